// A WebSocket over loopback: messages, the closing handshake from either side, and who is told
// what.
#include "net/websocket_fixture.h"

#include <gmock/gmock.h>

#include <stdexcept>

namespace nave::net {
namespace {

using testing::ElementsAre;
using By = WebSocketEnd::By;

TEST_F(WebSocketTest, OpensAndEchoes) {
    Client client(server->port());
    client.send(kHandshake);
    ASSERT_TRUE(poll_until([&] {
        client.receive();
        return client.received.ends_with("\r\n\r\n");
    }));
    Reply reply;
    ASSERT_TRUE(take_reply(client.received, reply));
    EXPECT_EQ(reply.status, 101);
    EXPECT_EQ(reply.header("upgrade"), "websocket");
    EXPECT_EQ(reply.header("connection"), "Upgrade");
    EXPECT_EQ(reply.header("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_EQ(reply.headers.count("sec-websocket-extensions"), 0U);
    EXPECT_EQ(reply.headers.count("sec-websocket-protocol"), 0U);
    EXPECT_EQ(reply.headers.count("content-length"), 0U);

    client.send(text_frame("hello") +
                TestFrame{.opcode = WsOpcode::binary, .payload = "\xff"}.encode());
    auto frame = next_frame(client);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, WsOpcode::text);
    EXPECT_EQ(frame->payload, "hello");
    frame = next_frame(client);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, WsOpcode::binary);
    EXPECT_EQ(frame->payload, "\xff");
    EXPECT_THAT(sessions[0]->types, ElementsAre(MessageType::text, MessageType::binary));
}

TEST_F(WebSocketTest, FramesBehindTheHandshakeAreRead) {
    Client client(server->port());
    client.send(std::string(kHandshake) + text_frame("early") + text_frame("bird").substr(0, 4));
    ASSERT_TRUE(poll_until([&] {
        client.receive();
        return client.received.contains("early");
    }));
    client.received.clear();
    client.send(text_frame("bird").substr(4));
    EXPECT_EQ(next_frame(client)->payload, "bird");
}

TEST_F(WebSocketTest, ThePeerCloses) {
    Client client(server->port());
    const auto session = open(client);
    client.send(text_frame("last") + close_frame(4001, "enough"));
    EXPECT_EQ(next_frame(client)->payload, "last");
    EXPECT_EQ(next_close(client), 4001);
    EXPECT_TRUE(closes(client));
    EXPECT_FALSE(client.was_reset);
    EXPECT_EQ(session->closed, 1);
    EXPECT_EQ(session->by, By::peer);
    EXPECT_EQ(session->code, 4001);
    EXPECT_EQ(session->reason, "enough");
    EXPECT_FALSE(session->opened->is_open());
    EXPECT_FALSE(session->opened->send_text("late"));
    EXPECT_EQ(server->stats().connections, 1U) << "until the peer's end of the connection";
    client.close();
    EXPECT_TRUE(poll_until([&] { return server->stats().connections == 0; }));
}

TEST_F(WebSocketTest, WhatComesBehindACloseFrameDoesNotDestroyTheAnswer) {
    Client client(server->port());
    const auto session = open(client);
    client.send(close_frame(1000));
    settle();
    client.send(text_frame("late"));
    settle();
    client.send(text_frame("later"));
    settle();
    EXPECT_EQ(next_close(client), 1000);
    EXPECT_TRUE(closes(client));
    EXPECT_FALSE(client.was_reset);
    EXPECT_TRUE(session->messages.empty());
}

TEST_F(WebSocketTest, ThePeerClosesWithoutACode) {
    Client client(server->port());
    const auto session = open(client);
    client.send(control_frame(WsOpcode::close));
    const auto frame = next_frame(client);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, WsOpcode::close);
    EXPECT_EQ(frame->payload, "");
    EXPECT_TRUE(closes(client));
    EXPECT_EQ(session->code, ws_close::kNoStatus);
    EXPECT_EQ(session->by, By::peer);
}

TEST_F(WebSocketTest, TheSessionCloses) {
    Client client(server->port());
    const auto session = open(client);
    session->opened->send_text("before");
    session->opened->close(4009, "bye");
    EXPECT_FALSE(session->opened->send_text("after"));
    session->opened->close(4010, "again");
    EXPECT_EQ(session->closed, 0) << "never inside a call of the session";
    EXPECT_EQ(next_frame(client)->payload, "before");
    const auto frame = next_frame(client);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->payload, close_payload(4009, "bye"));
    EXPECT_EQ(session->closed, 1) << "without waiting for the peer";
    EXPECT_EQ(session->by, By::server);
    EXPECT_EQ(session->code, 4009);
    EXPECT_EQ(server->stats().connections, 1U);

