// Health: what the process can say about itself without blocking. Start-up names its steps;
// afterwards modules report trouble, which turns /health to "degraded" until it clears: with 503
// when requests fail for it, with 200 when only a part that most can do without is affected.
#pragma once

#include "base/clock.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nave {

class Health {
  public:
    explicit Health(const Clock& clock) : clock_(clock), started_(clock.steady()) {}

    enum class Phase : std::uint8_t { starting, serving, stopping };
    void step(std::string_view name);  // while starting
    void serving();
    void stopping();

    enum class Impact : std::uint8_t { outage, partial };
    // `message` empties the issue when nullopt. `since` is kept while the issue lasts.
    void report(std::string_view subsystem, std::optional<std::string> message,
                Impact impact = Impact::outage);

    struct Issue {
        std::string subsystem;
        UnixMillis since;
        std::string message;
        Impact impact;
    };
    [[nodiscard]] Phase phase() const { return phase_; }
    [[nodiscard]] const std::string& current_step() const { return step_; }
    [[nodiscard]] std::vector<Issue> issues() const;
    [[nodiscard]] bool healthy() const { return phase_ == Phase::serving && issues_.empty(); }
    // Requests can be served, if perhaps not every kind.
    [[nodiscard]] bool usable() const;
    [[nodiscard]] std::int64_t uptime_seconds() const;

    // The body of /health: {"status":"ok",...} and its HTTP status, 200 or 503. `extra` is a list
    // of further JSON members such as `"version":"0.1.0"`, shown in every state.
    struct Answer {
        int http_status;
        std::string body;
    };
    [[nodiscard]] Answer answer(std::string_view extra_members) const;
    // 200 {"status":"ready"} while requests can be served, else 503.
    [[nodiscard]] Answer readiness() const;

  private:
    const Clock& clock_;
    SteadyTime started_;
    Phase phase_ = Phase::starting;
    std::string step_ = "resolve-config";
    std::map<std::string, Issue, std::less<>> issues_;
};

}  // namespace nave
