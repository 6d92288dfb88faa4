#include "broker/presence_store.h"

#include "broker/mesh_store.h"
#include "broker/queue_store.h"
#include "broker/test_store.h"

#include <fmt/format.h>

#include <memory>

namespace nave::broker {
namespace {

using Kind = ArrivalOutcome::Kind;

const Key kAda = key_number(1);
const Key kSession = key_number(11);

class PresenceStoreTest : public StoreTest {
  protected:
    void SetUp() override {
        StoreTest::SetUp();
        if (IsSkipped()) {
            return;
        }
        script("delete from mesh_presence; delete from mesh_node; delete from mesh_replay;");
        make_mesh();
        one_ = std::make_unique<PresenceStore>(db(), "one");
        two_ = std::make_unique<PresenceStore>(db(), "two");
        ASSERT_TRUE(run(one_->register_node({})));
        ASSERT_TRUE(run(two_->register_node({})));
    }
    void TearDown() override {
        one_.reset();
        two_.reset();
        StoreTest::TearDown();
    }

    static ArrivalRequest request(const std::string& id, const std::string& session_id,
                                  std::optional<Key> session_key = std::nullopt) {
        ArrivalRequest request;
        request.row.id = id;
        request.row.mesh_id = "mesh";
        request.row.member_id = "ada";
        request.row.member_key = kAda;
        request.row.session_key = session_key;
        request.row.profile.session_id = session_id;
        request.row.connected_at = kTestNow;
        request.capacity = 3;
        return request;
    }
    ArrivalOutcome arrive(PresenceStore& store, ArrivalRequest wanted) {
        auto outcome = run(store.arrive(std::move(wanted)));
        EXPECT_TRUE(outcome) << outcome.error().detail;
        return outcome.value_or(ArrivalOutcome());
    }
    Beat beat(PresenceStore& store, bool degraded = false) {
        auto outcome = run(store.beat(degraded, kTestNow));
        EXPECT_TRUE(outcome) << outcome.error().detail;
        return outcome.value_or(Beat());
    }
    std::vector<std::string> ids() {
        std::vector<std::string> found;
        const auto rows = run(one_->all("mesh"));
        EXPECT_TRUE(rows);
        for (const PresenceRow& row : *rows) {
            found.push_back(row.id + "@" + row.node);
        }
        std::ranges::sort(found);
        return found;
    }
    // The node was not heard of for so long, and has been alive for longer.
    void age(const std::string& node, std::int64_t seen_ms) {
        script(
            fmt::format("update mesh_node set seen_at = seen_at - {0}, "
                        "alive_since = alive_since - 60000 where id = '{1}'",
                        seen_ms, node));
    }
    using Ids = std::vector<std::string>;

