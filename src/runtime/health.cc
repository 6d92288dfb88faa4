#include "runtime/health.h"

#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>

namespace nave {

void Health::step(std::string_view name) {
    step_ = name;
}
void Health::serving() {
    phase_ = Phase::serving;
}
void Health::stopping() {
    phase_ = Phase::stopping;
}

void Health::report(std::string_view subsystem, std::optional<std::string> message, Impact impact) {
    const auto found = issues_.find(subsystem);
    if (!message) {
        if (found != issues_.end()) {
            issues_.erase(found);
        }
        return;
    }
    if (found != issues_.end()) {
        found->second.message = std::move(*message);
        found->second.impact = impact;
        return;
    }
    issues_.emplace(subsystem,
                    Issue{std::string(subsystem), clock_.now(), std::move(*message), impact});
}

std::vector<Health::Issue> Health::issues() const {
    std::vector<Issue> out;
    for (const auto& [name, issue] : issues_) {
        out.push_back(issue);
    }
    return out;
}

bool Health::usable() const {
    return phase_ == Phase::serving && std::ranges::none_of(issues_, [](const auto& entry) {
               return entry.second.impact == Impact::outage;
           });
}

std::int64_t Health::uptime_seconds() const {
    return std::chrono::duration_cast<std::chrono::seconds>(clock_.steady() - started_).count();
}

Health::Answer Health::answer(std::string_view extra_members) const {
    std::string body;
    const int status = usable() ? 200 : 503;
    if (phase_ == Phase::starting) {
        body = R"({"status":"starting","step":)";
        json::append_quoted(body, step_);
    } else if (phase_ == Phase::stopping) {
        body = R"({"status":"stopping")";
    } else if (issues_.empty()) {
        body = R"({"status":"ok")";
    } else {
        body = R"({"status":"degraded","issues":[)";
        bool first = true;
        for (const auto& [name, issue] : issues_) {
            body.append(std::exchange(first, false) ? "" : ",");
            body.append(R"({"subsystem":)");
            json::append_quoted(body, name);
            fmt::format_to(std::back_inserter(body), R"(,"since":{},"message":)", issue.since);
            json::append_quoted(body, issue.message);
            body.push_back('}');
        }
        body.push_back(']');
    }
    if (!extra_members.empty()) {
        body.push_back(',');
        body.append(extra_members);
    }
    fmt::format_to(std::back_inserter(body), R"(,"uptimeSeconds":{}}})", uptime_seconds());
    return {status, std::move(body)};
}

Health::Answer Health::readiness() const {
    if (usable()) {
        return {200, R"({"status":"ready"})"};
    }
    return {503, R"({"status":"not ready"})"};
}

}  // namespace nave
