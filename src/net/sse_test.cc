#include "net/sse.h"

#include <gtest/gtest.h>

#include <vector>

namespace nave::net {
namespace {

struct Wire {
    std::string text;          // all that was written
    std::size_t buffered = 0;  // what a test says is still queued
    bool takes = true;         // whether the client reads
    bool takes_late = false;   // it does, but the queue is sent when the loop turns or flush() says
    bool closed = false;
    bool aborted = false;
    std::move_only_function<void()> on_closed;
};

class FakeStream final : public ResponseStream {
  public:
    explicit FakeStream(std::shared_ptr<Wire> wire) : wire_(std::move(wire)) {}
    bool write(std::string_view bytes) override {
        if (wire_->closed || wire_->aborted) {
            return false;
        }
        wire_->text.append(bytes);
        wire_->buffered += wire_->takes && !wire_->takes_late ? 0 : bytes.size();
        return true;
    }
    void flush() override { wire_->buffered = wire_->takes ? 0 : wire_->buffered; }
    [[nodiscard]] std::size_t buffered() const override { return wire_->buffered; }
    void close() override { wire_->closed = true; }
    void abort() override { wire_->aborted = true; }
    void on_closed(std::move_only_function<void()> fn) override {
        wire_->on_closed = std::move(fn);
    }

