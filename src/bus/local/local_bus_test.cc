#include "bus/local/local_bus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace nave::bus {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class LocalBusTest : public testing::Test {
  protected:
    MessageHandler note(std::string prefix = "") {
        return [this, prefix](std::string_view topic, std::string_view payload) {
            heard.push_back(prefix + std::string(topic) + "=" + std::string(payload));
        };
    }
    Subscription listen(std::string_view topic, MessageHandler handler, GapHandler gap = nullptr) {
        auto made = bus->subscribe(topic, std::move(handler), std::move(gap));
        EXPECT_TRUE(made.has_value());
        return std::move(made).value();
    }

    Loop loop;
    std::optional<LocalBus> bus{std::in_place, loop,
                                BusLimits{.payload_bytes_max = 100,
                                          .queued_max = 4,
                                          .queued_bytes_max = 250,
                                          .subscriptions_max = 3}};
    std::vector<std::string> heard;
};

TEST_F(LocalBusTest, DeliversInOrderInALaterTurn) {
    const Subscription a = listen("a", note());
    const Subscription b = listen("b", note());
    EXPECT_TRUE(bus->publish("a", "1"));
    EXPECT_TRUE(bus->publish("b", "2"));
    EXPECT_TRUE(bus->publish("a", "3"));
    EXPECT_TRUE(bus->publish("nobody", "4"));
    EXPECT_THAT(heard, IsEmpty());
    EXPECT_EQ(bus->stats().queued, 3U);
    loop.poll();
    EXPECT_THAT(heard, ElementsAre("a=1", "b=2", "a=3"));
    EXPECT_EQ(bus->stats().published, 4U);
    EXPECT_EQ(bus->stats().delivered, 3U);
    EXPECT_EQ(bus->stats().queued, 0U);
}

TEST_F(LocalBusTest, PublishingInAHandlerWaitsForTheNextTurn) {
    bool inside = false;
    const Subscription a = listen("a", [&](std::string_view, std::string_view payload) {
        EXPECT_FALSE(inside);
        inside = true;
        if (payload == "1") {
            EXPECT_TRUE(bus->publish("a", "2"));
        }
        heard.emplace_back(payload);
        inside = false;
    });
    bus->publish("a", "1");
    loop.context().restart();
    loop.context().poll_one();
    EXPECT_THAT(heard, ElementsAre("1"));
    loop.poll();
    EXPECT_THAT(heard, ElementsAre("1", "2"));
}

TEST_F(LocalBusTest, WhoEndsDuringDeliveryGetsNothingMore) {
    Subscription second;
    const Subscription first = listen("t", [&](std::string_view, std::string_view) {
        heard.emplace_back("first");
        second.reset();
    });
    second = listen("t", note("second:"));
    const Subscription third = listen("t", note("third:"));
    bus->publish("t", "1");
    bus->publish("t", "2");
    loop.poll();
    EXPECT_THAT(heard, ElementsAre("first", "third:t=1", "first", "third:t=2"));
    EXPECT_EQ(bus->stats().subscriptions, 2U);
}

TEST_F(LocalBusTest, AHandlerMayEndItselfAndOutlivesItsCall) {
    Subscription own;
    auto witness = std::make_shared<int>(7);
    own = listen("t", [&, witness](std::string_view, std::string_view) {
        own.reset();
        EXPECT_EQ(*witness, 7);
        EXPECT_EQ(witness.use_count(), 2) << "destroyed while running";
        heard.emplace_back("once");
    });
    bus->publish("t", "1");
    bus->publish("t", "2");
    loop.poll();
    EXPECT_THAT(heard, ElementsAre("once"));
    EXPECT_EQ(witness.use_count(), 1);
    EXPECT_EQ(bus->stats().subscriptions, 0U);
}

TEST_F(LocalBusTest, WhoSubscribesDuringDeliveryHearsTheNextMessage) {
    Subscription late;
    const Subscription first = listen("t", [&](std::string_view, std::string_view payload) {
        heard.emplace_back(payload);
        if (!late) {
            late = listen("t", note("late:"));
        }
    });
    bus->publish("t", "1");
    bus->publish("t", "2");
    loop.poll();
    EXPECT_THAT(heard, ElementsAre("1", "2", "late:t=2"));
}

TEST_F(LocalBusTest, EndingAnotherTopicDuringDeliveryLeavesItUsable) {
    Subscription other = listen("other", note());
    const Subscription one = listen("one", [&](std::string_view, std::string_view) {
        other.reset();
        other = listen("other", note("new:"));
    });
    bus->publish("one", "");
    bus->publish("other", "1");
    loop.poll();
    bus->publish("other", "2");
    loop.poll();
    EXPECT_THAT(heard, ElementsAre("new:other=1", "new:other=2"));
    other.reset();
    EXPECT_EQ(bus->stats().subscriptions, 1U);
}

