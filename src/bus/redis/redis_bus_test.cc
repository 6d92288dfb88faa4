#include "bus/redis/redis_bus.h"

#include "bus/redis/redis_fixture.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nave::bus {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::chrono::seconds kPatience{20};

class Lines final : public LogSink {
  public:
    void write(LogLevel, std::string_view line) override { all.append(line).append("\n"); }
    std::string all;
};

// Quick to notice and to come back.
RedisOptions quick() {
    RedisOptions options;
    options.times = {
        .connect = 300ms, .ping_every = 50ms, .answer = 300ms, .steady_after = 0ms, .tick = 10ms};
    return options;
}

// One process's bus and what it heard.
struct Node {
    Node(Loop& loop_in, const Clock& clock, const std::shared_ptr<Lines>& lines,
         const std::string& url, BusLimits limits = BusLimits(), RedisOptions options = quick())
        : loop(loop_in),
          health(clock),
          bus(std::in_place, loop, clock, entropy, health,
              Logger("bus", LogLevel::debug, LogFormat::json, lines),
              RedisAddress::parse(Secret(url)).value(), options, limits) {
        health.serving();
    }

    void start() { spawn(bus->start(0ms)); }
    void listen(const std::string& topic) {
        auto made = bus->subscribe(
            topic,
            [this](std::string_view name, std::string_view payload) {
                heard.push_back(std::string(name) + "=" + std::string(payload));
            },
            [this, topic] { ++gaps[topic]; });
        ASSERT_TRUE(made.has_value());
        subscriptions.insert_or_assign(topic, std::move(*made));
    }
    [[nodiscard]] bool connected() const { return bus->state() == BusState::connected; }
    void spawn(Task<void> task) {
        boost::asio::co_spawn(loop.executor(), std::move(task), boost::asio::detached);
    }

    Loop& loop;
    SystemEntropy entropy;
    Health health;
    std::optional<RedisBus> bus;
    std::map<std::string, Subscription> subscriptions;
    std::vector<std::string> heard;
    std::map<std::string, int> gaps;
};

class RedisBusTest : public testing::Test {
  protected:
    void SetUp() override {
        if (const std::string missing = RedisServer::missing(); !missing.empty()) {
            const char* required = std::getenv("NAVE_REQUIRE_SERVICES");
            ASSERT_TRUE(required == nullptr || std::string_view(required) != "1") << missing;
            GTEST_SKIP() << missing;
        }
    }
    void TearDown() override {
        for (const auto& node : nodes_) {
            bool stopped = false;
            node->spawn([](RedisBus& bus, bool& done) -> Task<void> {
                co_await bus.stop(5s);
                done = true;
            }(*node->bus, stopped));
            EXPECT_TRUE(until([&] { return stopped; }));
        }
    }

    bool until(const std::function<bool()>& condition) {
        const auto deadline = std::chrono::steady_clock::now() + kPatience;
        loop.context().restart();
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline) {
                return false;
            }
            loop.context().restart();
            loop.context().run_one_for(20ms);
        }
        return true;
    }
    void run_for(std::chrono::milliseconds time) {
        loop.context().restart();
        loop.context().run_for(time);
    }

    Node& add(const std::string& url, BusLimits limits = BusLimits(),
              RedisOptions options = quick()) {
        nodes_.push_back(std::make_unique<Node>(loop, clock, lines, url, limits, options));
        return *nodes_.back();
    }
    // Connected, and past the gaps that come with it.
    Node& join(const RedisServer& server, const std::vector<std::string>& topics,
               RedisOptions options = quick()) {
        Node& node = add(server.url(), BusLimits(), std::move(options));
        for (const std::string& topic : topics) {
            node.listen(topic);
        }
        node.start();
        EXPECT_TRUE(until([&] {
            return node.connected() &&
                   std::ranges::all_of(topics, [&](const auto& t) { return node.gaps[t] > 0; });
        })) << lines->all;
        return node;
    }
    // Messages both ways have arrived, so that what was sent before has too.
    void exchange(Node& a, Node& b) {
        a.listen("exchange/a");
        b.listen("exchange/b");
        ASSERT_TRUE(until([&] { return a.gaps["exchange/a"] > 0 && b.gaps["exchange/b"] > 0; }));
        a.bus->publish("exchange/b", "x");
        b.bus->publish("exchange/a", "x");
        ASSERT_TRUE(until([&] {
            return std::ranges::count(a.heard, "exchange/a=x") > 0 &&
                   std::ranges::count(b.heard, "exchange/b=x") > 0;
        }));
        std::erase(a.heard, "exchange/a=x");
        std::erase(b.heard, "exchange/b=x");
    }

    Loop loop;
    SystemClock clock;
    std::shared_ptr<Lines> lines = std::make_shared<Lines>();
    std::vector<std::unique_ptr<Node>> nodes_;
};

