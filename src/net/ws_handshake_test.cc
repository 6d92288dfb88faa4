// The opening handshake: what is accepted, and what refusals say.
#include "net/ws_handshake.h"

#include "net/websocket_fixture.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nave::net {
namespace {

WebSocketOptions options() {
    WebSocketOptions options;
    options.protocols = {"v2.chat", "v1.chat"};
    return options;
}

// The handshake of the fixture with one header line replaced, or left out when empty.
std::string handshake(std::string_view line = "", std::string_view replacement = "",
                      std::string_view added = "", std::string_view request_line = "") {
    std::string text(kHandshake);
    if (!line.empty()) {
        const auto at = text.find(line);
        const auto end = text.find("\r\n", at) + 2;
        text.replace(at, end - at, replacement.empty() ? "" : std::string(replacement) + "\r\n");
    }
    if (!request_line.empty()) {
        text.replace(0, text.find("\r\n"), request_line);
    }
    text.insert(text.size() - 2, added);
    return text;
}

class HandshakeTest : public WebSocketTest {
  protected:
    HandshakeTest() : WebSocketTest(options()) {
        router.websocket("/open", SyncHandler([](const Request&) {
                             return accept_websocket(std::make_shared<TestSession>());
                         }),
                         {.origin_allowed = &any_origin});
        router.websocket("/later/{room}", AsyncHandler([this](const Request& request) {
                             return decide_later(this, request);
                         }),
                         WebSocketOptions());
        router.add(Method::get, "/hello", SyncHandler([](const Request&) {
                       return Response(200, "text/plain", "hello");
                   }));
        router.add(Method::get, "/page", SyncHandler([](const Request&) {
                       return Response(200, "text/plain", std::string(15'000, 'p'));
                   }));
    }
    static Task<Response> decide_later(HandshakeTest* test, const Request& request) {
        co_await boost::asio::post(boost::asio::use_awaitable_t<LoopExecutor>());
        if (request.param("room") == "stop") {
            boost::asio::co_spawn(
                test->loop.executor(), test->server->drain(std::chrono::seconds(5)),
                [test](const std::exception_ptr&, bool) { test->drained = true; });
            co_await boost::asio::post(boost::asio::use_awaitable_t<LoopExecutor>());
        }
        if (request.param("room") == "private") {
            co_return Response(401, "text/plain", "no entry");
        }
        auto session = std::make_shared<TestSession>();
        session->at_open = [](WebSocket& socket) { socket.send_text("welcome"); };
        co_return accept_websocket(session).with("X-Room", request.param("room"));
    }

    bool drained = false;
};

TEST_F(HandshakeTest, AcceptsWhatClientsSend) {
    for (const std::string& request :
         {handshake(), handshake("Upgrade:", "UPGRADE: WebSocket"),
          handshake("Connection:", "Connection: keep-alive, upgrade"),
          handshake("Connection:", "Connection: keep-alive\r\nConnection: Upgrade"),
          handshake("Upgrade:", "Upgrade: h2c, websocket"),
          handshake("", "",
                    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"),
          handshake("", "", "Origin: http://h\r\n"), handshake("", "", "Origin: http://H:80\r\n"),
          handshake("Host:", "Host: h:443", "Origin: https://h\r\n"),
          handshake("", "", "", "GET /ws?room=1 HTTP/1.1"),
          handshake("", "", "Origin: https://elsewhere\r\n", "GET /open HTTP/1.1")}) {
        const Reply reply = ask(request);
        EXPECT_EQ(reply.status, 101) << request;
        EXPECT_EQ(reply.headers.count("sec-websocket-extensions"), 0U);
        EXPECT_EQ(reply.headers.count("sec-websocket-protocol"), 0U);
    }
}

TEST_F(HandshakeTest, RefusesWithAReason) {
    struct Case {
        std::string request;
        int status;
        std::string id;
    };
    const std::string twice = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (const Case& one : {
             Case{"GET /ws HTTP/1.1\r\nHost: h\r\n\r\n", 426, "net.upgrade_required"},
             Case{handshake("Upgrade:"), 426, "net.upgrade_required"},
             Case{handshake("Upgrade:", "Upgrade: h2c"), 426, "net.upgrade_required"},
             Case{handshake("Connection:"), 426, "net.upgrade_required"},
             Case{handshake("Connection:", "Connection: keep-alive"), 426, "net.upgrade_required"},
             Case{handshake("Sec-WebSocket-Version:"), 426, "net.websocket_version"},
             Case{handshake("Sec-WebSocket-Version:", "Sec-WebSocket-Version: 8"), 426,
                  "net.websocket_version"},
             Case{handshake("Sec-WebSocket-Version:", "Sec-WebSocket-Version: 013"), 426,
                  "net.websocket_version"},
             Case{handshake("", "", "Sec-WebSocket-Version: 13\r\n"), 400,
                  "net.websocket_handshake"},
             Case{handshake("Sec-WebSocket-Key:"), 400, "net.websocket_handshake"},
             Case{handshake("Sec-WebSocket-Key:", "Sec-WebSocket-Key: c2hvcnQ="), 400,
                  "net.websocket_handshake"},
             Case{handshake("Sec-WebSocket-Key:", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j$Q=="),
                  400, "net.websocket_handshake"},
             Case{handshake("Sec-WebSocket-Key:",
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBpcyBsb25n"),
                  400, "net.websocket_handshake"},
             Case{handshake("", "", twice), 400, "net.websocket_handshake"},
             Case{handshake("", "", "Sec-WebSocket-Protocol: a b\r\n"), 400,
                  "net.websocket_handshake"},
             Case{handshake("", "", "Sec-WebSocket-Protocol: a, a\r\n"), 400,
                  "net.websocket_handshake"},
             Case{handshake("", "", "", "GET /ws HTTP/1.0"), 400, "net.websocket_handshake"},
             Case{handshake("", "", "Origin: https://evil.example\r\n"), 403, "net.origin_refused"},
             Case{handshake("", "", "Origin: http://h.evil.example\r\n"), 403,
                  "net.origin_refused"},
             Case{handshake("", "", "Origin: http://h:81\r\n"), 403, "net.origin_refused"},
             Case{handshake("", "", "Origin: null\r\n"), 403, "net.origin_refused"},
             Case{handshake("", "", "Origin: \r\n"), 403, "net.origin_refused"},
             Case{handshake("", "", "Origin: http://h\r\nOrigin: http://h\r\n"), 403,
                  "net.origin_refused"},
             Case{handshake("", "", "", "POST /ws HTTP/1.1"), 405, "net.method_not_allowed"},
             Case{handshake("", "", "", "GET /nowhere HTTP/1.1"), 404, "net.no_route"},
             Case{handshake("", "", "Content-Length: 3\r\n") + "abc", 413, "net.body_too_large"},
         }) {
        const Reply reply = ask(one.request);
        EXPECT_EQ(reply.status, one.status) << one.request;
        EXPECT_TRUE(reply.body.contains('"' + one.id + '"')) << one.request << reply.body;
        if (one.status == 426) {
            EXPECT_EQ(reply.header("upgrade"), "websocket");
            EXPECT_EQ(reply.header("sec-websocket-version"), "13");
            EXPECT_TRUE(reply.header("connection").contains("Upgrade"));
        }
    }
    EXPECT_TRUE(sessions.empty()) << "the handler runs for valid handshakes only";
    EXPECT_EQ(server->websocket_stats().opened, 0U);
}

TEST_F(HandshakeTest, HeadIsNotAHandshake) {
    Client client(server->port());
    client.send(handshake("", "", "", "HEAD /ws HTTP/1.1"));
    EXPECT_EQ(next_reply(client, true).status, 405);
}

TEST_F(HandshakeTest, TheConnectionLivesOnAfterARefusal) {
    Client client(server->port());
    client.send(handshake("Sec-WebSocket-Version:", "Sec-WebSocket-Version: 8"));
    EXPECT_EQ(next_reply(client).status, 426);
    client.send(kHandshake);
    ASSERT_TRUE(poll_until([&] {
        client.receive();
        return client.received.contains("101 Switching");
    }));
}

TEST_F(HandshakeTest, SelectsTheFirstKnownProtocolOffered) {
    const auto selected = [&](std::string_view offered) {
        return ask(handshake("", "", offered)).header("sec-websocket-protocol");
    };
    EXPECT_EQ(selected("Sec-WebSocket-Protocol: v1.chat, v2.chat\r\n"), "v1.chat");
    EXPECT_EQ(selected("Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: v2.chat\r\n"),
              "v2.chat");
    EXPECT_EQ(selected("Sec-WebSocket-Protocol: V1.chat, x\r\n"), "") << "case counts";
    EXPECT_EQ(sessions[0]->opened->protocol(), "v1.chat");
    EXPECT_EQ(sessions[2]->opened->protocol(), "");
}

TEST_F(HandshakeTest, ACoroutineMayDecide) {
    Reply reply = ask(handshake("", "", "", "GET /later/private HTTP/1.1"));
    EXPECT_EQ(reply.status, 401);
    EXPECT_EQ(reply.body, "no entry");
    EXPECT_EQ(ask(handshake("Upgrade:", "", "", "GET /later/hall HTTP/1.1")).status, 426);

    Client client(server->port());
    // The frame waits behind the handshake until there is a socket to deliver it to.
    client.send(handshake("", "", "", "GET /later/hall HTTP/1.1") + text_frame("echo me"));
    ASSERT_TRUE(poll_until([&] {
        client.receive();
        return client.received.ends_with("echo me");
    }));
    ASSERT_TRUE(take_reply(client.received, reply));
    EXPECT_EQ(reply.status, 101);
    EXPECT_EQ(reply.header("x-room"), "hall");
    EXPECT_EQ(take_frame(client.received)->payload, "welcome");
    EXPECT_EQ(take_frame(client.received)->payload, "echo me");
}

TEST_F(HandshakeTest, RequestsBeforeItAreAnsweredFirst) {
    Client client(server->port());
    client.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n" + std::string(kHandshake) +
                text_frame("now frames"));
    EXPECT_EQ(next_reply(client).body, "hello");
    EXPECT_EQ(next_reply(client).status, 101);
    EXPECT_EQ(next_frame(client)->payload, "now frames");
}

// However many answers the kernel takes, the rest goes out ahead of the socket's frames.
TEST_F(HandshakeTest, ALateDecisionWaitsBehindWhatIsNotYetSent) {
    for (int round = 0; round < 20; ++round) {
        const int pages = round * 18 + 17;
        Client client(server->port(), 4096);
        std::string requests;
        for (int i = 0; i < pages; ++i) {
            requests += "GET /page HTTP/1.1\r\nHost: h\r\n\r\n";
        }
        client.send(requests + handshake("", "", "", "GET /later/hall HTTP/1.1"));
        settle();
        for (int i = 0; i < pages; ++i) {
            ASSERT_EQ(next_reply(client).body.size(), 15'000U) << i;
        }
        ASSERT_EQ(next_reply(client).status, 101);
        ASSERT_EQ(next_frame(client)->payload, "welcome");
        client.send(text_frame("echo me"));
        ASSERT_EQ(next_frame(client)->payload, "echo me");
    }
}

TEST_F(HandshakeTest, AStoppingServerOpensNoMore) {
    Client client(server->port());
    client.send(handshake("", "", "", "GET /later/stop HTTP/1.1"));
    EXPECT_EQ(next_reply(client).status, 503);
    EXPECT_TRUE(closes(client));
    ASSERT_TRUE(poll_until([&] { return drained; }));
}

class CutTest : public WebSocketTest {
  protected:
    CutTest() {
        router.cut_other_upgrades();
        router.add(Method::get, "/hello", SyncHandler([](const Request&) {
                       return Response(200, "text/plain", "hello");
                   }));
    }
};

TEST_F(CutTest, OtherTargetsAreCutWithoutAnAnswer) {
    for (const std::string_view line :
         {"GET / HTTP/1.1", "GET /ws/ HTTP/1.1", "GET /ws?x=1 HTTP/1.1", "GET /ws? HTTP/1.1",
          "GET /%77s HTTP/1.1", "GET /hello HTTP/1.1", "GET /nowhere HTTP/1.1",
          "POST /nowhere HTTP/1.1", "GET http://h/ws HTTP/1.1"}) {
        Client client(server->port());
        client.send(handshake("", "", "", line));
        EXPECT_TRUE(closes(client)) << line;
        EXPECT_EQ(client.received, "") << line;
    }
    EXPECT_EQ(server->stats().connections, 0U);
    EXPECT_EQ(ask(kHandshake).status, 101);
    EXPECT_EQ(ask("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
    EXPECT_EQ(ask("GET /ws HTTP/1.1\r\nHost: h\r\n\r\n").status, 426) << "no upgrade asked for";
}

TEST_F(CutTest, WhatWasAskedBeforeIsStillAnswered) {
    Client client(server->port());
    client.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n" +
                handshake("", "", "", "GET /other HTTP/1.1"));
    EXPECT_EQ(next_reply(client).body, "hello");
    EXPECT_TRUE(closes(client));
    EXPECT_EQ(client.received, "");
}

}  // namespace
}  // namespace nave::net
