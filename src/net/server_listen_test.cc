// Addresses, accepting, and limits on the number of connections.
#include "net/listen_address.h"
#include "net/server_fixture.h"

#include <sys/resource.h>

namespace nave::net {
namespace {

TEST(ListenAddress, ReadsHostAndPort) {
    struct Case {
        std::string_view text;
        std::string_view host;
        int port;
    };
    for (const auto& [text, host, port] : {
             Case{"127.0.0.1:80", "127.0.0.1", 80},
             Case{"[::1]:8080", "::1", 8080},
             Case{":0", "", 0},
             Case{"localhost:65535", "localhost", 65535},
         }) {
        const auto parsed = parse_listen_address(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(parsed->host, host);
        EXPECT_EQ(parsed->port, port);
    }
    for (const std::string_view text :
         {"", "80", "h", "h:", "h:x", "h:-1", "h:65536", "h:99999999", "::1:80", "[::1]", "[h]:80",
          "[::1:80", "h]:80", "[[::1]]:80", "h:80 ", "h:+80"}) {
        EXPECT_FALSE(parse_listen_address(text)) << text;
    }
}

class ListenTest : public testing::Test {
  protected:
    Result<std::unique_ptr<HttpServer>> bind(std::string_view address) {
        return HttpServer::bind(loop, clock, entropy, logger, address, TrustedProxies());
    }
    Loop loop;
    ManualClock clock;
    SeededEntropy entropy{1};
    Logger logger{"net", LogLevel::debug, LogFormat::json, std::make_shared<CapturedLog>()};
};

TEST_F(ListenTest, SaysWhereItListens) {
    const auto v4 = bind("127.0.0.1:0");
    ASSERT_TRUE(v4);
    EXPECT_NE((*v4)->port(), 0);
    EXPECT_EQ((*v4)->address(), "127.0.0.1:" + std::to_string((*v4)->port()));
    const auto named = bind("localhost:0");
    ASSERT_TRUE(named);
    EXPECT_NE((*named)->port(), 0);
    if (const auto v6 = bind("[::1]:0")) {
        EXPECT_EQ((*v6)->address(), "[::1]:" + std::to_string((*v6)->port()));
    }
    EXPECT_TRUE(bind(":0"));
}

TEST_F(ListenTest, SaysWhatIsWrong) {
    const auto first = bind("127.0.0.1:0");
    ASSERT_TRUE(first);
    const auto busy = bind((*first)->address());
    ASSERT_FALSE(busy);
    EXPECT_EQ(busy.error().id, "net.port_busy");
    EXPECT_NE(busy.error().message.find((*first)->address()), std::string::npos);
    for (const std::string_view address : {"nonsense", "256.1.1.1:0", "203.0.113.1:0", "h:99999"}) {
        const auto bad = bind(address);
        ASSERT_FALSE(bad) << address;
        EXPECT_EQ(bad.error().id, "net.bad_address") << address;
    }
}

TEST_F(ListenTest, DualStackServesV4ClientsAsV4) {
    const auto server = bind(":0");
    ASSERT_TRUE(server);
    Router router;
    router.add(Method::get, "/", SyncHandler([](const Request& request) {
                   return Response(200, "text/plain", request.client.text());
               }));
    (*server)->mount("", router);
    (*server)->start();
    Client client((*server)->port());
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    for (int i = 0; i < 100'000 && client.received.empty(); ++i) {
        loop.poll();
        client.receive();
    }
    EXPECT_TRUE(client.received.ends_with("127.0.0.1"));
}

ServerLimits few_connections() {
    ServerLimits limits;
    limits.connections_max = 3;
    return limits;
}

class FullServerTest : public ServerTest {
  protected:
    FullServerTest() : ServerTest(few_connections()) {
        router.add(Method::get, "/", SyncHandler([](const Request&) { return Response(); }));
    }
};

TEST_F(FullServerTest, RefusesBeyondTheLimitAndRecovers) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(std::make_unique<Client>(server->port()));
    }
    settle();
    Client refused(server->port());
    EXPECT_TRUE(closes(refused));
    EXPECT_EQ(server->stats().refused_full, 1U);
    EXPECT_EQ(server->stats().connections, 3U);
    clients[1]->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(next_reply(*clients[1]).status, 200);
    clients.pop_back();
    settle();
    EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    EXPECT_EQ(server->stats().accepted, 5U);
}

ServerLimits few_per_client() {
    ServerLimits limits;
    limits.connections_per_client_max = 2;
    return limits;
}

class CrowdedClientTest : public ServerTest {
  protected:
    CrowdedClientTest() : ServerTest(few_per_client()) {
        router.add(Method::get, "/", SyncHandler([](const Request&) { return Response(); }));
    }
};

TEST_F(CrowdedClientTest, OneClientCannotTakeEveryConnection) {
    auto first = std::make_unique<Client>(server->port());
    Client second(server->port());
    settle();
    Client refused(server->port());
    EXPECT_TRUE(closes(refused));
    EXPECT_EQ(server->stats().refused_client, 1U);
    EXPECT_EQ(server->stats().refused_full, 0U);
    first.reset();
    settle();
    EXPECT_EQ(ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 200) << "a place came back";
}

class ManyConnectionsTest : public ServerTest {
  protected:
    ManyConnectionsTest() {
        router.add(Method::get, "/",
                   SyncHandler([](const Request&) { return Response(200, "text/plain", "ok"); }));
    }
};

TEST_F(ManyConnectionsTest, TwoThousandIdleOnes) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 8192);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 4200) {
        GTEST_SKIP() << "too few file descriptors";
    }
    constexpr std::size_t kMany = 2000;
    std::vector<std::unique_ptr<Client>> clients;
    for (std::size_t i = 0; i < kMany; ++i) {
        clients.push_back(std::make_unique<Client>(server->port()));
        clients.back()->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        if (i % 500 == 499) {
            settle();
        }
    }
    for (const auto& client : clients) {
        ASSERT_EQ(next_reply(*client).body, "ok");
    }
    EXPECT_EQ(server->stats().connections, kMany);
    clock.advance(std::chrono::seconds(70));
    for (std::size_t i = 0; i < kMany; i += 2) {
        clients[i]->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        ASSERT_EQ(next_reply(*clients[i]).body, "ok");
    }
    advance(std::chrono::seconds(5));
    EXPECT_EQ(server->stats().connections, kMany / 2) << "only those that were silent are gone";
    for (std::size_t i = 0; i < kMany; i += 2) {
        clients[i]->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        ASSERT_EQ(next_reply(*clients[i]).body, "ok");
    }
}

TEST_F(ManyConnectionsTest, WhoIsInStaysWhenTheDoorCloses) {
    Client inside(server->port());
    settle();
    server->stop_accepting();
    Client outside(server->port());
    EXPECT_TRUE(closes(outside));
    inside.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(next_reply(inside).body, "ok");
}

TEST_F(ManyConnectionsTest, RunningOutOfDescriptorsIsSurvived) {
    // Every descriptor is taken but the ones of two clients, whose accepted ends do not fit.
    Client first(server->port());
    Client second(server->port());
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const int lowest_free = ::dup(0);
    ::close(lowest_free);
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(lowest_free);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
    settle();
    EXPECT_EQ(server->stats().accepted, 0U);
    ASSERT_EQ(log->lines.size(), 1U) << "once, not per attempt";
    EXPECT_NE(log->lines[0].find("cannot accept"), std::string::npos);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    for (Client* client : {&first, &second}) {
        client->send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        EXPECT_EQ(next_reply(*client).body, "ok");
    }
    EXPECT_EQ(log->lines.size(), 1U);
}

}  // namespace
}  // namespace nave::net
