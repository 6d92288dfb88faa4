#include "broker/cron.h"

#include "broker/wire.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace nave::broker {
namespace {

// "2026-11-21T06:30" as milliseconds.
UnixMillis at(const std::string& text, int second = 0, int milli = 0) {
    using namespace std::chrono;
    const auto number = [&](std::size_t from, std::size_t size) {
        return std::stoi(text.substr(from, size));
    };
    const sys_days day = year{number(0, 4)} / number(5, 2) / number(8, 2);
    return duration_cast<milliseconds>(day.time_since_epoch()).count() +
           (number(11, 2) * 3600 + number(14, 2) * 60 + second) * 1000LL + milli;
}

std::string next(std::string_view text, UnixMillis after) {
    const auto cron = Cron::parse(text);
    if (!cron) {
        return cron.error().message;
    }
    const auto time = cron->next(after);
    return time ? iso8601(*time).substr(0, 16) : "never";
}

struct Case {
    const char* cron;
    const char* after;
    const char* next;
};

// 2026-11-21 is a Saturday.
constexpr Case kCases[] = {
    {"* * * * *", "2026-11-21T06:30", "2026-11-21T06:31"},
    {"* * * * *", "2026-12-31T23:59", "2027-01-01T00:00"},
    {"0 * * * *", "2026-11-21T06:30", "2026-11-21T07:00"},
    {"30 6 * * *", "2026-11-21T06:30", "2026-11-22T06:30"},
    {"30 6 * * *", "2026-11-21T06:29", "2026-11-21T06:30"},
    {"0 0 * * *", "2026-11-21T06:30", "2026-11-22T00:00"},
    {"59 23 * * *", "2026-11-21T23:59", "2026-11-22T23:59"},
    // Lists, ranges, steps.
    {"15,45 * * * *", "2026-11-21T06:30", "2026-11-21T06:45"},
    {"45,15 * * * *", "2026-11-21T06:50", "2026-11-21T07:15"},
    {"10-12 * * * *", "2026-11-21T06:11", "2026-11-21T06:12"},
    {"10-12 * * * *", "2026-11-21T06:12", "2026-11-21T07:10"},
    {"*/15 * * * *", "2026-11-21T06:30", "2026-11-21T06:45"},
    {"*/7 * * * *", "2026-11-21T06:56", "2026-11-21T07:00"},
    {"*/59 * * * *", "2026-11-21T06:00", "2026-11-21T06:59"},
    {"*/60 * * * *", "2026-11-21T06:00", "2026-11-21T07:00"},
    {"5-59/20 * * * *", "2026-11-21T06:30", "2026-11-21T06:45"},
    {"5-6,50-51/1 * * * *", "2026-11-21T06:30", "2026-11-21T06:50"},
    {"0 8-18/5 * * *", "2026-11-21T08:00", "2026-11-21T13:00"},
    {"0 8-18/5 * * *", "2026-11-21T18:00", "2026-11-22T08:00"},
    {"3-3 4-4 * * *", "2026-11-21T06:30", "2026-11-22T04:03"},
    // Days of the month.
    {"0 0 1 * *", "2026-11-21T06:30", "2026-12-01T00:00"},
    {"0 0 31 * *", "2026-11-21T06:30", "2026-12-31T00:00"},
    {"0 0 31 * *", "2027-01-31T00:00", "2027-03-31T00:00"},
    {"0 0 */10 * *", "2026-11-21T06:30", "2026-12-01T00:00"},
    {"0 12 29 2 *", "2026-11-21T06:30", "2028-02-29T12:00"},
    {"0 12 29 2 *", "2096-02-29T12:00", "2104-02-29T12:00"},
    // Months and weekdays, by number and name.
    {"0 0 1 1 *", "2026-11-21T06:30", "2027-01-01T00:00"},
    {"0 0 1 jan,JUL *", "2026-11-21T06:30", "2027-01-01T00:00"},
    {"0 0 1 feb-apr *", "2026-11-21T06:30", "2027-02-01T00:00"},
    {"0 0 1 */5 *", "2026-11-21T06:30", "2027-01-01T00:00"},
    {"0 9 * * 1", "2026-11-21T06:30", "2026-11-23T09:00"},
    {"0 9 * * mon", "2026-11-21T06:30", "2026-11-23T09:00"},
    {"0 9 * * 1-5", "2026-11-21T06:30", "2026-11-23T09:00"},
    {"0 9 * * Mon-Fri", "2026-11-27T09:00", "2026-11-30T09:00"},
    {"0 9 * * 0", "2026-11-21T06:30", "2026-11-22T09:00"},
    {"0 9 * * 7", "2026-11-21T06:30", "2026-11-22T09:00"},
    {"0 9 * * sun", "2026-11-21T06:30", "2026-11-22T09:00"},
    {"0 9 * * 6-7", "2026-11-22T09:00", "2026-11-28T09:00"},
    {"0 9 * * 5-7/2", "2026-11-21T06:30", "2026-11-22T09:00"},
    {"0 9 * * 6", "2026-11-21T09:00", "2026-11-28T09:00"},
    // Both day fields said: either will do.
    {"0 0 13 * 5", "2026-11-21T06:30", "2026-11-27T00:00"},
    {"0 0 22 * 5", "2026-11-21T06:30", "2026-11-22T00:00"},
    {"0 0 30 2 1", "2026-11-21T06:30", "2027-02-01T00:00"},
    // One begins with *: both have to match.
    {"0 0 13 * *", "2026-11-21T06:30", "2026-12-13T00:00"},
    {"0 0 13 * */5", "2026-11-21T06:30", "2026-12-13T00:00"},
    {"0 0 */2 * 1", "2026-11-21T06:30", "2026-11-23T00:00"},
    {"0 0 */2 * 2", "2026-11-21T06:30", "2026-12-01T00:00"},
    {"0 0 29 2 */7", "2026-11-21T06:30", "2032-02-29T00:00"},
    // Spaces.
    {"  0\t9   *  * 1 ", "2026-11-21T06:30", "2026-11-23T09:00"},
};

TEST(Cron, FindsTheNextTime) {
    for (const Case& one : kCases) {
        EXPECT_EQ(next(one.cron, at(one.after)), one.next) << one.cron << " after " << one.after;
    }
}

TEST(Cron, ATimeIsAWholeMinuteAfterTheGivenOne) {
    EXPECT_EQ(next("* * * * *", at("2026-11-21T06:30", 0, 1)), "2026-11-21T06:31");
    EXPECT_EQ(next("* * * * *", at("2026-11-21T06:30", 59, 999)), "2026-11-21T06:31");
    EXPECT_EQ(next("* * * * *", at("2026-11-21T06:29", 59, 999)), "2026-11-21T06:30");
    EXPECT_EQ(next("0 0 1 1 *", 0), "1971-01-01T00:00") << "not the beginning itself";
    EXPECT_EQ(next("0 0 1 1 *", -1), "1970-01-01T00:00");
}

// Against the rule as it is written, minute by minute.
TEST(Cron, EveryMinuteOfTwoMonthsIsRight) {
    const auto cron = Cron::parse("7-40/11,55 3,*/6 1-7,20 * 2,4").value();
    UnixMillis expected = 0;
    UnixMillis found = cron.next(at("2028-01-31T00:00") - 1).value();
    for (UnixMillis minute = at("2028-01-31T00:00"); minute < at("2028-03-31T00:00");
         minute += 60'000) {
        using namespace std::chrono;
        const sys_time<milliseconds> time{milliseconds(minute)};
        const sys_days day = floor<days>(time);
        const auto of_day = time - day;
        const auto date = static_cast<unsigned>(year_month_day(day).day());
        const unsigned wday = weekday(day).c_encoding();
        const auto m = static_cast<unsigned>(of_day % hours(1) / minutes(1));
        const auto h = static_cast<unsigned>(of_day / hours(1));
        const bool matches = (m == 7 || m == 18 || m == 29 || m == 40 || m == 55) &&
                             (h == 3 || h % 6 == 0) &&
                             (date <= 7 || date == 20 || wday == 2 || wday == 4);
        if (matches) {
            ASSERT_EQ(iso8601(found), iso8601(minute));
            expected += 1;
            found = cron.next(found).value();
        }
    }
    EXPECT_GT(expected, 500);
}

TEST(Cron, RefusesWhatIsNoCron) {
    for (const std::string text : {"",
                                   " ",
                                   "*",
                                   "* * * *",
                                   "* * * * * *",
                                   "@daily",
                                   "60 * * * *",
                                   "-1 * * * *",
                                   "* 24 * * *",
                                   "* * 0 * *",
                                   "* * 32 * *",
                                   "* * * 0 *",
                                   "* * * 13 *",
                                   "* * * * 8",
                                   "a * * * *",
                                   "* * * foo *",
                                   "* * * janu *",
                                   "mon * * * *",
                                   "* * * mon *",
                                   "* * * * jan",
                                   "1- * * * *",
                                   "-5 * * * *",
                                   "5-1 * * * *",
                                   "1-2-3 * * * *",
                                   "*- * * * *",
                                   "*-5 * * * *",
                                   "1,,2 * * * *",
                                   ",1 * * * *",
                                   "1, * * * *",
                                   ", * * * *",
                                   "*/0 * * * *",
                                   "*/ * * * *",
                                   "*/-1 * * * *",
                                   "*/a * * * *",
                                   "*/1/2 * * * *",
                                   "5/10 * * * *",
                                   "/5 * * * *",
                                   "** * * * *",
                                   "*1 * * * *",
                                   "+1 * * * *",
                                   "0x1 * * * *",
                                   "1.5 * * * *",
                                   "001 * * * *",
                                   "*/100 * * * *",
                                   "9999999999999999999999 * * * *",
                                   "? * * * *",
                                   "* * L * *",
                                   "* * * * 5#2",
                                   "* * 15W * *",
                                   "sat-sun * * * *",
                                   "* * * * sat-sun",
                                   "*\n* * * *",
                                   "0 0 30 2 *",
                                   "0 0 31 4,6,9,11 *",
                                   "\xd9\xa1 * * * *"}) {
        const auto cron = Cron::parse(text);
        EXPECT_FALSE(cron) << text;
        EXPECT_EQ(cron ? "" : cron.error().id, "invalid_argument") << text;
    }
    EXPECT_FALSE(Cron::parse(std::string(300, ' ') + "* * * * *"));
    EXPECT_FALSE(Cron::parse(std::string("* * * * *\0", 10)));
}

TEST(Cron, SaysWhichFieldIsWrong) {
    EXPECT_EQ(next("0 25 * * *", 0),
              "cron: the hour '25' is not made of 0-23, *, ranges, steps and lists of them");
    EXPECT_EQ(next("0 0 30 2 *", 0), "cron: there is no such day");
}

}  // namespace
}  // namespace nave::broker
