// Cron: times that repeat, in five fields as of cron(5), always UTC:
//
//   minute 0-59   hour 0-23   day of month 1-31   month 1-12 or jan-dec   weekday 0-7 or sun-sat
//
// A field is a list (1,5,9) of values, ranges (1-5), `*`, and ranges or `*` with a step (*/15,
// 8-18/2). Weekdays 0 and 7 are both Sunday. When neither day field begins with `*`, a day that
// matches one of them will do; otherwise it has to match both. There are no @names, seconds or
// years.
#pragma once

#include "base/clock.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace nave::broker {

class Cron {
  public:
    static constexpr std::size_t kBytesMax = 256;

    // Errors "invalid_argument" with a message that names the field. What can never come (the 30th
    // of February) is refused too.
    [[nodiscard]] static Result<Cron> parse(std::string_view text);

    // The first whole minute after `after` that matches; nullopt when the calendar ends first.
    [[nodiscard]] std::optional<UnixMillis> next(UnixMillis after) const;

  private:
    // Bit n: value n matches.
    std::uint64_t minutes_ = 0;
    std::uint64_t hours_ = 0;
    std::uint64_t days_ = 0;
    std::uint64_t months_ = 0;
    std::uint64_t weekdays_ = 0;
    bool either_day_ = false;  // neither day field begins with `*`
};

}  // namespace nave::broker