TEST_F(LocalBusTest, SubscribersEndInAnyOrder) {
    std::vector<Subscription> three;
    for (const char* name : {"a:", "b:", "c:"}) {
        three.push_back(listen("t", note(name)));
    }
    three[0].reset();
    bus->publish("t", "1");
    loop.poll();
    EXPECT_THAT(heard, testing::UnorderedElementsAre("b:t=1", "c:t=1"));
    three[2].reset();
    three[0] = std::move(three[1]);
    heard.clear();
    bus->publish("t", "2");
    loop.poll();
    EXPECT_THAT(heard, ElementsAre("b:t=2"));
    three.clear();
    EXPECT_EQ(bus->stats().subscriptions, 0U);
}

TEST_F(LocalBusTest, AFullQueueRefusesAndTellsSubscribersToLook) {
    int gaps = 0;
    const Subscription t = listen("t", note(), [&] { ++gaps; });
    const Subscription quiet = listen("quiet", note(), [&] { ++gaps; });
    const Subscription careless = listen("t", note("x:"));
    for (const char* payload : {"1", "2", "3", "4"}) {
        EXPECT_TRUE(bus->publish("t", payload));
    }
    EXPECT_FALSE(bus->publish("t", "5"));
    EXPECT_FALSE(bus->publish("t", "6"));
    EXPECT_EQ(gaps, 0);
    loop.poll();
    EXPECT_EQ(heard.size(), 8U);
    EXPECT_EQ(gaps, 2) << "each once, after the queue";
    EXPECT_EQ(bus->stats().refused_full, 2U);
    EXPECT_EQ(bus->stats().gaps, 1U);
    EXPECT_TRUE(bus->publish("t", "7")) << "room again";
}

TEST_F(LocalBusTest, TheQueueIsBoundedInBytes) {
    const Subscription t = listen("t", note());
    const std::string hundred(100, 'x');
    EXPECT_TRUE(bus->publish("t", hundred));
    EXPECT_TRUE(bus->publish("t", hundred));
    EXPECT_FALSE(bus->publish("t", hundred));
    EXPECT_TRUE(bus->publish("t", std::string(47, 'x'))) << "250 bytes with the topics";
    EXPECT_FALSE(bus->publish("t", ""));
}

TEST_F(LocalBusTest, RefusesWhatIsTooLargeOrNoTopic) {
    EXPECT_TRUE(bus->publish("t", std::string(100, 'x')));
    EXPECT_FALSE(bus->publish("t", std::string(101, 'x')));
    EXPECT_EQ(bus->stats().refused_too_large, 1U);
    for (const std::string& topic :
         {std::string(), std::string("a b"), std::string("a*"), std::string("a\n"),
          std::string("\xc3\xa4"), std::string(201, 'a')}) {
        EXPECT_FALSE(bus->publish(topic, ""));
        EXPECT_EQ(bus->subscribe(topic, note()).error().id, "bus.bad_topic");
    }
    EXPECT_EQ(bus->stats().refused_topic, 6U);
    EXPECT_TRUE(is_topic("hub/session:1.x_y-z@n#4=+"));
    EXPECT_TRUE(is_topic(std::string(200, 'a')));
}

TEST_F(LocalBusTest, SubscriptionsAreBounded) {
    const Subscription a = listen("t", note());
    const Subscription b = listen("t", note());
    Subscription c = listen("u", note());
    EXPECT_EQ(bus->subscribe("v", note()).error().id, "bus.too_many_subscriptions");
    c.reset();
    EXPECT_TRUE(bus->subscribe("v", note()).has_value());
}

TEST_F(LocalBusTest, TheBusMayGoFirst) {
    auto witness = std::make_shared<int>();
    Subscription t = listen("t", [witness](std::string_view, std::string_view) { FAIL(); });
    bus->publish("t", "1");
    bus.reset();
    EXPECT_EQ(witness.use_count(), 1);
    loop.poll();
    t.reset();
}

TEST_F(LocalBusTest, TheBusMayGoDuringDelivery) {
    const Subscription first = listen("t", [&](std::string_view, std::string_view) {
        heard.emplace_back("first");
        bus.reset();
    });
    const Subscription second = listen("t", note("second:"));
    bus->publish("t", "1");
    bus->publish("t", "2");
    loop.poll();
    EXPECT_THAT(heard, ElementsAre("first"));
}

TEST_F(LocalBusTest, IsAlwaysConnected) {
    EXPECT_EQ(bus->state(), BusState::connected);
}

}  // namespace
}  // namespace nave::bus
