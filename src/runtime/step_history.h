// StepHistory: the last half hour in steps of five seconds, for charts. Counts are summed within a
// step; gauges keep the last value set in it.
#pragma once

#include "base/clock.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nave {

class StepHistory {
  public:
    static constexpr std::int64_t kStepMs = 5'000;
    static constexpr std::size_t kSteps = 360;

    // Names are those in the JSON and live as long as the object; a series is referred to by its
    // place in its list.
    StepHistory(const Clock& clock, std::vector<std::string_view> counts,
                std::vector<std::string_view> gauges);

    void add(std::size_t count, std::int64_t amount = 1);
    void set(std::size_t gauge, std::int64_t value);

    // {"stepMs":5000,"end":<end of the last step>,"<name>":[oldest, ...],...}. A count of which
    // nothing is known is 0, a gauge -1.
    void append_json(std::string& out) const;

  private:
    struct Step {
        std::int64_t number = -1;          // time / kStepMs
        std::vector<std::int64_t> values;  // counts, then gauges
    };
    [[nodiscard]] Step& step_now();
    [[nodiscard]] std::int64_t when_absent(std::size_t series) const;

    const Clock& clock_;
    std::vector<std::string_view> names_;
    std::size_t counts_;
    std::vector<Step> steps_;
};

}  // namespace nave
