#include "broker/delivery.h"

#include "broker/mesh_store.h"
#include "broker/test_store.h"
#include "runtime/task_group.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace nave::broker {
namespace {

const Key kAda = key_number(1);
const Key kBob = key_number(2);
const Key kCyd = key_number(3);
const Key kCydSession = key_number(13);

using Texts = std::vector<std::string>;

// A peer's end: what it was sent, and how much of that its kernel has not taken.
class FakeSocket final : public net::WebSocket {
  public:
    bool send_text(std::string_view) override { return open_; }
    bool send_binary(std::string_view) override { return open_; }
    bool send(const net::SharedFrame& frame) override {
        const auto push = boost::json::parse(frame.payload());
        texts.emplace_back(push.at("ciphertext").as_string());
        ids.emplace_back(push.at("messageId").as_string());
        queued += reads ? 0 : frame.bytes().size();
        queued_most = std::max(queued_most, queued);
        return open_;
    }
    bool ping(std::string_view payload) override {
        pings.push_back(std::stoull(std::string(payload)));
        return open_;
    }
    [[nodiscard]] std::size_t buffered() const override { return queued; }
    void close(std::uint16_t, std::string_view) override { open_ = false; }
    void pause() override {}
    void resume() override {}
    [[nodiscard]] bool is_open() const override { return open_; }
    [[nodiscard]] std::string_view protocol() const override { return {}; }

    Texts texts;
    Texts ids;
    std::vector<std::uint64_t> pings;
    bool reads = true;
    std::size_t queued = 0;
    std::size_t queued_most = 0;

  private:
    bool open_ = true;
};

struct Peer {
    Presence* presence = nullptr;
    boost::intrusive_ptr<FakeSocket> socket;
};

class Counts final : public DeliveryObserver {
  public:
    void on_pushed(Priority, std::size_t peers) override { pushed += peers; }
    void on_settled(std::size_t pushes) override { settled += pushes; }
    void on_redelivered() override { redelivered += 1; }
    std::size_t pushed = 0;
    std::size_t settled = 0;
    std::size_t redelivered = 0;
};

class DeliveryTest : public StoreTest {
  protected:
    void SetUp() override {
        StoreTest::SetUp();
        if (IsSkipped()) {
            return;
        }
        NewMesh mesh;
        mesh.mesh.id = mesh.mesh.name = mesh.mesh.slug = "mesh";
        mesh.owner_secret = mesh.root_key = Bytes(32);
        MeshStore meshes(db());
        ASSERT_TRUE(run(meshes.create(mesh)));
        std::vector<Member> members;
        for (const auto& [id, key] : {std::pair("ada", kAda), {"bob", kBob}, {"cyd", kCyd}}) {
            Member member;
            member.id = id;
            member.mesh_id = "mesh";
            member.key = key;
            member.display_name = id;
            ASSERT_TRUE(run(meshes.add_member(member)));
            members.push_back(member);
        }
        registry_.load_mesh(mesh.mesh, members);
        store_ = std::make_unique<QueueStore>(db(), QueuePolicy{});
        make_delivery();
        ada_ = connect("ada");
    }
    void TearDown() override {
        delivery_.reset();
        tasks_.reset();
        store_.reset();
        StoreTest::TearDown();
    }
    void make_delivery(DeliveryLimits limits = DeliveryLimits()) {
        tasks_ = std::make_unique<TaskGroup>(loop_, logger_);
        delivery_ = std::make_unique<Delivery>(loop_, clock_, registry_, *store_, *tasks_, logger_,
                                               counts_, limits);
    }

    // Until nothing more happens by itself.
    void settle() { loop_.run(); }

