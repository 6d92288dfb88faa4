// Slow and silent clients. The clock is manual; sweep() is what the server does every second.
#include "net/server_fixture.h"

namespace nave::net {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kLargeBytes = 20'000'000;

class ServerTimeoutTest : public ServerTest {
  protected:
    ServerTimeoutTest() {
        router.add(Method::get, "/hello", SyncHandler([](const Request&) {
                       return Response(200, "text/plain", "hello");
                   }));
        router.add(Method::post, "/echo", SyncHandler([](const Request& request) {
                       return Response(200, "text/plain", std::string(request.body));
                   }));
        router.add(Method::get, "/large", SyncHandler([](const Request&) {
                       return Response(200, "text/plain", std::string(kLargeBytes, 'x'));
                   }));
        static const std::string asset(kLargeBytes, 'y');
        router.add(Method::get, "/asset", SyncHandler([](const Request&) {
                       Response response(200, "text/plain", "");
                       response.fixed_body = asset;
                       return response;
                   }));
    }
    std::size_t connections() { return server->stats().connections; }
};

constexpr std::string_view kHello = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(ServerTimeoutTest, SilentNewcomersAreClosedWithoutAWord) {
    Client client(server->port());
    settle();
    advance(milliseconds(9'999));
    EXPECT_EQ(connections(), 1U);
    advance(milliseconds(1));
    EXPECT_TRUE(closes(client));
    EXPECT_EQ(client.received, "");
    EXPECT_EQ(server->stats().timed_out_head, 1U);
    EXPECT_EQ(connections(), 0U);
}

TEST_F(ServerTimeoutTest, TricklingAHeadDoesNotExtendItsTime) {
    Client client(server->port());
    client.send("G");
    settle();
    for (int i = 0; i < 9; ++i) {
        advance(milliseconds(1000));
        client.send(i == 0 ? "ET / HTTP/1.1\r\n" : "X: y\r\n");
        settle();
        ASSERT_EQ(connections(), 1U);
    }
    advance(milliseconds(1000));
    const Reply reply = next_reply(client);
    EXPECT_EQ(reply.status, 408);
    EXPECT_EQ(reply.header("content-type"), "application/problem+json");
    EXPECT_NE(reply.body.find(R"("code":"net.request_timeout")"), std::string::npos);
    EXPECT_EQ(reply.header("connection"), "close");
    EXPECT_EQ(server->stats().timed_out_head, 1U);
    EXPECT_TRUE(closes(client));
}

TEST_F(ServerTimeoutTest, HeadTimeStartsWithItsFirstByte) {
    Client client(server->port());
    client.send(kHello);
    EXPECT_EQ(next_reply(client).status, 200);
    advance(milliseconds(60'000));
    client.send("GET /hello HTTP/1.1\r\n");
    settle();
    advance(milliseconds(9'000));
    client.send("Host: h\r\n\r\n");
    EXPECT_EQ(next_reply(client).status, 200);
}

TEST_F(ServerTimeoutTest, IdleConnectionsAreClosed) {
    Client client(server->port());
    client.send(kHello);
    EXPECT_EQ(next_reply(client).status, 200);
    advance(milliseconds(74'999));
    client.send(kHello);
    EXPECT_EQ(next_reply(client).status, 200);
    advance(milliseconds(74'999));
    EXPECT_EQ(connections(), 1U);
    advance(milliseconds(1));
    EXPECT_TRUE(closes(client));
    EXPECT_EQ(client.received, "");
    EXPECT_EQ(connections(), 0U);
}

TEST_F(ServerTimeoutTest, TricklingABodyDoesNotExtendItsTime) {
    for (const std::string_view framing :
         {"Content-Length: 1000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n3e8\r\n"}) {
        Client client(server->port());
        client.send("POST /echo HTTP/1.1\r\nHost: h\r\n" + std::string(framing));
        settle();
        for (int i = 0; i < 29; ++i) {
            advance(milliseconds(1000));
            client.send("x");
            settle();
        }
        EXPECT_EQ(connections(), 1U);
        advance(milliseconds(1000));
        EXPECT_EQ(next_reply(client).status, 408);
        EXPECT_TRUE(closes(client));
        client.close();
        settle();
    }
    EXPECT_EQ(server->stats().timed_out_body, 2U);
    EXPECT_EQ(connections(), 0U);
}

TEST_F(ServerTimeoutTest, ClientsThatDoNotReadAreReset) {
    for (const std::string_view path : {"/large", "/asset"}) {
        const auto before = server->stats().timed_out_write;
        Client client(server->port(), 4096);
        client.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n");
        settle();
        advance(milliseconds(29'999));
        EXPECT_EQ(connections(), 1U);
        advance(milliseconds(1));
        EXPECT_EQ(connections(), 0U);
        EXPECT_EQ(server->stats().timed_out_write, before + 1);
        EXPECT_TRUE(closes(client));
        EXPECT_TRUE(client.was_reset);
        EXPECT_LT(client.received.size(), kLargeBytes);
    }
}

TEST_F(ServerTimeoutTest, SlowReadersThatKeepReadingGetEverything) {
    for (const std::string_view path : {"/large", "/asset"}) {
        Client client(server->port(), 4096);
        client.send("GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n" +
                    std::string(kHello));
        settle();
        for (int i = 0; i < 10; ++i) {
            const std::size_t before = client.received.size();
            ASSERT_TRUE(poll_until([&] {
                client.receive(500'000);
                return client.received.size() - before >= 500'000;
            }));
            advance(milliseconds(20'000));
            ASSERT_EQ(connections(), 1U) << "progress was made";
        }
        const Reply reply = next_reply(client);
        EXPECT_EQ(reply.body.size(), kLargeBytes);
        EXPECT_EQ(reply.body.find_first_not_of(path == "/large" ? 'x' : 'y'), std::string::npos);
        EXPECT_EQ(next_reply(client).body, "hello") << "the request that waited behind it";
    }
}

// Pipelining requests and never reading must not make the server build all the answers.
TEST_F(ServerTimeoutTest, UnreadAnswersStopTheHandlers) {
    int handled = 0;
    router.add(Method::get, "/some", SyncHandler([&handled](const Request&) {
                   ++handled;
                   return Response(200, "text/plain", std::string(10'000, 'z'));
               }));
    std::string requests;
    for (int i = 0; i < 1200; ++i) {
        requests += "GET /some HTTP/1.1\r\nHost: h\r\n\r\n";
    }
    Client client(server->port(), 4096);
    client.send(requests);
    settle();
    EXPECT_LT(handled, 900);
    for (int i = 0; i < 1200; ++i) {
        ASSERT_EQ(next_reply(client).body.size(), 10'000U) << i;
    }
    EXPECT_EQ(handled, 1200);
}

TEST_F(ServerTimeoutTest, LingeringEnds) {
    Client client(server->port());
    client.send("nonsense\r\n");
    EXPECT_EQ(next_reply(client).status, 400);
    EXPECT_EQ(connections(), 1U);
    advance(milliseconds(4'999));
    EXPECT_EQ(connections(), 1U);
    advance(milliseconds(1));
    EXPECT_EQ(connections(), 0U);
}

TEST_F(ServerTimeoutTest, VanishedClientsAreForgotten) {
    for (const std::string_view sent :
         {"", "GET /he", "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"}) {
        auto client = std::make_unique<Client>(server->port());
        client->send(sent);
        settle();
        EXPECT_EQ(connections(), 1U);
        client.reset();
        settle();
        EXPECT_EQ(connections(), 0U) << sent;
    }
}

ServerLimits little_memory() {
    ServerLimits limits;
    limits.body_bytes_max = 100'000;
    return limits;
}

class BodyMemoryTest : public ServerTest {
  protected:
    BodyMemoryTest() : ServerTest(little_memory()) {
        router.add(Method::post, "/echo", SyncHandler([](const Request& request) {
                       return Response(200, "text/plain", std::to_string(request.body.size()));
                   }));
        router.add(Method::post, "/slow", AsyncHandler(&keep));
    }
    static Task<Response> keep(const Request& request) {
        co_return Response(200, "text/plain", std::to_string(request.body.size()));
    }
    static std::string head(std::size_t length, std::string_view path = "/echo") {
        return "POST " + std::string(path) +
               " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
    }
};

TEST_F(BodyMemoryTest, UnfinishedBodiesShareABudget) {
    std::vector<std::unique_ptr<Client>> holders;
    for (int i = 0; i < 3; ++i) {
        holders.push_back(std::make_unique<Client>(server->port()));
        holders.back()->send(head(60'000));
        settle();
        holders.back()->send(std::string(30'000, 'x'));
        settle();
    }
    EXPECT_EQ(server->stats().body_bytes, 90'000U);
    for (const bool chunked : {false, true}) {
        Client late(server->port());
        late.send(chunked ? "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                          : head(30'000));
        settle();
        late.send((chunked ? "4e20\r\n" : "") + std::string(20'000, 'y'));
        const Reply reply = next_reply(late);
        EXPECT_EQ(reply.status, 503);
        EXPECT_EQ(reply.header("retry-after"), "5");
        EXPECT_EQ(reply.header("connection"), "close");
    }
    EXPECT_EQ(server->stats().refused_bodies, 2U);
    EXPECT_EQ(ask(head(5'000) + std::string(5'000, 'z')).status, 200) << "what came at once";
    // Those who were there first finish, and what they held comes back, however they end.
    holders[0]->send(std::string(30'000, 'x'));
    EXPECT_EQ(next_reply(*holders[0]).status, 503) << "that would be 120,000";
    holders[1]->send(std::string(30'000, 'x'));
    EXPECT_EQ(next_reply(*holders[1]).body, "60000");
    holders.clear();
    settle();
    EXPECT_EQ(server->stats().body_bytes, 0U);
    Client again(server->port());
    again.send(head(60'000, "/slow"));
    settle();
    again.send(std::string(60'000, 'x'));
    EXPECT_EQ(next_reply(again).body, "60000");
    EXPECT_EQ(server->stats().body_bytes, 0U) << "nor does a coroutine keep it";
}

}  // namespace
}  // namespace nave::net
