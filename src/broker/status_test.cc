#include "broker/status.h"

#include <gtest/gtest.h>

#include <iterator>
#include <ostream>
#include <vector>

namespace nave::broker {

void PrintTo(const StatusRecord& record, std::ostream* out) {
    *out << status_name(record.status) << " by " << source_name(record.source) << " at "
         << record.updated_at;
}

namespace {

using enum Status;
using enum StatusSource;

constexpr UnixMillis kNow = 1'700'000'000'000;
constexpr UnixMillis kFresh = kNow - 30'000;  // the last instant inside the window
constexpr UnixMillis kStale = kNow - 30'001;
constexpr StatusTimes kTimes;

TEST(StatusNames, AreTheWiresAndReadBack) {
    EXPECT_EQ(parse_status("idle"), idle);
    EXPECT_EQ(parse_status("working"), working);
    EXPECT_EQ(parse_status("dnd"), dnd);
    EXPECT_EQ(source_name(hook), "hook");
    EXPECT_EQ(source_name(manual), "manual");
    EXPECT_EQ(source_name(jsonl), "jsonl");
    EXPECT_EQ(parse_priority("now"), Priority::now);
    EXPECT_EQ(parse_priority("next"), Priority::next);
    EXPECT_EQ(parse_priority("low"), Priority::low);
    for (const std::string_view wrong : {"", "Idle", "busy", "idle ", "DND"}) {
        EXPECT_FALSE(parse_status(wrong)) << wrong;
    }
    for (const std::string_view wrong : {"", "NOW", "high", "normal"}) {
        EXPECT_FALSE(parse_priority(wrong)) << wrong;
    }
}

TEST(StatusNames, StoredNumbersNeverChange) {
    EXPECT_EQ(static_cast<int>(idle), 0);
    EXPECT_EQ(static_cast<int>(working), 1);
    EXPECT_EQ(static_cast<int>(dnd), 2);
    EXPECT_EQ(static_cast<int>(jsonl), 1);
    EXPECT_EQ(static_cast<int>(manual), 2);
    EXPECT_EQ(static_cast<int>(hook), 3);
    EXPECT_EQ(static_cast<int>(Priority::now), 0);
    EXPECT_EQ(static_cast<int>(Priority::next), 1);
    EXPECT_EQ(static_cast<int>(Priority::low), 2);
}

struct SignalCase {
    const char* what;
    StatusRecord before;
    Status status;
    StatusSource source;
    StatusRecord after;
};

void PrintTo(const SignalCase& test, std::ostream* out) {
    *out << test.what;
}

class StatusSignals : public testing::TestWithParam<SignalCase> {};

TEST_P(StatusSignals, FollowTheRule) {
    const SignalCase& test = GetParam();
    EXPECT_EQ(with_signal(test.before, test.status, test.source, kNow, kTimes), test.after);
}

const SignalCase kSignals[] = {
    {"another_by_hook_over_manual", {idle, manual, kNow - 1}, working, hook, {working, hook, kNow}},
    {"another_by_manual_over_fresh_hook",
     {working, hook, kFresh},
     idle,
     manual,
     {idle, manual, kNow}},
    {"another_by_hook_over_fresh_hook", {working, hook, kFresh}, idle, hook, {idle, hook, kNow}},
    {"another_by_inference_over_manual",
     {working, manual, kNow - 1},
     idle,
     jsonl,
     {idle, jsonl, kNow}},
    {"another_by_inference_over_stale_hook",
     {working, hook, kStale},
     idle,
     jsonl,
     {idle, jsonl, kNow}},
    {"another_by_inference_loses_to_fresh_hook",
     {working, hook, kFresh},
     idle,
     jsonl,
     {working, hook, kFresh}},
    {"another_by_inference_loses_to_hook_of_this_instant",
     {idle, hook, kNow},
     working,
     jsonl,
     {idle, hook, kNow}},
    {"another_by_inference_over_hook_from_the_future",
     {working, hook, kNow + 1},
     idle,
     jsonl,
     {idle, jsonl, kNow}},

    {"same_by_equal_rank", {working, manual, kStale}, working, manual, {working, manual, kNow}},
    {"same_by_higher_rank", {working, jsonl, kFresh}, working, hook, {working, hook, kNow}},
    {"same_by_higher_rank_when_stale",
     {working, manual, kStale},
     working,
     hook,
     {working, hook, kNow}},
    {"same_by_lower_rank_keeps_fresh_source",
     {working, hook, kFresh},
     working,
     manual,
     {working, hook, kNow}},
    {"same_by_lower_rank_takes_over_stale_source",
     {working, hook, kStale},
     working,
     manual,
     {working, manual, kNow}},
    {"same_by_lower_rank_takes_over_future_source",
     {working, hook, kNow + 1},
     working,
     manual,
     {working, manual, kNow}},
    {"same_by_inference_keeps_fresh_hook", {idle, hook, kFresh}, idle, jsonl, {idle, hook, kNow}},
    {"same_by_inference_keeps_fresh_manual",
     {idle, manual, kFresh},
     idle,
     jsonl,
     {idle, manual, kNow}},
    {"same_by_inference_takes_over_stale_manual",
     {idle, manual, kStale},
     idle,
     jsonl,
     {idle, jsonl, kNow}},

    {"dnd_from_hook_is_taken", {working, manual, kFresh}, dnd, hook, {dnd, hook, kNow}},
    {"dnd_from_manual_is_taken", {idle, hook, kFresh}, dnd, manual, {dnd, manual, kNow}},
    {"dnd_not_left_by_hook", {dnd, manual, kStale}, idle, hook, {dnd, manual, kStale}},
    {"dnd_not_left_by_hook_working", {dnd, hook, kStale}, working, hook, {dnd, hook, kStale}},
    {"dnd_not_left_by_inference", {dnd, jsonl, kStale}, idle, jsonl, {dnd, jsonl, kStale}},
    {"dnd_not_renewed_by_hook", {dnd, manual, kStale}, dnd, hook, {dnd, manual, kStale}},
    {"dnd_left_by_manual", {dnd, hook, kFresh}, working, manual, {working, manual, kNow}},
    {"dnd_renewed_by_manual", {dnd, manual, kStale}, dnd, manual, {dnd, manual, kNow}},
};
INSTANTIATE_TEST_SUITE_P(All, StatusSignals, testing::ValuesIn(kSignals),
                         [](const auto& test) { return std::string(test.param.what); });

TEST(HookFresh, NeedsAHookInsideTheWindow) {
    struct Case {
        StatusRecord record;
        bool fresh;
    };
    for (const Case& test :
         {Case{{working, hook, kNow}, true}, Case{{idle, hook, kFresh}, true},
          Case{{working, hook, kStale}, false}, Case{{working, hook, kNow + 1}, false},
          Case{{working, manual, kNow}, false}, Case{{working, jsonl, kNow}, false}}) {
        EXPECT_EQ(is_hook_fresh(test.record, kNow, kTimes), test.fresh)
            << testing::PrintToString(test.record);
    }
}

TEST(HookFresh, WindowIsASetting) {
    StatusTimes times;
    times.hook_fresh = std::chrono::milliseconds(5'000);
    EXPECT_TRUE(is_hook_fresh({working, hook, kNow - 5'000}, kNow, times));
    EXPECT_FALSE(is_hook_fresh({working, hook, kNow - 5'001}, kNow, times));
    EXPECT_EQ(with_signal({working, hook, kNow - 5'001}, idle, jsonl, kNow, times),
              (StatusRecord{idle, jsonl, kNow}));
}

TEST(StatusSweep, EndsOnlyWorkingThatIsOlderThanItsTtl) {
    constexpr UnixMillis kOld = kNow - 60'001;
    struct Case {
        StatusRecord record;
        bool overdue;
    };
    for (const Case& test :
         {Case{{working, manual, kOld}, true}, Case{{working, hook, kOld}, true},
          Case{{working, jsonl, kOld}, true}, Case{{working, hook, kNow - 60'000}, false},
          Case{{working, manual, kNow}, false}, Case{{working, manual, kNow + 5'000}, false},
          Case{{idle, manual, kOld}, false}, Case{{dnd, manual, kOld}, false},
          Case{{dnd, jsonl, 0}, false}}) {
        EXPECT_EQ(is_overdue(test.record, kNow, kTimes), test.overdue)
            << testing::PrintToString(test.record);
        const StatusRecord expected = test.overdue ? StatusRecord{idle, jsonl, kNow} : test.record;
        EXPECT_EQ(at_delivery(test.record, kNow, kTimes), expected)
            << testing::PrintToString(test.record);
    }
}

// The original's next delivery writes idle over it, and the envelope it should hold goes out.
TEST(StatusAtDelivery, SetStatusWorkingHoldsUntilItsTtl) {
    const StatusRecord connected{idle, jsonl, kNow};
    StatusRecord record = with_signal(connected, working, manual, kNow, kTimes);
    for (const UnixMillis later : {0, 1, 29'999, 30'001, 60'000}) {
        record = at_delivery(record, kNow + later, kTimes);
        EXPECT_EQ(record, (StatusRecord{working, manual, kNow})) << later;
        EXPECT_FALSE(deliverable(record.status, Priority::next)) << later;
    }
    record = at_delivery(record, kNow + 60'001, kTimes);
    EXPECT_TRUE(deliverable(record.status, Priority::low));
}

TEST(StatusAtDelivery, AHookThatSaysWorkingAgainHoldsOn) {
    StatusRecord record = with_signal({idle, jsonl, kNow}, working, hook, kNow, kTimes);
    record = with_signal(record, working, hook, kNow + 50'000, kTimes);
    EXPECT_EQ(at_delivery(record, kNow + 100'000, kTimes).status, working);
    EXPECT_EQ(at_delivery(record, kNow + 110'001, kTimes).status, idle);
}

TEST(StatusAtDelivery, StatusDecidesByPriority) {
    struct Case {
        Status status;
        Priority priority;
        bool goes;
    };
    for (const Case& test : {Case{idle, Priority::now, true}, Case{idle, Priority::next, true},
                             Case{idle, Priority::low, true}, Case{working, Priority::now, true},
                             Case{working, Priority::next, false},
                             Case{working, Priority::low, false}, Case{dnd, Priority::now, true},
                             Case{dnd, Priority::next, false}, Case{dnd, Priority::low, false}}) {
        EXPECT_EQ(deliverable(test.status, test.priority), test.goes)
            << status_name(test.status) << " " << priority_name(test.priority);
    }
}

TEST(StatusAtDelivery, OnlyBecomingIdleReleases) {
    for (const Status before : {idle, working, dnd}) {
        for (const Status after : {idle, working, dnd}) {
            EXPECT_EQ(releases_held(before, after), before != idle && after == idle)
                << status_name(before) << " to " << status_name(after);
        }
    }
}

TEST(PendingStatuses, AppliesForTenSecondsAndOnce) {
    struct Case {
        UnixMillis created_at;
        bool applied;
        bool usable;
    };
    for (const Case& test : {Case{kNow, false, true}, Case{kNow - 10'000, false, true},
                             Case{kNow - 10'001, false, false}, Case{kNow, true, false},
                             Case{kNow - 10'001, true, false}, Case{kNow + 3, false, true}}) {
        const PendingStatus pending{7, "/a", working, test.created_at, test.applied};
        EXPECT_EQ(can_be_applied(pending, kNow, kTimes), test.usable) << test.created_at;
        EXPECT_EQ(is_spent(pending, kNow, kTimes), !test.usable) << test.created_at;
    }
}

TEST(PendingStatuses, TheSameProcessThenTheSameDirectoryThenTheNewest) {
    const std::vector<PendingStatus> pending{
        {11, "/a", working, kNow - 10'001, false},  // 0: too old
        {11, "/a", working, kNow - 9'000, false},   // 1
        {11, "/a", idle, kNow - 8'000, false},      // 2
        {12, "/a", working, kNow - 7'000, false},   // 3
        {0, "/a", dnd, kNow - 6'000, false},        // 4
        {11, "/a", dnd, kNow - 5'000, true},        // 5: taken before
        {11, "/b", working, kNow - 4'000, false},   // 6
        {0, "/zero", idle, kNow - 2'000, false},    // 7
        {5, "/zero", working, kNow - 1'000, false}  // 8
    };
    struct Case {
        std::int64_t pid;
        std::string_view cwd;
        int chosen;
    };
    for (const Case& test :
         {Case{11, "/a", 2}, Case{12, "/a", 3}, Case{99, "/a", 4}, Case{0, "/a", 4},
          Case{11, "/b", 6}, Case{99, "/b", 6}, Case{0, "/zero", 8}, Case{5, "/zero", 8},
          Case{11, "/c", -1}, Case{11, "", -1}, Case{11, "/A", -1}}) {
        const PendingStatus* chosen = choose_pending(pending, test.pid, test.cwd, kNow, kTimes);
        const auto index = chosen == nullptr ? -1 : chosen - pending.data();
        EXPECT_EQ(index, test.chosen) << test.pid << " " << test.cwd;
    }
    EXPECT_EQ(choose_pending({}, 11, "/a", kNow, kTimes), nullptr);
}

}  // namespace
}  // namespace nave::broker