    Peer connect(const std::string& member, std::optional<Key> session = std::nullopt,
                 bool reads = true) {
        PresencePtr presence(new Presence);
        presence->id = fmt::format("{}-{}", member, ++presences_);
        presence->mesh_id = "mesh";
        presence->member = *registry_.member_by_id("mesh", member);
        presence->session_key = session;
        presence->status.updated_at = clock_.now();
        return attach(registry_.add(presence), reads);
    }
    Peer attach(Presence& presence, bool reads = true) {
        Peer peer{&presence, new FakeSocket};
        peer.socket->reads = reads;
        registry_.set_connected(presence, peer.socket);
        delivery_->wake(presence);
        settle();
        return peer;
    }
    void cut(Peer& peer) {
        delivery_->on_disconnect(*peer.presence);
        registry_.set_disconnected(*peer.presence, clock_.now() + 90'000);
        settle();
    }
    // Its kernel takes everything, and it answers every ping.
    void read(Peer& peer) {
        do {
            peer.socket->queued = 0;
            for (const std::uint64_t number : std::exchange(peer.socket->pings, {})) {
                delivery_->on_pong(*peer.presence, number);
            }
            settle();
        } while (!peer.socket->pings.empty());
    }
    void set_status(Peer& peer, Status status) {
        peer.presence->status = {status, StatusSource::manual, clock_.now()};
        delivery_->wake(*peer.presence);
    }

    Result<void> send(const Target& target, const std::string& text,
                      Priority priority = Priority::next) {
        Envelope envelope;
        envelope.id = fmt::format("{:032}", ++sent_);
        envelope.mesh_id = "mesh";
        envelope.sender_member_id = "ada";
        envelope.sender_member_key = envelope.sender_key = kAda;
        envelope.target_spec = target_text(target);
        envelope.priority = priority;
        envelope.ciphertext = text;
        envelope.created_at = clock_.now();
        envelope.expires_at = clock_.now() + 1'000'000;
        return delivery_->send({"mesh", kAda, ada_.presence}, target, std::move(envelope),
                               [this, text](const Result<Appended>& stored) {
                                   stored_.push_back(stored ? text : stored.error().id);
                               });
    }
    void send_all(const Target& target, const Texts& texts) {
        for (const std::string& text : texts) {
            ASSERT_TRUE(send(target, text));
        }
    }
    static Texts numbered(std::size_t count, std::size_t size = 0) {
        Texts texts;
        for (std::size_t i = 0; i < count; ++i) {
            texts.push_back(fmt::format("{:05}{}", i, std::string(size, '.')));
        }
        return texts;
    }
    Task<bool> stop() {
        co_await delivery_->stop(std::chrono::seconds{10});
        co_return true;
    }
    std::int64_t depth() { return run(store_->depth(clock_.now())).value(); }

    ManualClock clock_{kTestNow};
    Registry registry_;
    Counts counts_;
    std::unique_ptr<QueueStore> store_;
    std::unique_ptr<TaskGroup> tasks_;
    std::unique_ptr<Delivery> delivery_;
    Peer ada_;
    Texts stored_;  // what the senders were told
    int presences_ = 0;
    int sent_ = 0;
};
BROKER_ON_EVERY_STORE(DeliveryTest);

TEST_P(DeliveryTest, StoresBeforeItPushesAndForgetsWhatHasArrived) {
    Peer bob = connect("bob");
    ASSERT_TRUE(send(kBob, "hello"));
    EXPECT_TRUE(stored_.empty()) << "answered after the commit";
    EXPECT_TRUE(bob.socket->texts.empty()) << "pushed after the commit";
    settle();
    EXPECT_EQ(stored_, Texts{"hello"});
    EXPECT_EQ(bob.socket->texts, Texts{"hello"});
    EXPECT_EQ(depth(), 1) << "nothing says that it has arrived";
    read(bob);
    EXPECT_EQ(depth(), 0);
    EXPECT_EQ(counts_.settled, 1U);
}

TEST_P(DeliveryTest, WaitsForWhoIsAbsent) {
    const Texts all = numbered(150);
    send_all(kBob, all);
    settle();
    EXPECT_EQ(depth(), 150);
    Peer bob = connect("bob");
    read(bob);
    EXPECT_EQ(bob.socket->texts, all);
    EXPECT_EQ(depth(), 0);
}

TEST_P(DeliveryTest, WhatIsSentWhileTheQueueIsReadComesAfterIt) {
    send_all(kBob, {"1", "2", "3"});
    settle();
    PresencePtr presence(new Presence);
    presence->id = "bob";
    presence->mesh_id = "mesh";
    presence->member = *registry_.member_by_id("mesh", "bob");
    Peer bob{&registry_.add(presence), new FakeSocket};
    registry_.set_connected(*presence, bob.socket);
    delivery_->wake(*presence);
    send_all(kBob, {"4", "5"});
    loop_.poll();
    send_all(kBob, {"6", "7"});
    settle();
    read(bob);
    EXPECT_EQ(bob.socket->texts, (Texts{"1", "2", "3", "4", "5", "6", "7"}));
}

TEST_P(DeliveryTest, SentBeforeTheReceiverCameAndStoredAfter) {
    send_all(kBob, {"1", "2"});
    Peer bob = connect("bob");
    read(bob);
    EXPECT_EQ(bob.socket->texts, (Texts{"1", "2"}));
    send_all(kBob, {"3"});
    settle();
    EXPECT_EQ(bob.socket->texts, (Texts{"1", "2", "3"}));
}

TEST_P(DeliveryTest, APeerThatDoesNotReadIsSentNoMoreThanItsRoom) {
    const DeliveryLimits limits;
    const std::size_t one = 30'000;
    Peer bob = connect("bob", std::nullopt, false);
    const Texts all = numbered(200, one);
    for (std::size_t i = 0; i < all.size(); i += 50) {
        send_all(kBob, Texts(all.begin() + static_cast<std::ptrdiff_t>(i),
                             all.begin() + static_cast<std::ptrdiff_t>(i + 50)));
        settle();
    }
    EXPECT_LT(bob.socket->texts.size(), 50U);
    bob.socket->queued = 0;  // read once, without an answer
    delivery_->wake(*bob.presence);
    settle();
    read(bob);
    EXPECT_LE(bob.socket->queued_most, limits.buffered_max + 2 * one) << "one beyond the room";
    EXPECT_EQ(bob.socket->texts, all);
}

TEST_P(DeliveryTest, NoMoreThanSoManyAreUnderWay) {
    DeliveryLimits limits;
    limits.in_flight_max = 10;
    limits.drain_batch = 4;
    make_delivery(limits);
    Peer bob = connect("bob");
    const Texts all = numbered(50);
    for (const std::string& text : all) {
        send_all(kBob, {text});
        settle();
    }
    EXPECT_LT(bob.socket->texts.size(), 10U + 4U);
    read(bob);
    EXPECT_EQ(bob.socket->texts, all);
}

TEST_P(DeliveryTest, StatusHoldsBackAllButWhatIsUrgent) {
    Peer bob = connect("bob");
    set_status(bob, Status::working);
    settle();
    send_all(kBob, {"later", "and later"});
    ASSERT_TRUE(send(kBob, "now", Priority::now));
    settle();
    EXPECT_EQ(bob.socket->texts, Texts{"now"});
    set_status(bob, Status::idle);
    settle();
    EXPECT_EQ(bob.socket->texts, (Texts{"now", "later", "and later"}));
}

TEST_P(DeliveryTest, WhatHadNotArrivedAtACutComesFirstOnTheNextConnection) {
    Peer bob = connect("bob");
    send_all(kBob, {"1", "2"});
    settle();
    read(bob);
    send_all(kBob, {"3", "4"});
    settle();
    send_all(kBob, {"5"});
    cut(bob);  // while the last is being stored
    send_all(kBob, {"6"});
    settle();
    Peer again = attach(*bob.presence);
    read(again);
    EXPECT_EQ(again.socket->texts, (Texts{"3", "4", "5", "6"}));
    EXPECT_EQ(depth(), 0);
}

TEST_P(DeliveryTest, AnAnswerOfAFormerConnectionIsNone) {
    Peer bob = connect("bob");
    send_all(kBob, {"1"});
    settle();
    ASSERT_FALSE(bob.socket->pings.empty());
    const std::uint64_t ping = bob.socket->pings.front();
    cut(bob);
    Peer again = attach(*bob.presence);
    EXPECT_EQ(again.socket->texts, Texts{"1"});
    delivery_->on_pong(*again.presence, ping + 100);
    settle();
    EXPECT_EQ(depth(), 1) << "no such ping was sent";
}

TEST_P(DeliveryTest, WhatIsNotAcknowledgedComesAgain) {
    Peer bob = connect("bob");
    delivery_->on_ack(*bob.presence, "none", "");
    send_all(kBob, {"1", "2", "3"});
    settle();
    delivery_->on_ack(*bob.presence, bob.socket->ids[1], "");
    clock_.advance(std::chrono::seconds{29});
    delivery_->sweep();
    settle();
    EXPECT_EQ(bob.socket->texts.size(), 3U);
    clock_.advance(std::chrono::seconds{2});
    delivery_->sweep();
    settle();
    EXPECT_EQ(bob.socket->texts, (Texts{"1", "2", "3", "1", "3"}));
    EXPECT_EQ(counts_.redelivered, 2U);
    for (const std::string& id : Texts(bob.socket->ids)) {
        delivery_->on_ack(*bob.presence, id, "");
    }
    settle();
    EXPECT_EQ(depth(), 0);
}

TEST_P(DeliveryTest, AnEnvelopeToManyReachesWhoIsThereAndWhoIsNot) {
    Peer bob = connect("bob");
    send_all(EveryoneTarget{}, {"1", "2"});
    settle();
    EXPECT_EQ(bob.socket->texts, (Texts{"1", "2"}));
    EXPECT_TRUE(ada_.socket->texts.empty()) << "its sender";
    read(bob);
    Peer cyd = connect("cyd");
    EXPECT_EQ(cyd.socket->texts, (Texts{"1", "2"}));
    EXPECT_GT(depth(), 0);
    read(cyd);
    EXPECT_EQ(depth(), 0);
}

TEST_P(DeliveryTest, ToManyAndCutBeforeItArrived) {
    Peer bob = connect("bob");
    Peer cyd = connect("cyd");
    send_all(EveryoneTarget{}, {"1"});
    settle();
    cut(bob);
    read(cyd);
    Peer again = attach(*bob.presence);
    EXPECT_EQ(again.socket->texts, Texts{"1"});
    read(again);
    EXPECT_EQ(depth(), 0);
    EXPECT_EQ(cyd.socket->texts, Texts{"1"});
}

TEST_P(DeliveryTest, OneOfSeveralPeersWithAKeyGetsIt) {
    Peer plain = connect("cyd");
    Peer session = connect("cyd", kCydSession);
    send_all(kCyd, {"to the member"});
    send_all(kCydSession, {"to the session"});
    settle();
    EXPECT_EQ(plain.socket->texts.size() + session.socket->texts.size(), 2U);
    EXPECT_TRUE(std::ranges::find(session.socket->texts, "to the session") !=
                session.socket->texts.end());
}

TEST_P(DeliveryTest, RefusesWhatItCannotTake) {
    DeliveryLimits limits;
    limits.waiting_max = 2;
    make_delivery(limits);
    ada_ = connect("ada");
    EXPECT_TRUE(send(kBob, "1"));
    EXPECT_TRUE(send(kBob, "2"));
    const auto third = send(kBob, "3");
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error().id, "busy");
    settle();
    EXPECT_EQ(stored_, (Texts{"1", "2"})) << "what was refused is not answered twice";

    delivery_->set_backlogs({{"mesh", kBob}});
    const auto full = send(kBob, "4");
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().id, "queue_full");
    EXPECT_TRUE(send(kCyd, "5")) << "others are not concerned";
    delivery_->set_backlogs({});
    EXPECT_TRUE(send(kBob, "6"));
    settle();
}

TEST_P(DeliveryTest, AStopWaitsForWhatItHasTaken) {
    Peer bob = connect("bob");
    send_all(kBob, {"1", "2"});
    run(stop());
    EXPECT_EQ(stored_, (Texts{"1", "2"}));
    const auto late = send(kBob, "3");
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().id, "busy");
}

}  // namespace
}  // namespace nave::broker
