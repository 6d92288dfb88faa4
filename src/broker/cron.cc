#include "broker/cron.h"

#include "base/text.h"
#include "broker/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <span>
#include <string>
#include <vector>

namespace nave::broker {
namespace {

constexpr std::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                        "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::string_view kWeekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct FieldRule {
    std::string_view name;
    unsigned min;
    unsigned max;
    std::span<const std::string_view> names = {};  // of min and what follows
};

constexpr FieldRule kMinute{"minute", 0, 59};
constexpr FieldRule kHour{"hour", 0, 23};
constexpr FieldRule kDay{"day of month", 1, 31};
constexpr FieldRule kMonth{"month", 1, 12, kMonths};
constexpr FieldRule kWeekday{"weekday", 0, 7, kWeekdays};

std::unexpected<Error> wrong(const FieldRule& rule, std::string_view text) {
    return errors::invalid_argument(
        fmt::format("cron: the {} '{}' is not made of {}-{}, *, ranges, steps and lists of them",
                    rule.name, text, rule.min, rule.max));
}

// Digits only: no sign, no spaces.
std::optional<unsigned> parse_number(std::string_view text) {
    if (text.empty() || text.size() > 2 ||
        !std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; })) {
        return std::nullopt;
    }
    unsigned value = 0;
    for (const char c : text) {
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return value;
}

std::optional<unsigned> parse_value(const FieldRule& rule, std::string_view text) {
    const auto named = std::ranges::find(rule.names, lower(text));
    if (named != rule.names.end()) {
        return rule.min + static_cast<unsigned>(named - rule.names.begin());
    }
    const auto value = parse_number(text);
    return value && *value >= rule.min && *value <= rule.max ? value : std::nullopt;
}

struct Range {
    unsigned first;
    unsigned last;
};

std::optional<Range> parse_range(const FieldRule& rule, std::string_view text, bool& is_range) {
    is_range = true;
    if (text == "*") {
        return Range{rule.min, rule.max};
    }
    const std::size_t dash = text.find('-');
    const auto first = parse_value(rule, text.substr(0, dash));
    if (!first) {
        return std::nullopt;
    }
    if (dash == std::string_view::npos) {
        is_range = false;
        return Range{*first, *first};
    }
    const auto last = parse_value(rule, text.substr(dash + 1));
    return last && *last >= *first ? std::optional(Range{*first, *last}) : std::nullopt;
}

// A step belongs to a range: what 5/10 means differs between crons.
Result<std::uint64_t> parse_element(const FieldRule& rule, std::string_view text) {
    const std::size_t slash = text.find('/');
    bool is_range = false;
    const auto range = parse_range(rule, text.substr(0, slash), is_range);
    std::optional<unsigned> step = 1;
    if (slash != std::string_view::npos) {
        step = is_range ? parse_number(text.substr(slash + 1)) : std::nullopt;
    }
    if (!range || !step || *step == 0) {
        return wrong(rule, text);
    }
    std::uint64_t bits = 0;
    for (unsigned value = range->first; value <= range->last; value += *step) {
        bits |= std::uint64_t{1} << value;
    }
    return bits;
}

Result<std::uint64_t> parse_field(const FieldRule& rule, std::string_view text) {
    std::uint64_t bits = 0;
    for (std::size_t from = 0; from <= text.size();) {
        const std::size_t comma = std::min(text.find(',', from), text.size());
        TRY(const std::uint64_t element, parse_element(rule, text.substr(from, comma - from)));
        bits |= element;
        from = comma + 1;
    }
    return bits;
}

bool has(std::uint64_t bits, unsigned value) {
    return (bits >> value & 1U) != 0;
}

}  // namespace

Result<Cron> Cron::parse(std::string_view text) {
    std::string spaced(text);
    std::ranges::replace(spaced, '\t', ' ');
    const std::vector<std::string_view> fields = split(spaced, ' ');
    if (text.size() > kBytesMax || fields.size() != 5) {
        return errors::invalid_argument("cron must have five fields and 256 bytes at most");
    }
    Cron cron;
    TRY(cron.minutes_, parse_field(kMinute, fields[0]));
    TRY(cron.hours_, parse_field(kHour, fields[1]));
    TRY(cron.days_, parse_field(kDay, fields[2]));
    TRY(cron.months_, parse_field(kMonth, fields[3]));
    TRY(cron.weekdays_, parse_field(kWeekday, fields[4]));
    if (has(cron.weekdays_, 7)) {
        cron.weekdays_ |= 1;
    }
    cron.either_day_ = fields[2].front() != '*' && fields[4].front() != '*';
    if (!cron.next(0)) {
        return errors::invalid_argument("cron: there is no such day");
    }
    return cron;
}

std::optional<UnixMillis> Cron::next(UnixMillis after) const {
    using namespace std::chrono;
    // The 29th of February on one weekday comes after 40 years at most.
    constexpr days kSearch{41 * 366};
    const auto start = floor<minutes>(sys_time<milliseconds>(milliseconds(after))) + minutes(1);
    const sys_days first_day = floor<days>(start);
    for (sys_days day = first_day; day < first_day + kSearch; day += days(1)) {
        const year_month_day date(day);
        if (!has(months_, static_cast<unsigned>(date.month()))) {
            continue;
        }
        const bool by_date = has(days_, static_cast<unsigned>(date.day()));
        const bool by_weekday = has(weekdays_, weekday(day).c_encoding());
        if (either_day_ ? !by_date && !by_weekday : !by_date || !by_weekday) {
            continue;
        }
        for (auto minute = day == first_day ? start : sys_time<minutes>(day);
             minute < day + days(1); minute += minutes(1)) {
            const auto of_day = minute - sys_time<minutes>(day);
            if (has(hours_, static_cast<unsigned>(of_day / hours(1))) &&
                has(minutes_, static_cast<unsigned>(of_day % hours(1) / minutes(1)))) {
                return duration_cast<milliseconds>(minute.time_since_epoch()).count();
            }
        }
    }
    return std::nullopt;
}

}  // namespace nave::broker