TEST_F(RedisBusTest, MessagesReachOtherProcessesInOrderAndTheOwnOnce) {
    const RedisServer server;
    Node& a = join(server, {"t"});
    Node& b = join(server, {"t"});
    const std::string binary("\r\n\0$5\r\n", 7);
    EXPECT_TRUE(a.bus->publish("t", "1"));
    EXPECT_TRUE(a.bus->publish("t", binary));
    EXPECT_TRUE(a.bus->publish("other", "for nobody"));
    EXPECT_TRUE(a.bus->publish("t", ""));
    ASSERT_TRUE(until([&] { return b.heard.size() == 3; }));
    exchange(a, b);
    EXPECT_THAT(a.heard, ElementsAre("t=1", "t=" + binary, "t="));
    EXPECT_THAT(b.heard, a.heard);
}

TEST_F(RedisBusTest, AThousandMessagesKeepTheirOrder) {
    const RedisServer server;
    Node& a = join(server, {});
    Node& b = join(server, {"t"});
    std::vector<std::string> want;
    for (int i = 0; i < 1'000; ++i) {
        const std::string payload = std::to_string(i) + std::string(500, 'x');
        EXPECT_TRUE(a.bus->publish("t", payload));
        want.push_back("t=" + payload);
    }
    const std::string large(256 * 1024, 'y');
    EXPECT_TRUE(a.bus->publish("t", large));
    EXPECT_FALSE(a.bus->publish("t", large + "y"));
    want.push_back("t=" + large);
    ASSERT_TRUE(until([&] { return b.heard.size() == want.size(); }));
    EXPECT_EQ(b.heard, want);
}

TEST_F(RedisBusTest, ASubscriptionThatBecomesLiveIsAGap) {
    const RedisServer server;
    Node& a = join(server, {"first"});
    const int first = a.gaps["first"];
    a.listen("late");
    EXPECT_EQ(a.gaps["late"], 0);
    ASSERT_TRUE(until([&] { return a.gaps["late"] == 1; }));
    EXPECT_EQ(a.gaps["first"], first) << "only who subscribed";
}

TEST_F(RedisBusTest, AnEndedSubscriptionLeavesTheServer) {
    const RedisServer server;
    Node& a = join(server, {"t"});
    Node& b = join(server, {"t"});
    b.subscriptions.clear();
    a.bus->publish("t", "1");
    exchange(a, b);
    EXPECT_THAT(b.heard, IsEmpty());
    b.listen("t");
    ASSERT_TRUE(until([&] { return b.gaps["t"] >= 2; }));
    a.bus->publish("t", "2");
    ASSERT_TRUE(until([&] { return !b.heard.empty(); }));
    EXPECT_THAT(b.heard, ElementsAre("t=2"));
}

TEST_F(RedisBusTest, PrefixesAndDatabasesAreSeparate) {
    const RedisServer server;
    Node& a = join(server, {"t"});
    RedisOptions other = quick();
    other.prefix = "other:";
    Node& b = join(server, {"t"}, other);
    Node& c = add(server.url() + "/1");
    c.listen("t");
    c.start();
    ASSERT_TRUE(until([&] { return c.connected(); }));
    Node& d = join(server, {"t"});
    a.bus->publish("t", "1");
    ASSERT_TRUE(until([&] { return !d.heard.empty(); }));
    exchange(a, d);
    EXPECT_THAT(b.heard, IsEmpty());
    EXPECT_THAT(c.heard, IsEmpty());
}

