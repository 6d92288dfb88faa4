// Unfinished responses: framing, back-pressure, and who is told when they end.
#include "net/server_fixture.h"
#include "net/sse.h"

namespace nave::net {
namespace {

ServerLimits small_buffers() {
    ServerLimits limits;
    limits.stream_buffer_max = 200'000;
    return limits;
}

class ServerStreamTest : public ServerTest {
  protected:
    ServerStreamTest() : ServerTest(small_buffers()) {
        router.add(Method::get, "/stream", SyncHandler([this](const Request&) {
                       Response response(200, "text/plain", "");
                       response.stream = [this](std::shared_ptr<ResponseStream> opened) {
                           stream = std::move(opened);
                           stream->on_closed([this] { ++closed; });
                       };
                       return response;
                   }));
        router.add(Method::get, "/hello", SyncHandler([](const Request&) {
                       return Response(200, "text/plain", "hello");
                   }));
    }
    void open(Client& client, std::string_view version = "1.1") {
        client.send("GET /stream HTTP/" + std::string(version) + "\r\nHost: h\r\n\r\n");
        ASSERT_TRUE(poll_until([&] {
            client.receive();
            return client.received.ends_with("\r\n\r\n");
        }));
        ASSERT_NE(stream, nullptr);
    }
    std::string drain_received(Client& client) {
        settle();
        client.receive();
        return std::exchange(client.received, "");
    }

