#include "broker/audit_store.h"

#include "broker/mesh_store.h"
#include "broker/test_store.h"

#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>

#include <set>

namespace nave::broker {
namespace {

class AuditStoreTest : public StoreTest {
  protected:
    Result<void> append(std::vector<AuditEntry> entries) {
        return run(AuditStore(db()).append(std::move(entries)));
    }
    static AuditEntry set(const std::string& mesh, const std::string& key,
                          UnixMillis at = kTestNow) {
        return {mesh, "member", AuditEvent::state_set(key), at};
    }
    void append_count(const std::string& mesh, int count, UnixMillis at = kTestNow) {
        std::vector<AuditEntry> entries;
        for (int i = 0; i < count; ++i) {
            entries.push_back(set(mesh, fmt::format("key {}", i), at));
        }
        ASSERT_TRUE(append(std::move(entries)));
    }
    AuditVerdict verify(const std::string& mesh) {
        const auto verdict = run(AuditStore(db()).verify(mesh));
        EXPECT_TRUE(verdict) << verdict.error().detail;
        return verdict.value_or(AuditVerdict());
    }
    std::vector<AuditRecord> records(const std::string& mesh) {
        return run(AuditStore(db()).following(mesh, 0, 10'000)).value();
    }
    std::optional<AuditTrim> trim(const std::string& after, UnixMillis before) {
        return run(AuditStore(db()).trim(after, before)).value();
    }
};
BROKER_ON_EVERY_STORE(AuditStoreTest);

TEST_P(AuditStoreTest, AnEmptyLogHolds) {
    const AuditVerdict verdict = verify("mesh");
    EXPECT_FALSE(verdict.broken);
    EXPECT_EQ(verdict.records, 0);
    EXPECT_EQ(verdict.head, kAuditGenesis);
}

TEST_P(AuditStoreTest, RecordsOfEachMeshAreAChain) {
    ASSERT_TRUE(append({set("one", "a"), set("two", "b"), set("one", "c")}));
    ASSERT_TRUE(append({set("one", "d", kTestNow + 5)}));
    const auto one = records("one");
    ASSERT_EQ(one.size(), 3U);
    EXPECT_EQ(one[0].prev_hash, kAuditGenesis);
    EXPECT_EQ(one[1].prev_hash, one[0].hash);
    EXPECT_EQ(one[2].prev_hash, one[1].hash);
    EXPECT_EQ(one[1].payload, R"({"key":"c"})");
    EXPECT_EQ(one[2].created_at, kTestNow + 5);
    EXPECT_EQ(one[2].actor_member_id, "member");
    EXPECT_EQ(records("two").size(), 1U);
    const AuditVerdict verdict = verify("one");
    EXPECT_FALSE(verdict.broken);
    EXPECT_EQ(verdict.records, 3);
    EXPECT_EQ(verdict.head, one[2].hash);
}

TEST_P(AuditStoreTest, ALogOfSeveralPagesHolds) {
    append_count("mesh", 1'001);
    EXPECT_EQ(verify("mesh").records, 1'001);
    EXPECT_FALSE(verify("mesh").broken);
}

TEST_P(AuditStoreTest, LatestGoesBackwards) {
    append_count("mesh", 5);
    const auto newest = run(AuditStore(db()).latest("mesh", std::nullopt, 2)).value();
    ASSERT_EQ(newest.size(), 2U);
    EXPECT_EQ(newest[0].payload, R"({"key":"key 4"})");
    const auto next = run(AuditStore(db()).latest("mesh", newest[1].id, 10)).value();
    ASSERT_EQ(next.size(), 3U);
    EXPECT_EQ(next[0].payload, R"({"key":"key 2"})");
    EXPECT_TRUE(run(AuditStore(db()).latest("other", std::nullopt, 10)).value().empty());
}

struct Tampering {
    const char* name;
    const char* sql;  // {} is the id of the third of five records
    AuditFault fault;
    int offset;  // of the record that is named, from the third
};

class AuditTamperingTest : public AuditStoreTest {};
BROKER_ON_EVERY_STORE(AuditTamperingTest);

TEST_P(AuditTamperingTest, TheRecordIsNamed) {
    constexpr Tampering kTamperings[] = {
        {"payload", R"(update mesh_audit set payload = '{{"key":"x"}}' where id = {})",
         AuditFault::wrong_hash, 0},
        {"type", "update mesh_audit set type = 'peer_left' where id = {}", AuditFault::wrong_hash,
         0},
        {"actor", "update mesh_audit set actor_member_id = null where id = {}",
         AuditFault::wrong_hash, 0},
        {"time", "update mesh_audit set created_at = created_at + 1 where id = {}",
         AuditFault::wrong_hash, 0},
        {"no json", "update mesh_audit set payload = '{{' where id = {}", AuditFault::unreadable,
         0},
        {"removed", "delete from mesh_audit where id = {}", AuditFault::broken_link, 1},
        {"first removed", "delete from mesh_audit where id < {}", AuditFault::broken_link, 0},
        {"end removed", "delete from mesh_audit where id > {}", AuditFault::missing_end, 0},
    };
    for (const Tampering& tampering : kTamperings) {
        SCOPED_TRACE(tampering.name);
        script("delete from mesh_audit; delete from mesh_audit_head;");
        append_count("mesh", 5);
        ASSERT_FALSE(verify("mesh").broken);
        const std::int64_t third = records("mesh")[2].id;
        script(fmt::format(fmt::runtime(tampering.sql), third));
        EXPECT_EQ(verify("mesh").broken, (AuditBreak{third + tampering.offset, tampering.fault}));
    }
}

TEST_P(AuditTamperingTest, AnEmptiedLogIsNoticed) {
    append_count("mesh", 3);
    script("delete from mesh_audit");
    EXPECT_EQ(verify("mesh").broken, (AuditBreak{0, AuditFault::missing_end}));
}

TEST_P(AuditStoreTest, TrimmingTakesTheOldestAndTheRestHolds) {
    append_count("mesh", 3, kTestNow);
    append_count("mesh", 2, kTestNow + 1'000);
    const auto before = verify("mesh");
    const auto trimmed = trim("", kTestNow + 1'000);
    ASSERT_TRUE(trimmed);
    EXPECT_EQ(trimmed->mesh_id, "mesh");
    EXPECT_EQ(trimmed->removed, 3);
    EXPECT_EQ(trim("", kTestNow + 1'000)->removed, 0);
    EXPECT_FALSE(trim("mesh", kTestNow + 1'000));
    const AuditVerdict verdict = verify("mesh");
    EXPECT_FALSE(verdict.broken);
    EXPECT_EQ(verdict.records, 2);
    EXPECT_EQ(verdict.trimmed, 3);
    EXPECT_EQ(verdict.head, before.head);
    append_count("mesh", 1, kTestNow + 2'000);
    EXPECT_EQ(verify("mesh").records, 3);
    script("delete from mesh_audit where id = (select min(id) from mesh_audit)");
    EXPECT_EQ(verify("mesh").broken->fault, AuditFault::broken_link);
}

TEST_P(AuditStoreTest, AWholeLogMayBeTrimmed) {
    append_count("mesh", 3);
    EXPECT_EQ(trim("", kTestNow + 1)->removed, 3);
    const AuditVerdict verdict = verify("mesh");
    EXPECT_FALSE(verdict.broken);
    EXPECT_EQ(verdict.trimmed, 3);
    append_count("mesh", 1);
    EXPECT_FALSE(verify("mesh").broken);
}

TEST_P(AuditStoreTest, TrimmingStopsAtTheFirstThatIsYoungEnough) {
    ASSERT_TRUE(append({set("mesh", "a", kTestNow), set("mesh", "b", kTestNow + 10),
                        set("mesh", "c", kTestNow + 1)}));
    EXPECT_EQ(trim("", kTestNow + 5)->removed, 1);
    EXPECT_EQ(verify("mesh").records, 2);
}

TEST_P(AuditStoreTest, AppendsAtTheSameTimeMakeOneChain) {
    constexpr int kWriters = 16;
    AuditStore store(db());
    int stored = 0;
    for (int i = 0; i < kWriters; ++i) {
        // Meshes in opposite orders: their locks are still taken in one.
        std::vector<AuditEntry> entries{set("one", fmt::format("{} a", i)), set("two", "b"),
                                        set("one", fmt::format("{} c", i))};
        if (i % 2 == 0) {
            std::ranges::reverse(entries);
        }
        boost::asio::co_spawn(loop_.executor(), store.append(std::move(entries)),
                              [&](std::exception_ptr thrown, const Result<void>& done) {
                                  stored += !thrown && done ? 1 : 0;
                              });
    }
    loop_.run();
    EXPECT_EQ(stored, kWriters);
    EXPECT_FALSE(verify("one").broken);
    EXPECT_EQ(verify("one").records, 2 * kWriters);
    EXPECT_EQ(verify("two").records, kWriters);
    std::set<std::string> links;
    for (const AuditRecord& record : records("one")) {
        EXPECT_TRUE(links.insert(record.prev_hash).second);
    }
}

TEST_P(AuditStoreTest, ChangesOfMembershipAreRecordedWithThem) {
    MeshStore meshes(db());
    NewMesh made;
    made.mesh = {"mesh", "A mesh", "a-mesh", Key{1}, kTestNow, std::nullopt};
    made.owner_secret = Bytes(32, 2);
    made.root_key = Bytes(32, 3);
    ASSERT_TRUE(run(meshes.create(made)));
    EXPECT_FALSE(run(meshes.create(made)));
    const Member anna{"anna", "mesh", Key{7}, "Anna", Role::member, {}, kTestNow, std::nullopt};
    ASSERT_TRUE(run(meshes.add_member(anna)));
    EXPECT_FALSE(run(meshes.add_member(anna)));
    Invite invite;
    invite.id = "invite";
    invite.mesh_id = "mesh";
    ASSERT_TRUE(run(meshes.create_invite(invite, "token")).value());
    for (int i = 0; i < 2; ++i) {  // the second time changes nothing
        ASSERT_TRUE(run(meshes.revoke_invite("mesh", "invite", kTestNow)).value());
        ASSERT_TRUE(run(meshes.revoke_member("mesh", "anna", "boss", kTestNow)).value());
    }
    ASSERT_TRUE(run(meshes.restore_member("mesh", "anna", "", kTestNow)).value());
    ASSERT_TRUE(run(meshes.archive("mesh", kTestNow)).value());
    ASSERT_TRUE(run(meshes.archive("mesh", kTestNow)).value());
    std::vector<std::pair<std::string, std::string>> seen;
    for (const AuditRecord& record : records("mesh")) {
        seen.emplace_back(record.type, record.actor_member_id);
    }
    const std::vector<std::pair<std::string, std::string>> expected{
        {"mesh_created", ""},   {"member_joined", "anna"}, {"invite_created", ""},
        {"invite_revoked", ""}, {"member_banned", "boss"}, {"member_unbanned", ""},
        {"mesh_archived", ""},
    };
    EXPECT_EQ(seen, expected);
    EXPECT_FALSE(verify("mesh").broken);
}

}  // namespace
}  // namespace nave::broker