TEST_F(RedisBusTest, LosingTheServerIsSaidAndMended) {
    RedisServer server;
    Node& a = join(server, {"t"});
    Node& b = join(server, {"t"});
    exchange(a, b);
    const int before = b.gaps["t"];
    server.stop();
    ASSERT_TRUE(until([&] { return !a.connected() && !b.connected(); }));
    EXPECT_TRUE(a.health.usable());
    EXPECT_FALSE(a.health.healthy());
    ASSERT_EQ(a.health.issues().size(), 1U);
    EXPECT_EQ(a.health.issues().front().subsystem, "bus");
    EXPECT_TRUE(a.bus->publish("t", "alone")) << "this process still hears itself";
    ASSERT_TRUE(until([&] { return !a.heard.empty(); }));
    server.start();
    ASSERT_TRUE(until([&] { return a.connected() && b.connected() && b.gaps["t"] > before; }));
    EXPECT_TRUE(a.health.healthy());
    a.bus->publish("t", "again");
    ASSERT_TRUE(until([&] { return !b.heard.empty(); }));
    EXPECT_THAT(a.heard, ElementsAre("t=alone", "t=again"));
    EXPECT_THAT(b.heard, ElementsAre("t=again"));
    EXPECT_THAT(lines->all, HasSubstr("redis lost"));
}

TEST_F(RedisBusTest, APublisherThatWasAwayTellsTheOthers) {
    const RedisServer server;
    Node& a = join(server, {"t"});
    const int before = a.gaps["t"];
    join(server, {});  // its publisher has just become live
    ASSERT_TRUE(until([&] { return a.gaps["t"] > before; }));
    EXPECT_THAT(a.heard, IsEmpty());
}

TEST_F(RedisBusTest, AFrozenServerCountsAsLost) {
    RedisServer server;
    Node& a = join(server, {"t"});
    server.freeze();
    EXPECT_TRUE(until([&] { return !a.connected(); }));
    server.thaw();
    EXPECT_TRUE(until([&] { return a.connected(); }));
}

TEST_F(RedisBusTest, StartsWithoutAServerAndFindsItLater) {
    RedisServer server;
    server.stop();
    Node& a = add(server.url());
    a.listen("t");
    a.start();
    ASSERT_TRUE(until([&] { return !a.health.issues().empty(); }));
    EXPECT_FALSE(a.connected());
    server.start();
    EXPECT_TRUE(until([&] { return a.connected() && a.gaps["t"] == 1; }));
}

TEST_F(RedisBusTest, Authenticates) {
    const RedisServer server({"--requirepass", "s3cret/word", "--user", "nave", "on", ">other-word",
                              "allchannels", "+@all", "-publish"});
    Node& good = add(server.url(":s3cret%2Fword@"));
    good.start();
    EXPECT_TRUE(until([&] { return good.connected(); })) << lines->all;
    lines->all.clear();
    Node& bad = add(server.url(":hidden-word@"));
    bad.start();
    EXPECT_TRUE(until([&] { return lines->all.contains("WRONGPASS"); }));
    EXPECT_THAT(lines->all, Not(HasSubstr("hidden-word")));
    EXPECT_FALSE(bad.connected());
    Node& mute = add(server.url("nave:other-word@"));
    mute.start();
    EXPECT_TRUE(until([&] { return lines->all.contains("NOPERM"); })) << lines->all;
}

TEST_F(RedisBusTest, ForeignMessagesAreCountedAndDropped) {
    const RedisServer server;
    Node& a = join(server, {"t"});
    boost::asio::ip::tcp::socket raw(loop.context());
    const auto address = RedisAddress::parse(Secret(server.url())).value();
    raw.connect({boost::asio::ip::make_address(address.host),
                 static_cast<std::uint16_t>(std::stoi(address.port))});
    std::string commands;
    append_command(commands, {"PUBLISH", "nave:0:t", ""});
    append_command(commands, {"PUBLISH", "nave:0:t", "2 another version of the format"});
    append_command(commands, {"PUBLISH", "nave:0:!gap", "x"});
    append_command(commands, {"PUBLISH", "nave:0:t", "1sixteen bytes 16 forged"});
    boost::asio::write(raw, boost::asio::buffer(commands));
    ASSERT_TRUE(until([&] { return !a.heard.empty(); }));
    EXPECT_THAT(a.heard, ElementsAre("t= forged"));
    EXPECT_EQ(a.bus->stats().malformed, 3U);
}

