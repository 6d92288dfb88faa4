#include "broker/schedule_store.h"

#include "broker/test_store.h"

#include <fmt/format.h>

namespace nave::broker {
namespace {

using Ids = std::vector<std::string>;

class ScheduleStoreTest : public StoreTest {
  protected:
    bool add(const std::string& id, UnixMillis due_at, const std::string& cron = {},
             const std::string& member = "ada", const std::string& mesh = "mesh") {
        Scheduled scheduled;
        scheduled.id = id;
        scheduled.mesh_id = mesh;
        scheduled.member_id = member;
        scheduled.sender_key.fill(7);
        scheduled.target_spec = "*";
        scheduled.priority = Priority::low;
        scheduled.nonce = "n";
        scheduled.ciphertext = "c";
        scheduled.cron = cron;
        scheduled.due_at = due_at;
        scheduled.created_at = kTestNow;
        return run(ScheduleStore(db()).add(std::move(scheduled))).value();
    }
    Ids claim(UnixMillis now, std::int64_t count_max = 100) {
        return ids(run(ScheduleStore(db()).claim_due(now, now + 100, count_max)).value());
    }
    void advance(const std::string& id, UnixMillis due_at, std::optional<UnixMillis> next) {
        ASSERT_TRUE(run(ScheduleStore(db()).advance(id, due_at, next)));
    }
    std::vector<Scheduled> list(const std::string& member = "ada",
                                const std::string& mesh = "mesh") {
        return run(ScheduleStore(db()).list(mesh, member)).value();
    }
    static Ids ids(const std::vector<Scheduled>& all) {
        Ids ids;
        for (const Scheduled& one : all) {
            ids.push_back(one.id);
        }
        return ids;
    }
};
BROKER_ON_EVERY_STORE(ScheduleStoreTest);

TEST_P(ScheduleStoreTest, WhatIsDueIsClaimedByOne) {
    ASSERT_TRUE(add("later", kTestNow + 20));
    ASSERT_TRUE(add("soon", kTestNow + 10));
    EXPECT_EQ(claim(kTestNow + 9), Ids());
    EXPECT_EQ(claim(kTestNow + 20), (Ids{"soon", "later"}));
    EXPECT_EQ(claim(kTestNow + 20), Ids()) << "somebody is sending them";
    EXPECT_EQ(claim(kTestNow + 119), Ids());
    EXPECT_EQ(claim(kTestNow + 120), (Ids{"soon", "later"})) << "whoever it was has died";
}

TEST_P(ScheduleStoreTest, OnceOrAgainAndAgain) {
    ASSERT_TRUE(add("once", kTestNow));
    ASSERT_TRUE(add("often", kTestNow, "* * * * *"));
    EXPECT_EQ(claim(kTestNow).size(), 2U);
    advance("once", kTestNow, std::nullopt);
    advance("often", kTestNow, kTestNow + 60);
    advance("often", kTestNow, kTestNow + 6'000);  // said late by another node
    ASSERT_EQ(ids(list()), Ids{"often"});
    EXPECT_EQ(list()[0].due_at, kTestNow + 60);
    EXPECT_EQ(list()[0].fired_count, 1);
    EXPECT_EQ(claim(kTestNow + 59), Ids());
    EXPECT_EQ(claim(kTestNow + 60), Ids{"often"}) << "the claim ended with the firing";
    advance("often", kTestNow, std::nullopt);
    EXPECT_EQ(list().size(), 1U) << "that firing was over before";
}

TEST_P(ScheduleStoreTest, KeepsWhatItWasGiven) {
    ASSERT_TRUE(add("cipher", kTestNow, "5 4 * * *"));
    Scheduled plain;
    plain.id = "plain";
    plain.mesh_id = "mesh";
    plain.member_id = "ada";
    plain.message = "h\xc3\xa9llo";
    plain.due_at = kTestNow + 1;
    ASSERT_TRUE(run(ScheduleStore(db()).add(plain)).value());
    const auto all = list();
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0].sender_key[31], 7);
    EXPECT_EQ(all[0].target_spec, "*");
    EXPECT_EQ(all[0].priority, Priority::low);
    EXPECT_FALSE(all[0].message);
    EXPECT_EQ(all[0].nonce, "n");
    EXPECT_EQ(all[0].ciphertext, "c");
    EXPECT_EQ(all[0].cron, "5 4 * * *");
    EXPECT_EQ(all[0].created_at, kTestNow);
    EXPECT_EQ(all[1].message, "h\xc3\xa9llo");
    EXPECT_EQ(all[1].cron, "");
}

TEST_P(ScheduleStoreTest, AMemberCancelsItsOwn) {
    ASSERT_TRUE(add("1", kTestNow));
    ScheduleStore store(db());
    EXPECT_FALSE(run(store.cancel("mesh", "bob", "1")).value());
    EXPECT_FALSE(run(store.cancel("other", "ada", "1")).value());
    EXPECT_EQ(list("bob").size(), 0U);
    EXPECT_TRUE(run(store.cancel("mesh", "ada", "1")).value());
    EXPECT_FALSE(run(store.cancel("mesh", "ada", "1")).value());
    EXPECT_EQ(claim(kTestNow), Ids());
}

TEST_P(ScheduleStoreTest, AMemberHasOnlySoMany) {
    for (int i = 0; i < ScheduleStore::kScheduledMax; ++i) {
        ASSERT_TRUE(add(fmt::format("{:03}", i), kTestNow + i));
    }
    EXPECT_FALSE(add("more", kTestNow));
    EXPECT_TRUE(add("bob's", kTestNow + 500, "", "bob"));
    EXPECT_TRUE(add("elsewhere", kTestNow + 500, "", "ada", "other"));
    EXPECT_EQ(claim(kTestNow + 200, 30).size(), 30U);
    EXPECT_EQ(claim(kTestNow + 200, 100).size(), 70U);
    EXPECT_EQ(claim(kTestNow + 200, 100).size(), 0U);
}

}  // namespace
}  // namespace nave::broker
