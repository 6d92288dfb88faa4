#include "broker/queue_store.h"

#include "broker/test_store.h"

#include <fmt/format.h>

namespace nave::broker {
namespace {

const Key kAda = key_number(1);
const Key kBob = key_number(2);
const Key kCyd = key_number(3);
const Key kBobSession = key_number(12);

class QueueStoreTest : public StoreTest {
  protected:
    void SetUp() override {
        StoreTest::SetUp();
        if (IsSkipped()) {
            return;
        }
        store_ = std::make_unique<QueueStore>(db(), policy());
        make_mesh();
    }
    void TearDown() override {
        store_.reset();
        StoreTest::TearDown();
    }

    static QueuePolicy policy() { return {.remember_ms = 1'000, .node = {}}; }

    static Append envelope(const std::string& id, Priority priority = Priority::next) {
        Append append;
        Envelope& one = append.envelope;
        one.id = id;
        one.mesh_id = "mesh";
        one.sender_member_id = "ada";
        one.sender_key = kAda;
        one.target_spec = "*";
        one.priority = priority;
        one.nonce = "nonce";
        one.ciphertext = "text of " + id;
        one.created_at = kTestNow;
        one.expires_at = kTestNow + 100'000;
        return append;
    }
    static Append direct(const std::string& id, const Key& to, Priority priority = Priority::next) {
        Append append = envelope(id, priority);
        append.recipient = to;
        return append;
    }
    static Append claimed(Append append, const std::string& by) {
        append.claimed_by = by;
        append.claimed_until = kTestNow + 30'000;
        return append;
    }
    static Append to_many(const std::string& id, std::vector<Key> live, std::vector<Key> absent) {
        Append append = envelope(id);
        append.live = std::move(live);
        append.absent = std::move(absent);
        return append;
    }

    Sequence store(Append append) {
        auto stored = run(store_->append({std::move(append)}));
        EXPECT_TRUE(stored) << stored.error().detail;
        return stored.value()[0].sequence;
    }

    static ClaimRequest request(std::vector<Key> recipients) {
        ClaimRequest request;
        request.mesh_id = "mesh";
        request.recipients = std::move(recipients);
        request.presence_id = "presence";
        request.now = kTestNow;
        request.until = kTestNow + 30'000;
        return request;
    }
    std::vector<ClaimedEnvelope> claim(const ClaimRequest& wanted) {
        auto found = run(store_->claim(wanted));
        EXPECT_TRUE(found) << found.error().detail;
        more_ = found && found->more;
        return found ? std::move(found->envelopes) : std::vector<ClaimedEnvelope>();
    }
    using Ids = std::vector<std::string>;
    Ids claim_ids(const ClaimRequest& wanted) {
        Ids ids;
        for (const ClaimedEnvelope& one : claim(wanted)) {
            ids.push_back(one.envelope.id);
        }
        return ids;
    }
    Ids claim_ids(const Key& recipient) { return claim_ids(request({recipient})); }
    void settle(std::vector<Part> parts, std::vector<Sequence> finished = {}) {
        ASSERT_TRUE(run(store_->settle(std::move(parts), std::move(finished), kTestNow)));
    }
    std::int64_t depth() { return run(store_->depth(kTestNow)).value(); }

    std::unique_ptr<QueueStore> store_;
    bool more_ = false;  // of the last claim
};
BROKER_ON_EVERY_STORE(QueueStoreTest);

TEST_P(QueueStoreTest, ClaimsNoMoreThanAskedFor) {
    for (const char* id : {"1", "2", "3", "4", "5"}) {
        Append append = direct(id, kBob);
        append.envelope.ciphertext.assign(1'000, 'x');
        append.envelope.nonce.clear();
        store(std::move(append));
    }
    ClaimRequest wanted = request({kBob});
    wanted.bytes_max = 2'500;
    EXPECT_EQ(claim_ids(wanted), (Ids{"1", "2"}));
    EXPECT_TRUE(more_);
    wanted.bytes_max = 10;
    EXPECT_EQ(claim_ids(wanted), Ids{"3"}) << "one always";
    EXPECT_TRUE(more_);
    wanted.envelopes_max = 2;
    wanted.bytes_max = 2'000;
    EXPECT_EQ(claim_ids(wanted), (Ids{"4", "5"}));
    EXPECT_TRUE(more_) << "as many as asked for: there may be more";
    EXPECT_EQ(claim_ids(wanted), Ids());
    EXPECT_FALSE(more_);
}

TEST_P(QueueStoreTest, WaitsForItsKeyInOrderAndIsClaimedOnce) {
    store(direct("1", kBob));
    store(direct("2", kCyd));
    store(direct("3", kBob));
    EXPECT_EQ(depth(), 3);
    const auto found = claim(request({kBob}));
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].envelope.id, "1");
    EXPECT_EQ(found[1].envelope.id, "3");
    EXPECT_EQ(found[0].envelope.ciphertext, "text of 1");
    EXPECT_EQ(found[0].envelope.sender_member_key, kAda);
    EXPECT_EQ(found[0].envelope.sender_name, "Ada");
    EXPECT_EQ(found[0].part.kind, Part::Kind::direct);
    EXPECT_EQ(claim_ids(kBob), Ids()) << "claimed already";
    EXPECT_EQ(depth(), 3) << "claimed is not delivered";
    settle({found[0].part, found[1].part});
    EXPECT_EQ(depth(), 1);
}

TEST_P(QueueStoreTest, EverythingOrNothingOfABatchIsStored) {
    std::vector<Append> batch{direct("1", kBob), direct("2", kBob), direct("1", kBob)};
    EXPECT_FALSE(run(store_->append(std::move(batch)))) << "two envelopes of one id";
    EXPECT_EQ(depth(), 0);
}

TEST_P(QueueStoreTest, OneClientIdIsOneEnvelope) {
    Append first = direct("1", kBob);
    first.envelope.client_message_id = "c";
    Append again = direct("2", kBob);
    again.envelope.client_message_id = "c";
    auto stored = run(store_->append({first, again})).value();
    EXPECT_FALSE(stored[0].repeated);
    EXPECT_TRUE(stored[1].repeated);
    EXPECT_EQ(stored[1].id, "1");
    EXPECT_EQ(stored[1].sequence, stored[0].sequence);
    EXPECT_EQ(claim_ids(kBob), Ids{"1"});
}

TEST_P(QueueStoreTest, WhatIsPushedAtOnceIsNotQueuedUntilItIsGivenBack) {
    const Sequence sequence = store(claimed(direct("1", kBob), "presence"));
    EXPECT_EQ(claim_ids(kBob), Ids());
    EXPECT_EQ(depth(), 1);
    ASSERT_TRUE(run(store_->give_back({{sequence, Part::Kind::direct, kBob}})));
    EXPECT_EQ(claim_ids(kBob), Ids{"1"});
}

TEST_P(QueueStoreTest, OverdueClaimsOfDirectEnvelopesAreReleased) {
    store(claimed(direct("1", kBob), "presence"));
    EXPECT_TRUE(run(store_->release_overdue(kTestNow + 29'999)).value().empty());
    const auto released = run(store_->release_overdue(kTestNow + 30'000)).value();
    ASSERT_EQ(released.size(), 1U);
    EXPECT_EQ(released[0].mesh_id, "mesh");
    EXPECT_EQ(released[0].key, kBob);
    EXPECT_EQ(claim_ids(kBob), Ids{"1"});
}

TEST_P(QueueStoreTest, OnlyTheUrgentForWhoIsBusy) {
    store(direct("1", kBob, Priority::low));
    store(direct("2", kBob, Priority::now));
    store(direct("3", kBob));
    ClaimRequest urgent = request({kBob});
    urgent.only_urgent = true;
    EXPECT_EQ(claim_ids(urgent), Ids{"2"});
    EXPECT_EQ(claim_ids(kBob), (Ids{"1", "3"}));
}

TEST_P(QueueStoreTest, SeveralKeysAndKindsInOneOrder) {
    store(direct("1", kBobSession));
    store(to_many("2", {}, {kBob, kBobSession}));
    store(direct("3", kBob, Priority::now));
    store(direct("4", kBob));
    EXPECT_EQ(claim_ids(request({kBob, kBobSession})), (Ids{"1", "2", "2", "3", "4"}));
}

TEST_P(QueueStoreTest, ALimitedClaimTakesTheOldest) {
    for (int i = 0; i < 5; ++i) {
        store(direct(fmt::format("{}", i), i % 2 == 0 ? kBob : kBobSession));
    }
    ClaimRequest two = request({kBob, kBobSession});
    two.envelopes_max = 2;
    EXPECT_EQ(claim_ids(two), (Ids{"0", "1"}));
    EXPECT_EQ(claim_ids(two), (Ids{"2", "3"}));
    EXPECT_EQ(claim_ids(two), Ids{"4"});
}

TEST_P(QueueStoreTest, ToManyIsOneRowUntilSomebodyDoesNotGetIt) {
    const Sequence sequence = store(to_many("1", {kBob, kCyd}, {kAda}));
    EXPECT_EQ(claim_ids(kBob), Ids()) << "it is being pushed";
    const auto absent = claim(request({kAda}));
    ASSERT_EQ(absent.size(), 1U);
    EXPECT_EQ(absent[0].part.kind, Part::Kind::stored);
    ASSERT_TRUE(run(store_->give_back({{sequence, Part::Kind::live, kCyd}})));
    settle({absent[0].part}, {sequence});
    EXPECT_EQ(claim_ids(kCyd), Ids{"1"});
    EXPECT_EQ(claim_ids(kBob), Ids()) << "the list is gone with the push that arrived";
    EXPECT_EQ(run(store_->requeue_unsettled()).value(), 0);
}

TEST_P(QueueStoreTest, PushesUnderWayWhenTheProcessEndedAreQueuedAgain) {
    store(to_many("1", {kBob, kCyd}, {}));
    store(claimed(direct("2", kBob), "presence"));
    EXPECT_EQ(run(store_->requeue_unsettled()).value(), 2);
    EXPECT_EQ(claim_ids(kBob), (Ids{"1", "2"}));
    EXPECT_EQ(claim_ids(kCyd), Ids{"1"});
}

TEST_P(QueueStoreTest, AnEnvelopeInDoubtIsQueuedForAll) {
    store(claimed(direct("1", kBob), "presence"));
    store(to_many("2", {kBob}, {kCyd}));
    const auto keys = run(store_->requeue({"1", "2", "never stored"})).value();
    EXPECT_EQ(keys.size(), 3U);
    EXPECT_EQ(claim_ids(kBob), (Ids{"1", "2"}));
    EXPECT_EQ(claim_ids(kCyd), Ids{"2"});
}

TEST_P(QueueStoreTest, ClaimsInDoubtAreMadeAnew) {
    store(direct("1", kBob));
    store(to_many("2", {}, {kBob}));
    ClaimRequest wanted = request({kBob});
    EXPECT_EQ(claim_ids(wanted), (Ids{"1", "2"}));
    EXPECT_EQ(claim_ids(wanted), Ids());
    wanted.former_in_doubt = true;
    wanted.presence_id = "another presence";
    EXPECT_EQ(claim_ids(wanted), Ids()) << "these are not its own";
    wanted.presence_id = "presence";
    EXPECT_EQ(claim_ids(wanted), (Ids{"1", "2"}));
}

TEST_P(QueueStoreTest, ASessionSharesWhatNobodyElseOfItsMemberHasGot) {
    Append all = to_many("1", {}, {kBobSession});
    Append group = to_many("2", {}, {kBobSession});
    group.envelope.target_spec = "@front";
    Append late = to_many("3", {}, {kBobSession});
    late.envelope.created_at = kTestNow + 10;
    store(all);
    store(group);
    store(late);
    Sharing sharing;
    sharing.mesh_id = "mesh";
    sharing.session = kBobSession;
    sharing.member = kBob;
    sharing.seen = {{"*", kTestNow + 5}};
    sharing.keep = true;
    ASSERT_TRUE(run(store_->share(sharing)));
    EXPECT_EQ(claim_ids(kBob), (Ids{"1", "2"})) << "the third came when another was there";
    EXPECT_EQ(claim_ids(kBobSession), (Ids{"1", "2", "3"}));

    sharing.keep = false;
    sharing.after = kTestNow + 5;
    sharing.seen.clear();
    ASSERT_TRUE(run(store_->share(sharing)));
    EXPECT_EQ(claim_ids(kBob), Ids{"3"});
    ASSERT_TRUE(run(store_->requeue_unsettled()));
    EXPECT_EQ(claim_ids(kBobSession), Ids());
}

TEST_P(QueueStoreTest, KeysWithTooMuchWaitingAreNamed) {
    for (int i = 0; i < 3; ++i) {
        store(direct(fmt::format("{}", i), kBob));
    }
    store(direct("3", kCyd));
    EXPECT_TRUE(run(store_->backlogs(3)).value().empty());
    const auto over = run(store_->backlogs(2)).value();
    ASSERT_EQ(over.size(), 1U);
    EXPECT_EQ(over[0].key, kBob);
}

// ---- lists of live recipients that envelopes share

class SharedListTest : public QueueStoreTest {
  protected:
    static Key numbered(std::uint8_t number) {
        Key key{};
        key.fill(number);
        return key;
    }
    static std::vector<Key> keys(std::uint8_t from, std::uint8_t to) {
        std::vector<Key> all;
        for (std::uint8_t i = from; i < to; ++i) {
            all.push_back(numbered(i));
        }
        return all;
    }
    std::vector<Appended> store_all(std::vector<Append> appends) {
        auto stored = run(store_->append(std::move(appends)));
        EXPECT_TRUE(stored) << stored.error().detail;
        return stored.value();
    }
    std::int64_t lists() {
        return read([](storage::Transaction& tx) -> Result<std::int64_t> {
                   TRY(const auto row,
                       tx.query_one("select cast(count(*) as bigint) from mesh_live_list"));
                   return row->integer(0);
               })
            .value();
    }
    std::vector<Key> recipients(const std::string& id) {
        std::vector<Key> all;
        for (const auto& one : run(store_->status("mesh", id)).value()->recipients) {
            all.push_back(one.key);
        }
        return all;
    }
};

BROKER_ON_EVERY_STORE(SharedListTest);

// As PostgreSQL may show it: the envelope was read before it was settled, the list after.
TEST_P(SharedListTest, AListThatIsGoneIsNoRecipients) {
    store_all({to_many("1", keys(10, 30), {}), to_many("2", keys(10, 30), {})});
    ASSERT_EQ(lists(), 1);
    script("delete from mesh_live_list;");
    EXPECT_EQ(recipients("1"), std::vector<Key>());
    EXPECT_TRUE(run(store_->requeue({"1"})));
    EXPECT_EQ(claim_ids(key_number(10)), Ids());
}

TEST_P(SharedListTest, OneListForAllThatNameItUntilTheLastHasGone) {
    const auto stored =
        store_all({to_many("1", keys(10, 30), {}), to_many("2", keys(11, 31), {kBob}),
                   to_many("3", keys(10, 30), {}), to_many("4", keys(11, 31), {}),
                   to_many("5", keys(40, 60), {}), to_many("6", {kBob, kCyd}, {}),
                   to_many("7", {kBob, kCyd}, {}), direct("8", kBob)});
    EXPECT_EQ(lists(), 2) << "neither for one envelope nor for few keys";
    EXPECT_EQ(recipients("1"), keys(10, 30));
    EXPECT_EQ(recipients("3"), keys(10, 30));
    EXPECT_EQ(recipients("4"), keys(11, 31));
    EXPECT_EQ(recipients("5"), keys(40, 60));
    EXPECT_EQ(recipients("6"), (std::vector{kBob, kCyd}));
    settle({}, {stored[0].sequence, stored[1].sequence});
    EXPECT_EQ(lists(), 2);
    EXPECT_EQ(recipients("2"), std::vector{kBob}) << "its delivery row";
    EXPECT_EQ(recipients("3"), keys(10, 30));
    settle({}, {stored[2].sequence});
    EXPECT_EQ(lists(), 1);
    settle({}, {stored[3].sequence, stored[4].sequence, stored[5].sequence});
    EXPECT_EQ(lists(), 0);
    EXPECT_EQ(run(store_->status("mesh", "3")).value()->delivered_at, kTestNow);
    EXPECT_FALSE(run(store_->status("mesh", "2")).value()->delivered_at);
}

TEST_P(SharedListTest, AfterAStartAllOfItWaitsForEach) {
    store_all({to_many("1", keys(10, 30), {}), to_many("2", keys(10, 30), {})});
    store_ = std::make_unique<QueueStore>(db(), policy());
    EXPECT_EQ(run(store_->requeue_unsettled()).value(), 40);
    EXPECT_EQ(lists(), 0);
    EXPECT_EQ(claim_ids(numbered(29)), (Ids{"1", "2"}));
}

TEST_P(SharedListTest, AnEnvelopeInDoubtKnowsItsList) {
    store_all({to_many("1", keys(10, 30), {}), to_many("2", keys(10, 30), {})});
    EXPECT_EQ(run(store_->requeue({"1"})).value().size(), 20U);
    EXPECT_EQ(claim_ids(numbered(10)), Ids{"1"});
    EXPECT_EQ(recipients("2"), keys(10, 30)) << "still has it";
}

TEST_P(SharedListTest, WhatAProcessLeftBehindIsTrimmed) {
    const auto stored = store_all({to_many("1", keys(10, 30), {}), to_many("2", keys(10, 30), {}),
                                   to_many("3", keys(30, 50), {}), to_many("4", keys(30, 50), {})});
    store_ = std::make_unique<QueueStore>(db(), policy());
    settle({}, {stored[0].sequence, stored[1].sequence, stored[2].sequence});
    EXPECT_EQ(lists(), 2) << "another store's";
    ASSERT_TRUE(run(store_->trim(0, kTestNow)));
    EXPECT_EQ(lists(), 1);
    EXPECT_EQ(recipients("4"), keys(30, 50));
}

TEST_P(QueueStoreTest, WhatExpiredIsNotDeliveredAndGoes) {
    Append old = direct("1", kBob);
    old.envelope.expires_at = kTestNow;
    store(old);
    Append many = to_many("2", {}, {kBob});
    many.envelope.expires_at = kTestNow;
    store(many);
    store(direct("3", kBob));
    EXPECT_EQ(depth(), 1);
    EXPECT_EQ(claim_ids(kBob), Ids{"3"});
    EXPECT_EQ(run(store_->trim(0, kTestNow)).value(), 0);
    EXPECT_FALSE(run(store_->status("mesh", "1")).value());
    EXPECT_FALSE(run(store_->status("mesh", "2")).value());
    EXPECT_TRUE(run(store_->status("mesh", "3")).value());
}

TEST_P(QueueStoreTest, SettledEnvelopesAreRememberedForAWhile) {
    const Sequence sequence = store(direct("1", kBob));
    settle({{sequence, Part::Kind::direct, kBob}});
    const auto status = run(store_->status("mesh", "1")).value();
    ASSERT_TRUE(status);
    EXPECT_EQ(status->delivered_at, kTestNow);
    EXPECT_FALSE(run(store_->status("other mesh", "1")).value());
    ASSERT_TRUE(run(store_->trim(0, kTestNow + 999)));
    EXPECT_TRUE(run(store_->status("mesh", "1")).value());
    ASSERT_TRUE(run(store_->trim(0, kTestNow + 1'000)));
    EXPECT_FALSE(run(store_->status("mesh", "1")).value());
}

TEST_P(QueueStoreTest, TheStatusOfAnEnvelopeToMany) {
    const Sequence sequence = store(to_many("1", {kBob}, {kCyd}));
    auto status = run(store_->status("mesh", "1")).value();
    ASSERT_TRUE(status);
    EXPECT_EQ(status->recipients.size(), 2U);
    settle({}, {sequence});
    status = run(store_->status("mesh", "1")).value();
    ASSERT_EQ(status->recipients.size(), 1U) << "the live ones have it";
    EXPECT_EQ(status->recipients[0].key, kCyd);
    EXPECT_FALSE(status->delivered_at);
    settle({{sequence, Part::Kind::stored, kCyd}});
    EXPECT_EQ(run(store_->status("mesh", "1")).value()->delivered_at, kTestNow);
}

}  // namespace
}  // namespace nave::broker