TEST_F(RedisBusTest, TooMuchToPublishIsRefusedAndAGapForAll) {
    RedisServer server;
    BusLimits small;
    small.queued_bytes_max = 1'000'000;
    RedisOptions patient = quick();
    patient.times.answer = 30s;
    Node& a = add(server.url(), small, patient);
    a.start();
    Node& b = join(server, {"t"}, patient);
    ASSERT_TRUE(until([&] { return a.connected(); }));
    exchange(a, b);
    const int before = b.gaps["t"];
    server.freeze();
    const std::string payload(200'000, 'x');
    bool refused = false;
    // The kernel's buffers take some of it.
    for (int i = 0; i < 1'000 && !refused; ++i) {
        refused = !a.bus->publish("t", payload);
        run_for(1ms);
    }
    EXPECT_TRUE(refused);
    EXPECT_GE(a.bus->stats().refused_full, 1U);
    server.thaw();
    EXPECT_TRUE(until([&] { return b.gaps["t"] > before; }));
    EXPECT_TRUE(a.bus->publish("t", "room again"));
}

TEST_F(RedisBusTest, SubscriptionsAndTheBusMayEndInAnyOrder) {
    const RedisServer server;
    Node& a = join(server, {"t", "u"});
    Subscription kept = std::move(a.subscriptions.at("u"));
    a.bus->publish("t", "1");
    bool stopped = false;
    a.spawn([](RedisBus& bus, bool& done) -> Task<void> {
        co_await bus.stop(5s);
        done = true;
    }(*a.bus, stopped));
    ASSERT_TRUE(until([&] { return stopped; }));
    a.bus.reset();
    kept.reset();
    a.subscriptions.clear();
    run_for(50ms);
    nodes_.clear();
}

// ---- servers that are none ----

class FakeRedisTest : public RedisBusTest {
  protected:
    void SetUp() override {}
};

TEST_F(FakeRedisTest, AnythingButRespIsRefusedAgainAndAgain) {
    for (const std::string& answer :
         {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"), std::string("$999999999\r\n"),
          std::string(5'000, 'a'), std::string("*2\r\n*1\r\n"), std::string("+OK\r\n")}) {
        FakeRedis server(loop, [&](std::string_view) { return answer; });
        Node& node = add(server.url());
        node.start();
        EXPECT_TRUE(until([&] { return server.accepted() >= 4; })) << answer;
        EXPECT_FALSE(node.connected());
        TearDown();
        nodes_.clear();
    }
    EXPECT_THAT(lines->all, Not(HasSubstr("aaaa")));
}

TEST_F(FakeRedisTest, ASilentServerIsGivenUp) {
    FakeRedis server(loop, [](std::string_view) { return ""; });
    Node& node = add(server.url());
    node.start();
    EXPECT_TRUE(until([&] { return server.accepted() >= 4; }));
    EXPECT_THAT(lines->all, HasSubstr("no answer while connecting"));
}

TEST_F(FakeRedisTest, AnErrorThatRepeatsThePasswordIsNotLogged) {
    FakeRedis server(loop, [](std::string_view) {
        return "-ERR unknown command 'AUTH', with args beginning with: 'hidden-word'\r\n";
    });
    std::string url = server.url();
    url.insert(url.find("127"), ":hidden-word@");
    Node& node = add(url);
    node.start();
    EXPECT_TRUE(until([&] { return server.accepted() >= 3; }));
    EXPECT_THAT(server.received(), HasSubstr("hidden-word"));
    EXPECT_THAT(lines->all, Not(HasSubstr("hidden-word")));
    EXPECT_THAT(lines->all, HasSubstr("Redis refused: ERR"));
}

TEST_F(FakeRedisTest, ConfirmationsNobodyAskedForEndTheLink) {
    FakeRedis server(loop, [](std::string_view input) {
        if (input.contains("SUBSCRIBE")) {
            const std::string one = "*3\r\n$9\r\nsubscribe\r\n$11\r\nnave:0:!gap\r\n:1\r\n";
            return one + one;
        }
        return std::string(input.contains("PUBLISH") ? ":0\r\n" : "+PONG\r\n");
    });
    Node& node = add(server.url());
    node.start();
    EXPECT_TRUE(until([&] { return server.accepted() >= 5; })) << lines->all;
}

}  // namespace
}  // namespace nave::bus