    std::shared_ptr<ResponseStream> stream;
    int closed = 0;
};

constexpr std::string_view kHello = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(ServerStreamTest, ChunksThenTheNextRequest) {
    Client client(server->port());
    open(client);
    const std::string head = drain_received(client);
    EXPECT_NE(head.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
    EXPECT_EQ(head.find("Content-Length"), std::string::npos);

    EXPECT_TRUE(stream->write("hello"));
    EXPECT_TRUE(stream->write(""));
    EXPECT_TRUE(stream->write("0123456789abcdef"));
    EXPECT_GT(stream->buffered(), 0U);
    EXPECT_EQ(drain_received(client), "5\r\nhello\r\n10\r\n0123456789abcdef\r\n");
    EXPECT_EQ(stream->buffered(), 0U);

    client.send(kHello);  // waits for the stream to end
    EXPECT_EQ(drain_received(client), "");
    stream->write("end");
    stream->close();
    EXPECT_FALSE(stream->write("more"));
    ASSERT_TRUE(poll_until([&] {
        client.receive();
        return client.received.ends_with("hello");
    }));
    EXPECT_TRUE(client.received.starts_with("3\r\nend\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(closed, 0) << "not after close()";
}

TEST_F(ServerStreamTest, OldClientsReadToTheEnd) {
    Client client(server->port());
    open(client, "1.0");
    const std::string head = drain_received(client);
    EXPECT_EQ(head.find("Transfer-Encoding"), std::string::npos);
    EXPECT_NE(head.find("Connection: close\r\n"), std::string::npos);
    stream->write("plain");
    EXPECT_EQ(drain_received(client), "plain");
    stream->close();
    EXPECT_TRUE(closes(client));
    EXPECT_FALSE(client.was_reset);
}

TEST_F(ServerStreamTest, HeadStartsNoStream) {
    Client client(server->port());
    client.send("HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(next_reply(client, true).status, 200);
    EXPECT_EQ(stream, nullptr);
    client.send(kHello);
    EXPECT_EQ(next_reply(client).body, "hello");
}

TEST_F(ServerStreamTest, AVanishedReaderIsReportedOnce) {
    auto client = std::make_unique<Client>(server->port());
    open(*client);
    client.reset();
    ASSERT_TRUE(poll_until([&] { return closed > 0; }));
    EXPECT_FALSE(stream->write("x"));
    stream->close();
    stream->abort();
    settle();
    EXPECT_EQ(closed, 1);
    EXPECT_EQ(server->stats().connections, 0U);
}

TEST_F(ServerStreamTest, AnAbortIsNotTakenForTheEnd) {
    Client client(server->port());
    open(client);
    stream->write("half");
    drain_received(client);
    stream->abort();
    EXPECT_TRUE(closes(client));
    EXPECT_TRUE(client.was_reset);
    EXPECT_EQ(closed, 0);
}

TEST_F(ServerStreamTest, ADroppedHandleAborts) {
    Client client(server->port());
    open(client);
    stream.reset();
    EXPECT_TRUE(closes(client));
    EXPECT_TRUE(client.was_reset);
}

TEST_F(ServerStreamTest, AReaderThatStopsIsCutOffAtTheLimit) {
    Client client(server->port(), 4096);
    open(client);
    const std::string block(10'000, 'x');
    int written = 0;
    while (stream->write(block) && written < 2000) {
        ++written;
        loop.poll();
    }
    EXPECT_LT(written, 2000);
    EXPECT_EQ(closed, 0) << "not below write()";
    EXPECT_FALSE(stream->write("x"));
    settle();
    EXPECT_EQ(closed, 1);
    EXPECT_EQ(server->stats().connections, 0U);
}

TEST_F(ServerStreamTest, AReaderWithoutProgressIsCutOffInTime) {
    Client client(server->port(), 4096);
    open(client);
    const std::string block(10'000, 'x');
    while (stream->buffered() == 0 || stream->buffered() < 100'000) {
        ASSERT_TRUE(stream->write(block));
        loop.poll();
    }
    advance(std::chrono::milliseconds(29'000));
    EXPECT_EQ(closed, 0);
    advance(std::chrono::milliseconds(1'001));
    EXPECT_EQ(closed, 1);
    EXPECT_EQ(server->stats().timed_out_write, 1U);
}

TEST_F(ServerStreamTest, AnIdleStreamLivesOn) {
    Client client(server->port());
    open(client);
    drain_received(client);
    advance(std::chrono::hours(2));
    EXPECT_TRUE(stream->write("still here"));
    EXPECT_EQ(drain_received(client), "a\r\nstill here\r\n");
}

TEST_F(ServerStreamTest, InputDuringAStreamIsBounded) {
    Client client(server->port());
    open(client);
    for (int i = 0; i < 3; ++i) {
        client.send(std::string(10'000, 'x'));
        settle();
    }
    EXPECT_EQ(closed, 1);
}

TEST_F(ServerStreamTest, StreamsMayEndWithinTheHandler) {
    router.add(Method::get, "/short", SyncHandler([](const Request&) {
                   Response response(200, "text/plain", "");
                   response.stream = [](const std::shared_ptr<ResponseStream>& opened) {
                       opened->write("all");
                       opened->close();
                   };
                   return response;
               }));
    Client client(server->port());
    client.send("GET /short HTTP/1.1\r\nHost: h\r\n\r\n" + std::string(kHello));
    ASSERT_TRUE(poll_until([&] {
        client.receive();
        return client.received.ends_with("hello");
    }));
    EXPECT_NE(client.received.find("\r\n\r\n3\r\nall\r\n0\r\n\r\nHTTP/1.1 200 OK"),
              std::string::npos);
}

TEST_F(ServerStreamTest, AStreamCallbackThatAbortsIsSafe) {
    router.add(Method::get, "/abort", SyncHandler([](const Request&) {
                   Response response(200, "text/plain", "");
                   response.stream = [](const std::shared_ptr<ResponseStream>& opened) {
                       opened->abort();
                   };
                   return response;
               }));
    Client client(server->port());
    client.send("GET /abort HTTP/1.1\r\nHost: h\r\n\r\n" + std::string(kHello));
    EXPECT_TRUE(closes(client));
    EXPECT_EQ(server->stats().connections, 0U);
}

TEST_F(ServerStreamTest, AStreamCallbackThatThrowsIsLogged) {
    router.add(Method::get, "/throw", SyncHandler([](const Request&) {
                   Response response(200, "text/plain", "");
                   response.stream = [](const std::shared_ptr<ResponseStream>&) {
                       throw std::runtime_error("no stream");
                   };
                   return response;
               }));
    Client client(server->port());
    client.send("GET /throw HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_TRUE(closes(client));
    ASSERT_EQ(log->lines.size(), 1U);
    EXPECT_NE(log->lines[0].find("no stream"), std::string::npos);
    EXPECT_EQ(ask(kHello).body, "hello");
}

// Everything is published before the loop turns, more than the stream's own buffer holds.
TEST_F(ServerStreamTest, ABurstOfEventsReachesAReaderThatReads) {
    SseChannel channel({.queue_events_max = 16, .queue_bytes_max = 16 * 1024});
    router.add(Method::get, "/events",
               SyncHandler([&](const Request&) { return channel.subscribe(""); }));
    Client client(server->port());
    client.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
    ASSERT_TRUE(poll_until([&] { return channel.clients() == 1; }));
    static_cast<void>(drain_received(client));
    for (int i = 0; i < 400; ++i) {
        channel.publish("burst", std::string(1'000, 'x'));
        client.receive();
    }
    EXPECT_EQ(channel.dropped_slow(), 0U);
    ASSERT_TRUE(poll_until([&] {
        client.receive();
        return client.received.find("id: 400\n") != std::string::npos;
    }));
    EXPECT_EQ(channel.clients(), 1U);
    // One who does not read is still cut off.
    for (int i = 0; i < 20'000 && channel.clients() == 1; ++i) {
        channel.publish("burst", std::string(1'000, 'x'));
    }
    EXPECT_EQ(channel.dropped_slow(), 1U);
}

TEST_F(ServerStreamTest, EventsReachEveryReader) {
    SseChannel channel;
    router.add(Method::get, "/events", SyncHandler([&channel](const Request& request) {
                   return channel.subscribe(request.header("last-event-id"));
               }));
    Client first(server->port());
    Client second(server->port());
    first.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
    settle();
    channel.publish("greeting", "one");
    second.send("GET /events HTTP/1.1\r\nHost: h\r\nLast-Event-ID: 0\r\n\r\n");
    settle();
    EXPECT_EQ(channel.clients(), 2U);
    channel.publish("greeting", "two");
    channel.heartbeat();
    settle();
    for (Client* client : {&first, &second}) {
        client->receive();
        EXPECT_NE(client->received.find("Content-Type: text/event-stream"), std::string::npos);
        const auto one = client->received.find("id: 1\nevent: greeting\ndata: one\n\n");
        const auto two = client->received.find("id: 2\nevent: greeting\ndata: two\n\n");
        EXPECT_NE(one, std::string::npos);
        EXPECT_LT(one, two);
        EXPECT_NE(two, std::string::npos);
    }
    first.close();
    settle();
    EXPECT_EQ(channel.clients(), 1U);
    channel.close();
    settle();
    second.receive();
    EXPECT_TRUE(second.received.ends_with("0\r\n\r\n"));
}

}  // namespace
}  // namespace nave::net