    client.send(text_frame("too late") + close_frame(4009));
    EXPECT_TRUE(closes(client));
    EXPECT_FALSE(client.was_reset);
    EXPECT_TRUE(session->messages.empty());
    EXPECT_EQ(session->closed, 1);
    client.close();
    EXPECT_TRUE(poll_until([&] { return server->stats().connections == 0; }));
}

TEST_F(WebSocketTest, TheConnectionBreaks) {
    auto client = std::make_unique<Client>(server->port());
    const auto session = open(*client);
    client.reset();
    ASSERT_TRUE(poll_until([&] { return session->closed > 0; }));
    EXPECT_EQ(session->by, By::lost);
    EXPECT_EQ(session->code, ws_close::kAbnormal);
    EXPECT_EQ(server->websocket_stats().closed_lost, 1U);
    settle();
    EXPECT_EQ(session->closed, 1);
}

TEST_F(WebSocketTest, ABrokenRuleClosesAndWhatFollowsIsDropped) {
    Client client(server->port());
    const auto session = open(client);
    client.send(text_frame("fine") + TestFrame{.payload = "x", .masked = false}.encode() +
                text_frame("ignored") + std::string(100'000, 'x'));
    EXPECT_EQ(next_frame(client)->payload, "fine");
    EXPECT_EQ(next_close(client), 1002);
    EXPECT_EQ(session->by, By::server);
    EXPECT_EQ(session->code, 1002);
    EXPECT_THAT(session->messages, ElementsAre("fine"));
    EXPECT_TRUE(closes(client)) << "our side is shut";
    EXPECT_FALSE(client.was_reset) << "the close frame must arrive";
    EXPECT_EQ(server->stats().connections, 1U) << "until the peer closes too";
    client.close();
    ASSERT_TRUE(poll_until([&] { return server->stats().connections == 0; }));
}

TEST_F(WebSocketTest, AnExceptionIsThatSocketsEnd) {
    Client client(server->port());
    Client other(server->port());
    const auto session = open(client);
    const auto other_session = open(other);
    session->at_message = [](WebSocket&, std::string_view) { throw std::runtime_error("hunter2"); };
    client.send(text_frame("boom") + text_frame("not delivered"));
    EXPECT_EQ(next_close(client), 1011);
    EXPECT_EQ(session->messages.size(), 1U);
    EXPECT_EQ(session->code, 1011);
    EXPECT_EQ(server->websocket_stats().closed_error, 1U);
    ASSERT_FALSE(log->lines.empty());
    EXPECT_THAT(log->lines.back(), testing::HasSubstr("hunter2"));
    other.send(text_frame("still here"));
    EXPECT_EQ(next_frame(other)->payload, "still here");
}

TEST_F(WebSocketTest, PingsAreAnswered) {
    Client client(server->port());
    open(client);
    const std::string longest(125, 'p');
    client.send(control_frame(WsOpcode::ping, longest) + control_frame(WsOpcode::ping));
    auto frame = next_frame(client);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, WsOpcode::pong);
    EXPECT_EQ(frame->payload, longest);
    frame = next_frame(client);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, WsOpcode::pong);
    EXPECT_EQ(frame->payload, "");
}

TEST_F(WebSocketTest, ASessionMayPing) {
    Client client(server->port());
    const auto session = open(client);
    EXPECT_TRUE(session->opened->send_text("first"));
    EXPECT_TRUE(session->opened->ping("mark"));
    EXPECT_EQ(next_frame(client)->payload, "first");
    const auto frame = next_frame(client);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->opcode, WsOpcode::ping);
    EXPECT_EQ(frame->payload, "mark");
    client.send(control_frame(WsOpcode::pong, "mark"));
    ASSERT_TRUE(poll_until([&] { return !session->pongs.empty(); }));
    EXPECT_THAT(session->pongs, ElementsAre("mark"));
    session->opened->close();
    EXPECT_FALSE(session->opened->ping("late"));
}