    std::unique_ptr<PresenceStore> one_;
    std::unique_ptr<PresenceStore> two_;
};

TEST_P(PresenceStoreTest, CapacityCountsAllNodes) {
    EXPECT_EQ(arrive(*one_, request("a", "s1")).kind, Kind::added);
    EXPECT_EQ(arrive(*two_, request("b", "s2")).kind, Kind::added);
    EXPECT_EQ(arrive(*one_, request("c", "s3")).kind, Kind::added);
    EXPECT_EQ(arrive(*two_, request("d", "s4")).kind, Kind::full);
    EXPECT_EQ(ids(), (Ids{"a@one", "b@two", "c@one"}));
    // Whoever is away longest makes room.
    for (const auto& [id, lease] : {std::pair{"a", 200}, std::pair{"c", 100}}) {
        PresenceRow leased = request(id, "").row;
        leased.lease_ends_at = kTestNow + lease;
        const auto changed = run(one_->change({leased}, {}));
        ASSERT_TRUE(changed && changed->versions[0].has_value());
    }
    const ArrivalOutcome outcome = arrive(*two_, request("d", "s4"));
    EXPECT_EQ(outcome.kind, Kind::added);
    ASSERT_EQ(outcome.ended.size(), 1U);
    EXPECT_EQ(outcome.ended[0].id, "c");
    EXPECT_EQ(outcome.ended[0].node, "one");
    EXPECT_EQ(ids(), (Ids{"a@one", "b@two", "d@two"}));
}

TEST_P(PresenceStoreTest, AHelloPassesOnce) {
    ArrivalRequest wanted = request("a", "s1");
    wanted.hello = HelloStamp{ReplayKey{1}, kTestNow + 1'000};
    EXPECT_EQ(arrive(*one_, wanted).kind, Kind::added);
    wanted.row.id = "b";
    EXPECT_EQ(arrive(*two_, wanted).kind, Kind::replayed);
    wanted.hello->key = ReplayKey{2};
    EXPECT_EQ(arrive(*two_, wanted).kind, Kind::resumed);
    // Forgotten once its time has passed.
    ASSERT_TRUE(run(one_->beat(false, kTestNow + 1'001)));
    wanted.hello->key = ReplayKey{1};
    EXPECT_EQ(arrive(*one_, wanted).kind, Kind::resumed);
}

TEST_P(PresenceStoreTest, ASessionTakesItsPresenceAlong) {
    const auto first = arrive(*one_, request("a", "s1", kSession));
    const auto moved = arrive(*two_, request("b", "other", kSession));
    EXPECT_EQ(moved.kind, Kind::resumed);
    EXPECT_EQ(moved.row.id, "a");
    EXPECT_EQ(moved.former_node, "one");
    EXPECT_EQ(moved.row.version, first.row.version + 1);
    EXPECT_EQ(moved.row.arrivals, first.row.arrivals + 1);
    EXPECT_EQ(ids(), (Ids{"a@two"}));
    // The former node can neither change nor end it.
    const auto late = run(one_->change({first.row}, {{"a", first.row.arrivals}}));
    ASSERT_TRUE(late);
    EXPECT_FALSE(late->versions[0].has_value());
    EXPECT_TRUE(late->deleted.empty());
    EXPECT_EQ(ids(), (Ids{"a@two"}));
}

TEST_P(PresenceStoreTest, ADepartureOfBeforeDoesNotEndWhoIsBack) {
    const auto first = arrive(*one_, request("a", "s1", kSession));
    const auto again = arrive(*one_, request("b", "s1", kSession));
    EXPECT_EQ(again.row.id, "a");
    const auto late = run(one_->change({}, {{"a", first.row.arrivals}}));
    ASSERT_TRUE(late);
    EXPECT_TRUE(late->deleted.empty());
    const auto now = run(one_->change({}, {{"a", again.row.arrivals}}));
    ASSERT_TRUE(now);
    EXPECT_EQ(now->deleted, Ids{"a"});
    EXPECT_TRUE(ids().empty());
}

TEST_P(PresenceStoreTest, AYoungerConnectionOfASessionIdReplacesTheOlder) {
    arrive(*one_, request("a", "s1"));
    const auto outcome = arrive(*two_, request("b", "s1", kSession));
    EXPECT_EQ(outcome.kind, Kind::added);
    ASSERT_EQ(outcome.ended.size(), 1U);
    EXPECT_EQ(outcome.ended[0].id, "a");
    EXPECT_EQ(ids(), (Ids{"b@two"}));
}

TEST_P(PresenceStoreTest, AnArchivedMeshTakesNobody) {
    ASSERT_TRUE(run(MeshStore(db()).archive("mesh", kTestNow)));
    EXPECT_EQ(arrive(*one_, request("a", "s1")).kind, Kind::no_mesh);
}

TEST_P(PresenceStoreTest, ADeadNodeIsBuriedWithAllItHad) {
    QueueStore queue(db(), {.remember_ms = 1'000, .node = "one"});
    const auto append = [&](const std::string& id, bool many) {
        Append one;
        one.envelope.id = id;
        one.envelope.mesh_id = "mesh";
        one.envelope.sender_member_id = "ada";
        one.envelope.sender_key = kAda;
        one.envelope.target_spec = many ? "*" : "key";
        one.envelope.created_at = kTestNow;
        one.envelope.expires_at = kTestNow + 100'000;
        if (many) {
            one.live = {kSession};
        } else {
            one.recipient = kSession;
            one.claimed_by = "a";
            one.claimed_until = kTestNow + 30'000;
        }
        ASSERT_TRUE(run(queue.append({one})));
    };
    arrive(*one_, request("a", "s1", kSession));
    arrive(*two_, request("b", "s2"));
    append("claimed", false);
    append("live", true);
    age("one", 9'000);
    age("two", 0);
    EXPECT_TRUE(beat(*two_).buried.empty()) << "not yet";
    age("one", 2'000);
    const Beat found = beat(*two_);
    EXPECT_EQ(found.buried, Ids{"one"});
    EXPECT_EQ(ids(), (Ids{"b@two"}));
    ClaimRequest wanted;
    wanted.mesh_id = "mesh";
    wanted.recipients = {kAda, kSession};
    wanted.presence_id = "b";
    wanted.now = kTestNow;
    wanted.until = kTestNow + 30'000;
    const auto claimed = run(queue.claim(wanted));
    ASSERT_TRUE(claimed);
    ASSERT_EQ(claimed->envelopes.size(), 2U);
    EXPECT_EQ(claimed->envelopes[1].part.recipient, kAda) << "goes to the member";
    // It notices, and comes back with what nobody has taken meanwhile.
    EXPECT_FALSE(beat(*one_).registered);
    PresenceRow mine = request("a", "s1", kSession).row;
    mine.node = "one";
    mine.version = 5;
    PresenceRow other = request("c", "s2").row;
    other.node = "one";
    const auto lost = run(one_->register_node({mine, other}));
    ASSERT_TRUE(lost);
    EXPECT_EQ(*lost, Ids{"c"}) << "its session is at the other node";
    EXPECT_EQ(ids(), (Ids{"a@one", "b@two"}));
    EXPECT_TRUE(beat(*one_).registered);
}

TEST_P(PresenceStoreTest, WhoWasAwayJudgesNobody) {
    age("one", 20'000);
    age("two", 20'000);
    EXPECT_TRUE(beat(*two_).buried.empty()) << "it was away itself";
    EXPECT_TRUE(beat(*two_).buried.empty()) << "and is back for a moment only";
    age("two", 0);
    EXPECT_EQ(beat(*two_).buried, Ids{"one"});
}

TEST_P(PresenceStoreTest, ANodeThatCannotPublishIsKnown) {
    EXPECT_FALSE(beat(*one_).others_degraded);
    beat(*two_, true);
    EXPECT_TRUE(beat(*one_).others_degraded);
    EXPECT_FALSE(beat(*two_, true).others_degraded) << "not by itself";
    beat(*two_, false);
    EXPECT_FALSE(beat(*one_).others_degraded);
}

TEST_P(PresenceStoreTest, WorkIsFoundForThoseWhoAreHere) {
    arrive(*one_, request("a", "s1", kSession));
    arrive(*two_, request("b", "s2"));
    EXPECT_EQ(run(one_->with_work(kTestNow)).value(), Ids{});
    QueueStore queue(db(), {.remember_ms = 1'000, .node = "two"});
    Append one;
    one.envelope.id = "m";
    one.envelope.mesh_id = "mesh";
    one.envelope.sender_member_id = "ada";
    one.envelope.sender_key = kAda;
    one.envelope.target_spec = "*";
    one.envelope.created_at = kTestNow;
    one.envelope.expires_at = kTestNow + 100'000;
    one.absent = {kSession};
    ASSERT_TRUE(run(queue.append({one})));
    EXPECT_EQ(run(one_->with_work(kTestNow)).value(), Ids{"a"});
    EXPECT_EQ(run(two_->with_work(kTestNow)).value(), Ids{});
    one.envelope.id = "n";
    one.absent.clear();
    one.recipient = kAda;
    ASSERT_TRUE(run(queue.append({one})));
    EXPECT_EQ(run(two_->with_work(kTestNow)).value(), Ids{"b"});
}

BROKER_ON_EVERY_STORE(PresenceStoreTest);

}  // namespace
}  // namespace nave::broker