  private:
    std::shared_ptr<Wire> wire_;
};

std::shared_ptr<Wire> subscribe(SseChannel& channel, std::string_view last_id = "") {
    auto wire = std::make_shared<Wire>();
    Response response = channel.subscribe(last_id);
    EXPECT_EQ(response.status, 200);
    response.stream(std::make_shared<FakeStream>(wire));
    return wire;
}

TEST(SseFrame, FollowsTheFormat) {
    EXPECT_EQ(sse_frame(7, "tick", "x"), "id: 7\nevent: tick\ndata: x\n\n");
    EXPECT_EQ(sse_frame(std::nullopt, "", ""), "data: \n\n");
    EXPECT_EQ(sse_frame(std::nullopt, "", "a\nb\r\nc\rd"),
              "data: a\ndata: b\ndata: c\ndata: d\n\n");
    EXPECT_EQ(sse_frame(std::nullopt, "", "a\n\nb"), "data: a\ndata: \ndata: b\n\n");
    EXPECT_EQ(sse_frame(1, "evil\ndata: x", "y"), "id: 1\nevent: evil\ndata: y\n\n");
}

TEST(SseChannel, PublishesToEveryReader) {
    SseChannel channel;
    EXPECT_EQ(channel.publish("e", "before"), 1U);
    const auto a = subscribe(channel);
    const auto b = subscribe(channel);
    EXPECT_EQ(channel.publish("e", "x"), 2U);
    channel.heartbeat();
    EXPECT_EQ(a->text, ":\n\nid: 2\nevent: e\ndata: x\n\n:\n\n");
    EXPECT_EQ(b->text, a->text);
    EXPECT_EQ(channel.clients(), 2U);
    a->on_closed();
    EXPECT_EQ(channel.clients(), 1U);
    b->aborted = true;
    channel.publish("e", "y");
    EXPECT_EQ(channel.clients(), 0U) << "a reader that takes nothing has gone";
    EXPECT_EQ(channel.dropped_slow(), 0U);
}

// A batch claim publishes hundreds of events before the loop turns; nobody could have read them
// yet.
TEST(SseChannel, ABurstInOneTurnIsNoSlowness) {
    SseChannel channel({.queue_events_max = 4, .queue_bytes_max = 200});
    const auto reads = subscribe(channel);
    const auto stuck = subscribe(channel);
    reads->takes_late = true;
    stuck->takes = false;
    for (int i = 0; i < 1'000; ++i) {
        channel.publish("e", std::to_string(i));
        ASSERT_LE(reads->buffered, 200U) << "the queue stays bounded";
    }
    EXPECT_FALSE(reads->aborted);
    EXPECT_TRUE(reads->text.ends_with("data: 999\n\n"));
    EXPECT_TRUE(stuck->aborted);
    EXPECT_EQ(channel.dropped_slow(), 1U);
}

TEST(SseChannel, ReplaysWhatWasMissed) {
    SseChannel channel({.ring_max = 3});
    for (int i = 1; i <= 5; ++i) {
        channel.publish("e", std::to_string(i));
    }
    struct Case {
        std::string_view last_id;
        std::string_view text;
    };
    const std::string reset = "id: 2\nevent: reset\ndata: {\"lastId\":2}\n\n";
    const std::string three = "id: 3\nevent: e\ndata: 3\n\n";
    const std::string rest = "id: 4\nevent: e\ndata: 4\n\nid: 5\nevent: e\ndata: 5\n\n";
    const std::string all = reset + three + rest;
    const std::string from_2 = three + rest;
    for (const auto& [last_id, text] : {
             Case{"", ""},
             Case{"5", ""},
             Case{"3", rest},
             Case{"2", from_2},
             Case{"1", all},
             Case{"0", all},
             Case{"6", all},  // the server has started anew since
             Case{"-1", all},
             Case{"x", all},
             Case{"99999999999999999999999", all},
         }) {
        EXPECT_EQ(subscribe(channel, last_id)->text, ":\n\n" + std::string(text)) << last_id;
    }
}

TEST(SseChannel, WhatIsToldIsNotSentAgain) {
    SseChannel channel;
    const auto reader = subscribe(channel);
    reader->text.clear();
    channel.tell("tick", "{}");
    EXPECT_EQ(reader->text, "event: tick\ndata: {}\n\n");
    EXPECT_EQ(channel.last_id(), 0U);
    EXPECT_EQ(subscribe(channel, "0")->text, ":\n\n");
}

TEST(SseChannel, ResetOfAnEmptyChannel) {
    SseChannel channel;
    EXPECT_EQ(subscribe(channel, "9")->text, ":\n\nid: 0\nevent: reset\ndata: {\"lastId\":0}\n\n");
    EXPECT_EQ(subscribe(channel, "0")->text, ":\n\n");
}

TEST(SseChannel, AReplayIsAsLargeAsAQueue) {
    SseChannel channel({.queue_bytes_max = 1000});
    for (int i = 0; i < 20; ++i) {
        channel.publish("", std::string(180, 'x'));
    }
    const auto reader = subscribe(channel, "1");
    EXPECT_NE(reader->text.find("event: reset\ndata: {\"lastId\":15}"), std::string::npos);
    EXPECT_EQ(reader->text.find("id: 14\n"), std::string::npos);
    EXPECT_NE(reader->text.find("id: 16\n"), std::string::npos);
    EXPECT_NE(reader->text.find("id: 20\n"), std::string::npos);
}

TEST(SseChannel, ALongReplayDoesNotMakeAReaderSlow) {
    SseChannel channel({.queue_events_max = 5, .queue_bytes_max = 2000});
    for (int i = 0; i < 50; ++i) {
        channel.publish("", "0123456789");
    }
    auto wire = std::make_shared<Wire>();
    wire->takes = false;
    channel.subscribe("1").stream(std::make_shared<FakeStream>(wire));
    for (int i = 0; i < 5; ++i) {
        channel.publish("", "x");
        ASSERT_EQ(channel.clients(), 1U) << i;
    }
    channel.publish("", "x");
    EXPECT_EQ(channel.clients(), 0U) << "five events wait, and none was taken";
    EXPECT_TRUE(wire->aborted);
    EXPECT_EQ(channel.dropped_slow(), 1U);
}

TEST(SseChannel, DropsReadersThatDoNotKeepUp) {
    SseChannel by_bytes({.queue_bytes_max = 1000});
    const auto slow = subscribe(by_bytes);
    const auto quick = subscribe(by_bytes);
    slow->takes = false;
    for (int i = 0; i < 30; ++i) {
        by_bytes.publish("", std::string(100, 'x'));
    }
    EXPECT_TRUE(slow->aborted);
    EXPECT_LE(slow->buffered, 1000U);
    EXPECT_FALSE(quick->aborted);
    EXPECT_EQ(by_bytes.clients(), 1U);
    EXPECT_EQ(by_bytes.dropped_slow(), 1U);

    SseChannel by_count({.queue_events_max = 4});
    const auto lagging = subscribe(by_count);
    lagging->takes = false;
    for (int i = 0; i < 100; ++i) {
        by_count.publish("", "x");
        if (i % 3 == 2) {
            lagging->buffered = 0;  // it catches up now and then
        }
    }
    EXPECT_FALSE(lagging->aborted);
    for (int i = 0; i < 10; ++i) {
        by_count.publish("", "x");
    }
    EXPECT_TRUE(lagging->aborted);
}

TEST(SseChannel, BoundsItsReaders) {
    SseChannel channel({.clients_max = 2});
    const auto a = subscribe(channel);
    Response late = channel.subscribe("");
    const auto b = subscribe(channel);
    const Response refused = channel.subscribe("");
    EXPECT_EQ(refused.status, 503);
    EXPECT_EQ(refused.stream, nullptr);
    auto wire = std::make_shared<Wire>();
    late.stream(std::make_shared<FakeStream>(wire));
    EXPECT_TRUE(wire->closed) << "the last place was taken meanwhile";
    EXPECT_EQ(channel.clients(), 2U);
}

TEST(SseChannel, ClosesItsReaders) {
    auto channel = std::make_unique<SseChannel>();
    const auto a = subscribe(*channel);
    channel->close();
    EXPECT_TRUE(a->closed);
    EXPECT_EQ(channel->clients(), 0U);
    EXPECT_EQ(channel->subscribe("").status, 503);

    auto other = std::make_unique<SseChannel>();
    const auto b = subscribe(*other);
    Response pending = other->subscribe("");
    other.reset();
    EXPECT_TRUE(b->closed);
    auto wire = std::make_shared<Wire>();
    pending.stream(std::make_shared<FakeStream>(wire));
    EXPECT_TRUE(wire->closed) << "a response may be started after the channel has gone";
    b->on_closed();
}

}  // namespace
}  // namespace nave::net