TEST_F(WebSocketTest, WhatOneTurnSendsLeavesInOneCall) {
    Client client(server->port());
    const auto session = open(client);
    for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(session->opened->send_text(std::to_string(i)));
    }
    EXPECT_GT(session->opened->buffered(), 0U);
    client.receive();
    EXPECT_EQ(client.received, "") << "not before the turn has ended";
    loop.poll();
    client.receive();
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(take_frame(client.received)->payload, std::to_string(i));
    }
    EXPECT_EQ(session->opened->buffered(), 0U);
}

TEST_F(WebSocketTest, ABroadcastIsEncodedOnce) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 5; ++i) {
        clients.push_back(std::make_unique<Client>(server->port()));
        open(*clients.back());
    }
    const SharedFrame small = SharedFrame::text("small");
    const SharedFrame large = SharedFrame::binary(std::string(100'000, 'L'));
    for (const auto& session : sessions) {
        EXPECT_TRUE(session->opened->send(small));
        EXPECT_TRUE(session->opened->send(large));
        EXPECT_TRUE(session->opened->send_text("own"));
    }
    for (const auto& client : clients) {
        EXPECT_EQ(next_frame(*client)->payload, "small");
        const auto frame = next_frame(*client);
        EXPECT_EQ(frame->opcode, WsOpcode::binary);
        EXPECT_EQ(frame->payload, std::string(100'000, 'L'));
        EXPECT_EQ(next_frame(*client)->payload, "own");
    }
    EXPECT_EQ(server->websocket_stats().messages_out, 15U);
}

TEST_F(WebSocketTest, MessagesOfEveryLengthClassPass) {
    Client client(server->port());
    const auto session = open(client);
    for (const std::size_t size : {0UL, 1UL, 125UL, 126UL, 127UL, 65535UL, 65536UL, 1'000'000UL}) {
        const std::string payload(size, 'm');
        const std::string frame = text_frame(payload);
        std::size_t sent = 0;
        std::optional<ServerFrame> echoed;
        ASSERT_TRUE(poll_until([&] {
            sent += client.send(std::string_view(frame).substr(sent));
            client.receive();
            echoed = take_frame(client.received);
            return echoed.has_value();
        })) << size;
        EXPECT_EQ(echoed->payload, payload);
    }
    client.send(TestFrame{.says_length = 1024 * 1024 + 1}.encode());
    EXPECT_EQ(next_close(client), 1009) << "before the payload comes";
    EXPECT_EQ(server->websocket_stats().closed_too_big, 1U);
}

TEST_F(WebSocketTest, ASessionMayPauseReading) {
    Client client(server->port());
    const auto session = open(client);
    session->at_message = [](WebSocket& socket, std::string_view payload) {
        if (payload == "stop") {
            socket.pause();
        }
    };
    client.send(text_frame("1") + text_frame("stop") + text_frame("2"));
    ASSERT_TRUE(poll_until([&] { return session->messages.size() == 2; }));
    client.send(text_frame("3"));
    settle();
    EXPECT_THAT(session->messages, ElementsAre("1", "stop"));
    session->opened->resume();
    EXPECT_EQ(session->messages.size(), 2U) << "not inside resume()";
    ASSERT_TRUE(poll_until([&] { return session->messages.size() == 4; }));
    EXPECT_THAT(session->messages, ElementsAre("1", "stop", "2", "3"));
}

TEST_F(WebSocketTest, CountsWhatHappens) {
    Client client(server->port());
    const auto session = open(client);
    EXPECT_EQ(server->websocket_stats().open, 1U);
    EXPECT_EQ(server->stats().connections, 1U);
    client.send(text_frame("abc"));
    EXPECT_EQ(next_frame(client)->payload, "abc");
    client.send(close_frame(1000));
    EXPECT_TRUE(closes(client));
    client.close();
    EXPECT_TRUE(poll_until([&] { return server->websocket_stats().open == 0; }));
    const WebSocketStats stats = server->websocket_stats();
    EXPECT_EQ(stats.opened, 1U);
    EXPECT_EQ(stats.messages_in, 1U);
    EXPECT_EQ(stats.messages_out, 1U);
    EXPECT_EQ(stats.bytes_in, 6U + 3U + 6U + 2U);
    EXPECT_GT(stats.bytes_out, 9U);
    EXPECT_EQ(stats.closed_normal, 1U);
}

}  // namespace
}  // namespace nave::net
