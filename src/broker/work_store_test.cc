#include "broker/work_store.h"

#include "broker/overview_store.h"
#include "broker/test_store.h"

#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace nave::broker {
namespace {

using Move = WorkStore::Move;

class WorkStoreTest : public StoreTest {
  protected:
    bool create(const std::string& id, const std::string& assignee = {}, UnixMillis at = kTestNow,
                const std::string& mesh = "mesh") {
        WorkItem item;
        item.id = id;
        item.title = "title of " + id;
        item.assignee = assignee;
        item.priority = "normal";
        item.tags = R"(["x"])";
        item.created_by_name = "Ada";
        item.created_at = at;
        return run(WorkStore(db()).create(mesh, item)).value();
    }
    Move claim(const std::string& id, const std::string& member, const std::string& mesh = "mesh") {
        return run(WorkStore(db()).claim(mesh, id, member, "name of " + member, kTestNow + 1))
            .value();
    }
    Move complete(const std::string& id, const std::string& member,
                  std::optional<std::string> result = std::nullopt) {
        return run(WorkStore(db()).complete("mesh", id, member, std::move(result), kTestNow + 2))
            .value();
    }
    std::vector<WorkItem> list(const std::string& status = {}, const std::string& assignee = {},
                               const std::string& mesh = "mesh") {
        return run(WorkStore(db()).list(mesh, {status, assignee})).value();
    }
    std::vector<std::string> ids(const std::string& status = {}, const std::string& assignee = {}) {
        std::vector<std::string> ids;
        for (const WorkItem& item : list(status, assignee)) {
            ids.push_back(item.id);
        }
        return ids;
    }
};
BROKER_ON_EVERY_STORE(WorkStoreTest);

using Ids = std::vector<std::string>;

TEST_P(WorkStoreTest, OpenThenClaimedThenDone) {
    ASSERT_TRUE(create("1", "bob"));
    WorkItem item = list().at(0);
    EXPECT_EQ(item.title, "title of 1");
    EXPECT_EQ(item.assignee, "bob");
    EXPECT_EQ(item.tags, R"(["x"])");
    EXPECT_EQ(item.status, "open");
    EXPECT_EQ(item.created_by_name, "Ada");
    EXPECT_EQ(item.claimed_by_name, "");
    EXPECT_FALSE(item.result || item.claimed_at || item.completed_at);

    EXPECT_EQ(complete("1", "m1"), Move::refused) << "nobody has claimed it";
    EXPECT_EQ(claim("1", "m1"), Move::made);
    EXPECT_EQ(claim("1", "m2"), Move::refused);
    EXPECT_EQ(claim("1", "m1"), Move::refused) << "only from open";
    EXPECT_EQ(complete("1", "m2"), Move::refused);
    EXPECT_EQ(list().at(0).status, "claimed");
    EXPECT_EQ(list().at(0).claimed_by_name, "name of m1");
    EXPECT_EQ(complete("1", "m1", "it is done"), Move::made);
    EXPECT_EQ(complete("1", "m1", "again"), Move::refused);
    EXPECT_EQ(claim("1", "m2"), Move::refused);
    item = list().at(0);
    EXPECT_EQ(item.status, "done");
    EXPECT_EQ(item.result, "it is done");
    EXPECT_EQ(item.claimed_at, kTestNow + 1);
    EXPECT_EQ(item.completed_at, kTestNow + 2);
}

TEST_P(WorkStoreTest, WhatIsNotThereIsNotFound) {
    ASSERT_TRUE(create("1"));
    EXPECT_EQ(claim("2", "m1"), Move::not_found);
    EXPECT_EQ(complete("2", "m1"), Move::not_found);
    EXPECT_EQ(claim("1", "m1", "another mesh"), Move::not_found);
    EXPECT_EQ(list({}, {}, "another mesh").size(), 0U);
}

TEST_P(WorkStoreTest, OfManyWhoClaimAtOnceOneGetsIt) {
    constexpr int kTasks = 20;
    constexpr int kMembers = 8;
    WorkStore store(db());
    for (int task = 0; task < kTasks; ++task) {
        ASSERT_TRUE(create(fmt::format("t{}", task)));
    }
    std::vector<std::optional<Result<Move>>> moves(kTasks * kMembers);
    for (int i = 0; i < kTasks * kMembers; ++i) {
        boost::asio::co_spawn(
            loop_.executor(),
            storage::keep_value(store.claim("mesh", fmt::format("t{}", i / kMembers),
                                            fmt::format("m{}", i % kMembers), "name", kTestNow),
                                moves[static_cast<std::size_t>(i)]),
            [](std::exception_ptr error) { EXPECT_FALSE(error); });
    }
    loop_.run();
    for (int task = 0; task < kTasks; ++task) {
        int made = 0;
        for (int member = 0; member < kMembers; ++member) {
            made += moves[static_cast<std::size_t>(task * kMembers + member)]->value() == Move::made
                        ? 1
                        : 0;
        }
        EXPECT_EQ(made, 1) << task;
    }
}

TEST_P(WorkStoreTest, ListsTheYoungestFirstAndFilters) {
    ASSERT_TRUE(create("old", "bob", kTestNow));
    ASSERT_TRUE(create("young", "ada", kTestNow + 5));
    ASSERT_TRUE(create("middle", "bob", kTestNow + 3));
    EXPECT_EQ(claim("middle", "m1"), Move::made);
    EXPECT_EQ(ids(), (Ids{"young", "middle", "old"}));
    EXPECT_EQ(ids("open"), (Ids{"young", "old"}));
    EXPECT_EQ(ids("claimed"), (Ids{"middle"}));
    EXPECT_EQ(ids("done"), (Ids{}));
    EXPECT_EQ(ids("", "bob"), (Ids{"middle", "old"}));
    EXPECT_EQ(ids("open", "bob"), (Ids{"old"}));
    EXPECT_EQ(ids("' or ''='", "%"), (Ids{}));
    for (int i = 0; i < 110; ++i) {
        ASSERT_TRUE(create(fmt::format("more{:03}", i), "", kTestNow + 10 + i));
    }
    const Ids all = ids();
    EXPECT_EQ(all.size(), 100U);
    EXPECT_EQ(all.front(), "more109");
}

TEST_P(WorkStoreTest, InAFullMeshTheOldestDoneMakesRoom) {
    const bool sqlite = GetParam() != storage::Store::postgres;
    const std::string rows =
        sqlite ? "with recursive n (i) as (select 1 union all select i + 1 from n where i < 9998) "
               : "";
    script(rows +
           "insert into mesh_task (id, mesh_id, title, assignee, priority, tags, status, "
           "created_by_name, created_at) select 'x' || i, 'mesh', '', '', '', '[]', 'open', '', 0 "
           "from " +
           (sqlite ? "n" : "generate_series(1, 9998) i"));
    ASSERT_TRUE(create("done first"));
    ASSERT_TRUE(create("done later"));
    EXPECT_FALSE(create("no room"));
    EXPECT_TRUE(create("elsewhere", "", kTestNow, "other"));
    ASSERT_EQ(claim("done first", "m1"), Move::made);
    EXPECT_FALSE(create("still no room"));
    ASSERT_EQ(complete("done first", "m1"), Move::made);
    ASSERT_TRUE(create("room"));
    EXPECT_EQ(claim("done first", "m1"), Move::not_found);
    EXPECT_EQ(claim("done later", "m1"), Move::made);
    EXPECT_FALSE(create("no room again"));
}

TEST_P(WorkStoreTest, TheOverviewCountsThem) {
    ASSERT_TRUE(create("1"));
    ASSERT_TRUE(create("2"));
    ASSERT_TRUE(create("3"));
    ASSERT_TRUE(create("elsewhere", "", kTestNow, "other"));
    ASSERT_EQ(claim("1", "m1"), Move::made);
    ASSERT_EQ(claim("2", "m1"), Move::made);
    ASSERT_EQ(complete("2", "m1"), Move::made);
    script(
        "insert into mesh_state (mesh_id, key, value, updated_by, updated_by_name, updated_at) "
        "values ('mesh', 'a', '1', '', '', 0), ('mesh', 'b', '1', '', '', 0), "
        "('other', 'c', '1', '', '', 0)");
    const MeshCounts counts = run(OverviewStore(db()).count("mesh")).value();
    EXPECT_EQ(counts.state_keys, 2);
    EXPECT_EQ(counts.memories, 0);
    EXPECT_EQ(counts.tasks_open, 1);
    EXPECT_EQ(counts.tasks_claimed, 1);
    EXPECT_EQ(counts.tasks_done, 1);
    EXPECT_EQ(run(OverviewStore(db()).count("unknown")).value().tasks_open, 0);
}

}  // namespace
}  // namespace nave::broker
