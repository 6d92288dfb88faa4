#include "broker/streams.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace nave::broker {
namespace {

bool contains(const std::vector<std::string>& list, std::string_view name) {
    return std::ranges::find(list, name) != list.end();
}

class FakeSocket final : public net::WebSocket {
  public:
    bool send_text(std::string_view) override { return true; }
    bool send_binary(std::string_view) override { return true; }
    bool send(const net::SharedFrame& frame) override {
        frames.emplace_back(frame.bytes());
        return true;
    }
    bool ping(std::string_view) override { return true; }
    [[nodiscard]] std::size_t buffered() const override { return waiting; }
    void close(std::uint16_t, std::string_view) override {}
    void pause() override {}
    void resume() override {}
    [[nodiscard]] bool is_open() const override { return true; }
    [[nodiscard]] std::string_view protocol() const override { return {}; }

    std::vector<std::string> frames;
    std::size_t waiting = 0;
};

class StreamsTest : public testing::Test {
  protected:
    void SetUp() override {
        registry_.load_mesh({"mesh", "", "", {}, 0, std::nullopt}, {});
        registry_.load_mesh({"other", "", "", {}, 0, std::nullopt}, {});
    }
    Presence& peer(const std::string& id, const std::string& mesh = "mesh") {
        PresencePtr presence(new Presence());
        presence->id = id;
        presence->mesh_id = mesh;
        presence->member.id = id;
        presence->member.key.fill(static_cast<std::uint8_t>(++peers_));
        presence->profile.display_name = "name of " + id;
        presence->socket = net::WebSocketPtr(new FakeSocket());
        return registry_.add(std::move(presence));
    }
    static FakeSocket& socket(const Presence& presence) {
        return static_cast<FakeSocket&>(*presence.socket);
    }
    static std::size_t got(const Presence& presence) { return socket(presence).frames.size(); }
    void depart(Presence& presence) {
        streams_.on_depart(presence);
        registry_.remove(presence);
    }

    ManualClock clock_;
    Registry registry_;
    Streams streams_{registry_, clock_};
    net::SharedFrame frame_ = net::SharedFrame::text("data");
    int peers_ = 0;
};

TEST_F(StreamsTest, WhoIsSubscribedGetsItAndThePublisherDoesNot) {
    Presence& ada = peer("ada");
    Presence& bob = peer("bob");
    Presence& eve = peer("eve");
    Presence& far = peer("far", "other");
    EXPECT_TRUE(streams_.subscribe(ada, "s"));
    EXPECT_TRUE(streams_.subscribe(bob, "s"));
    EXPECT_TRUE(streams_.subscribe(bob, "s"));
    EXPECT_TRUE(streams_.subscribe(eve, "another"));
    EXPECT_TRUE(streams_.subscribe(far, "s"));
    EXPECT_TRUE(streams_.publish(ada, "s", frame_));
    EXPECT_EQ(got(ada), 0U);
    EXPECT_EQ(got(bob), 1U) << "once, however often it subscribed";
    EXPECT_EQ(got(eve), 0U);
    EXPECT_EQ(got(far), 0U) << "a stream belongs to one mesh";
    streams_.unsubscribe(bob, "s");
    streams_.unsubscribe(bob, "never heard of");
    EXPECT_TRUE(streams_.publish(ada, "s", frame_));
    EXPECT_EQ(got(bob), 1U);
}

TEST_F(StreamsTest, SubscriptionsEndWithThePresenceAndNotWithTheConnection) {
    Presence& ada = peer("ada");
    Presence& bob = peer("bob");
    ASSERT_TRUE(streams_.subscribe(bob, "s"));
    registry_.set_disconnected(bob, clock_.now() + 1);
    EXPECT_TRUE(streams_.publish(ada, "s", frame_));
    registry_.set_connected(bob, net::WebSocketPtr(new FakeSocket()));
    EXPECT_TRUE(streams_.publish(ada, "s", frame_));
    EXPECT_EQ(got(bob), 1U) << "what was published meanwhile is stored nowhere";
    depart(bob);
    EXPECT_EQ(streams_.list("mesh").at(0).subscribers, 0U);
    EXPECT_TRUE(streams_.publish(ada, "s", frame_));
}

TEST_F(StreamsTest, ASubscriberThatIsBehindMissesDataOnly) {
    Presence& ada = peer("ada");
    Presence& bob = peer("bob");
    ASSERT_TRUE(streams_.subscribe(bob, "s"));
    socket(bob).waiting = Streams::kBehindBytes + 1;
    EXPECT_TRUE(streams_.publish(ada, "s", frame_));
    EXPECT_EQ(got(bob), 0U);
    socket(bob).waiting = Streams::kBehindBytes;
    EXPECT_TRUE(streams_.publish(ada, "s", frame_));
    EXPECT_EQ(got(bob), 1U);
    const StreamInfo info = streams_.list("mesh").at(0);
    EXPECT_EQ(info.published, 2U);
    EXPECT_EQ(info.skipped, 1U);
}

TEST_F(StreamsTest, AFullMeshGivesUpTheStreamNobodyReadsThatWasUsedLeast) {
    Presence& ada = peer("ada");
    for (std::size_t i = 0; i < Streams::kStreamsMax; ++i) {
        clock_.advance(std::chrono::milliseconds(1));
        ASSERT_TRUE(streams_.create(ada, fmt::format("s{:03}", i)));
    }
    clock_.advance(std::chrono::milliseconds(1));
    ASSERT_TRUE(streams_.publish(ada, "s000", frame_));
    ASSERT_TRUE(streams_.subscribe(ada, "s001"));
    ASSERT_TRUE(streams_.create(ada, "new"));
    const auto names = streams_.names("mesh");
    EXPECT_EQ(names.size(), Streams::kStreamsMax);
    EXPECT_TRUE(contains(names, "s000"));
    EXPECT_TRUE(contains(names, "s001"));
    EXPECT_FALSE(contains(names, "s002"));
    for (const std::string& name : names) {
        ASSERT_TRUE(streams_.subscribe(ada, name));
    }
    EXPECT_FALSE(streams_.create(ada, "one more"));
    EXPECT_FALSE(streams_.subscribe(ada, "one more"));
    EXPECT_FALSE(streams_.publish(ada, "one more", frame_));
    EXPECT_TRUE(streams_.create(peer("far", "other"), "one more"));
}

TEST_F(StreamsTest, TheyGoWithTheLastPresenceOfTheMesh) {
    Presence& ada = peer("ada");
    Presence& bob = peer("bob");
    ASSERT_TRUE(streams_.create(ada, "s"));
    EXPECT_EQ(streams_.list("mesh").at(0).created_by, "name of ada");
    depart(ada);
    EXPECT_EQ(streams_.list("mesh").size(), 1U);
    depart(bob);
    EXPECT_EQ(streams_.list("mesh").size(), 0U);
}

}  // namespace
}  // namespace nave::broker
