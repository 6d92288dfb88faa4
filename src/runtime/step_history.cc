#include "runtime/step_history.h"

#include <fmt/format.h>

#include <iterator>

namespace nave {

StepHistory::StepHistory(const Clock& clock, std::vector<std::string_view> counts,
                         std::vector<std::string_view> gauges)
    : clock_(clock), names_(std::move(counts)), counts_(names_.size()), steps_(kSteps) {
    names_.insert(names_.end(), gauges.begin(), gauges.end());
}

std::int64_t StepHistory::when_absent(std::size_t series) const {
    return series < counts_ ? 0 : -1;
}

StepHistory::Step& StepHistory::step_now() {
    const std::int64_t number = clock_.now() / kStepMs;
    Step& step = steps_.at(static_cast<std::size_t>(number) % kSteps);
    if (step.number != number) {
        step.number = number;
        step.values.assign(names_.size(), -1);
        std::fill_n(step.values.begin(), counts_, 0);
    }
    return step;
}

void StepHistory::add(std::size_t count, std::int64_t amount) {
    step_now().values.at(count) += amount;
}

void StepHistory::set(std::size_t gauge, std::int64_t value) {
    step_now().values.at(counts_ + gauge) = value;
}

void StepHistory::append_json(std::string& out) const {
    const std::int64_t last = clock_.now() / kStepMs;
    fmt::format_to(std::back_inserter(out), R"({{"stepMs":{},"end":{})", kStepMs,
                   (last + 1) * kStepMs);
    for (std::size_t series = 0; series < names_.size(); ++series) {
        fmt::format_to(std::back_inserter(out), R"(,"{}":[)", names_.at(series));
        for (std::size_t i = 0; i < kSteps; ++i) {
            const std::int64_t number = last - static_cast<std::int64_t>(kSteps - 1 - i);
            const Step& step = steps_.at(static_cast<std::size_t>(number) % kSteps);
            fmt::format_to(std::back_inserter(out), "{}{}", i == 0 ? "" : ",",
                           step.number == number ? step.values.at(series) : when_absent(series));
        }
        out.push_back(']');
    }
    out.push_back('}');
}

}  // namespace nave
