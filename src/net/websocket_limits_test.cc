// Times, limits and the server's end, by a clock that moves when told to.
#include "net/websocket_fixture.h"
#include "net/ws_test_cases.h"

#include <boost/asio/co_spawn.hpp>
#include <gmock/gmock.h>

namespace nave::net {
namespace {

using namespace std::chrono_literals;
using By = WebSocketEnd::By;

WebSocketOptions limited() {
    WebSocketOptions options;
    options.message_bytes_max = kCaseMessageMax;
    options.buffered_bytes_max = 400'000;
    options.ping_interval = 30s;
    options.pong_timeout = 10s;
    options.idle_timeout = 100s;
    options.close_timeout = 5s;
    return options;
}

ServerLimits few_connections() {
    ServerLimits limits;
    limits.connections_max = 3;
    limits.websockets_buffered_max = 600'000;
    return limits;
}

class WebSocketLimitsTest : public WebSocketTest {
  protected:
    WebSocketLimitsTest() : WebSocketTest(limited(), few_connections()) {}

    // Sends until the kernel and the socket's own queue hold no more.
    static std::size_t stuff(WebSocket& socket) {
        std::size_t sent = 0;
        while (socket.send_binary(std::string(10'000, 'b'))) {
            ++sent;
        }
        return sent;
    }
    std::optional<bool> drained;
    void drain(std::chrono::milliseconds deadline) {
        boost::asio::co_spawn(
            loop.executor(), server->drain(deadline),
            [this](const std::exception_ptr&, bool in_time) { drained = in_time; });
    }
};

TEST_F(WebSocketLimitsTest, EveryCaseOverTheWire) {
    for (const WsCase& one : ws_cases()) {
        Client client(server->port());
        const auto session = open(client);
        std::size_t sent = 0;
        std::vector<std::string> answers;
        ASSERT_TRUE(poll_until([&] {
            sent += client.send(std::string_view(one.sent).substr(sent));
            client.receive();
            while (const auto frame = take_frame(client.received)) {
                const std::string payload = shortened(frame->payload);
                switch (frame->opcode) {
                    case WsOpcode::text:
                        answers.push_back("text:" + payload);
                        break;
                    case WsOpcode::binary:
                        answers.push_back("binary:" + payload);
                        break;
                    case WsOpcode::pong:
                        answers.push_back("ping:" + payload);
                        break;
                    case WsOpcode::close:
                        answers.push_back("close:" + std::to_string(frame->close_code()));
                        break;
                    default:
                        answers.emplace_back("unexpected");
                        break;
                }
            }
            return client.ended || answers.size() + session->pongs.size() >= one.seen.size();
        })) << one.name;
        std::vector<std::string> expected;
        for (const std::string& event : one.seen) {
            if (event.starts_with("fail:")) {
                expected.push_back("close:" + event.substr(5));
                EXPECT_EQ(session->by, By::server) << one.name;
                EXPECT_EQ("fail:" + std::to_string(session->code), event) << one.name;
            } else if (event.starts_with("close:")) {
                expected.push_back(event.substr(0, 10));
                EXPECT_EQ(
                    "close:" + std::to_string(session->code) + ":" + shortened(session->reason),
                    event);
                EXPECT_EQ(session->by, By::peer) << one.name;
            } else if (!event.starts_with("pong:")) {
                expected.push_back(event);
            }
        }
        EXPECT_EQ(answers, expected) << one.name;
        client.close();
        ASSERT_TRUE(poll_until([&] { return server->stats().connections == 0; })) << one.name;
    }
}

TEST_F(WebSocketLimitsTest, PingsAndWaitsForAnAnswer) {
    Client client(server->port());
    const auto session = open(client);
    for (int round = 0; round < 3; ++round) {
        advance(31s);
        const auto frame = next_frame(client);
        ASSERT_TRUE(frame);
        EXPECT_EQ(frame->opcode, WsOpcode::ping);
        client.send(control_frame(WsOpcode::pong, "p") + text_frame("not idle"));
        EXPECT_EQ(next_frame(client)->payload, "not idle");
        EXPECT_EQ(std::ssize(session->pongs), round + 1);
    }
    advance(31s);
    EXPECT_EQ(next_frame(client)->opcode, WsOpcode::ping);
    advance(8s);
    EXPECT_EQ(session->closed, 0);
    advance(4s);
    EXPECT_EQ(session->closed, 1);
    EXPECT_EQ(session->by, By::lost);
    EXPECT_EQ(session->code, ws_close::kAbnormal);
    EXPECT_EQ(server->websocket_stats().timed_out_pong, 1U);
    EXPECT_TRUE(closes(client));
}

TEST_F(WebSocketLimitsTest, AnySignOfLifeAnswersAPing) {
    Client client(server->port());
    const auto session = open(client);
    advance(31s);
    EXPECT_EQ(next_frame(client)->opcode, WsOpcode::ping);
    client.send(text_frame("busy"));
    EXPECT_EQ(next_frame(client)->payload, "busy");
    advance(20s);
    EXPECT_EQ(session->closed, 0);
}

TEST_F(WebSocketLimitsTest, IdleSocketsAreClosed) {
    Client client(server->port());
    const auto session = open(client);
    for (int i = 0; i < 3; ++i) {
        advance(31s);
        EXPECT_EQ(next_frame(client)->opcode, WsOpcode::ping);
        client.send(control_frame(WsOpcode::pong));
        settle();
    }
    EXPECT_EQ(session->closed, 0) << "93 s";
    client.send(text_frame("still there"));
    EXPECT_EQ(next_frame(client)->payload, "still there");
    for (int i = 0; i < 3; ++i) {
        advance(30s);
        client.send(control_frame(WsOpcode::pong));
        settle();
    }
    EXPECT_EQ(session->closed, 0) << "90 s after the message";
    advance(12s);
    EXPECT_EQ(session->closed, 1);
    EXPECT_EQ(session->code, 1001);
    EXPECT_EQ(server->websocket_stats().timed_out_idle, 1U);
}

TEST_F(WebSocketLimitsTest, APeerThatDoesNotFinishClosingIsCut) {
    Client client(server->port());
    const auto session = open(client);
    session->opened->close(1000, "");
    EXPECT_EQ(next_close(client), 1000);
    advance(4s);
    EXPECT_EQ(server->stats().connections, 1U);
    advance(3s);
    EXPECT_EQ(server->stats().connections, 0U);
    EXPECT_TRUE(closes(client));
    EXPECT_EQ(session->closed, 1);
}

TEST_F(WebSocketLimitsTest, APeerThatIsRefusedAndStaysIsCut) {
    Client client(server->port());
    open(client);
    client.send("not a frame, and not masked");
    EXPECT_EQ(next_close(client), 1002);
    client.send(std::string(200'000, 'x'));
    advance(7s);
    EXPECT_EQ(server->stats().connections, 0U);
}

TEST_F(WebSocketLimitsTest, ASlowConsumerIsTold1013) {
    Client client(server->port(), 4096);
    const auto session = open(client);
    const std::size_t sent = stuff(*session->opened);
    EXPECT_GT(sent, 30U);
    EXPECT_FALSE(session->opened->send_text("more"));
    EXPECT_LE(session->opened->buffered(), 11'000U) << "one frame begun, and the close frame";
    loop.poll();
    EXPECT_EQ(session->closed, 1);
    EXPECT_EQ(session->code, 1013);
    EXPECT_EQ(session->by, By::server);
    EXPECT_EQ(server->websocket_stats().slow_consumers, 1U);
    EXPECT_EQ(server->websocket_stats().closed_overload, 1U);
    // Once it reads, it gets whole messages and learns why no more come.
    std::size_t received = 0;
    for (auto frame = next_frame(client); frame; frame = next_frame(client)) {
        if (frame->opcode == WsOpcode::close) {
            EXPECT_EQ(frame->close_code(), 1013);
            break;
        }
        ++received;
    }
    EXPECT_GT(received, 0U);
    EXPECT_LE(received, sent);
    client.send(close_frame(1013));
    EXPECT_TRUE(closes(client));
}

TEST_F(WebSocketLimitsTest, WhatAllSocketsHoldIsBounded) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(std::make_unique<Client>(server->port(), 4096));
        open(*clients.back());
    }
    const auto fill = [&](std::size_t i) {
        WebSocket& socket = *sessions[i]->opened;
        while (socket.is_open() && socket.buffered() < 350'000) {
            socket.send_binary(std::string(10'000, 'b'));
            loop.poll();
        }
        return socket.is_open();
    };
    EXPECT_TRUE(fill(0));
    EXPECT_FALSE(fill(1)) << "the second one would bring it over 600 000";
    EXPECT_EQ(next_close(*clients[1]), 0) << "data first";
    EXPECT_EQ(sessions[1]->code, 1013);
    EXPECT_TRUE(sessions[2]->opened->send_text("who reads is served"));
    EXPECT_EQ(next_frame(*clients[2])->payload, "who reads is served");
    clients[0]->close();
    ASSERT_TRUE(poll_until([&] { return sessions[0]->closed == 1; }));
    EXPECT_TRUE(fill(2)) << "there is room again";
}

class SmallBudgetTest : public WebSocketTest {
  protected:
    SmallBudgetTest() : WebSocketTest(limited(), limits()) {}
    static ServerLimits limits() {
        ServerLimits limits;
        limits.websockets_buffered_max = 150'000;
        return limits;
    }
};

TEST_F(SmallBudgetTest, UnfinishedMessagesCountToo) {
    const std::string payload(90'000, 'x');
    const std::string frame = text_frame(payload);
    const std::string_view most = std::string_view(frame).substr(0, 80'000);
    Client first(server->port());
    Client second(server->port());
    const auto first_session = open(first);
    const auto second_session = open(second);
    first.send(most);
    settle();
    second.send(most);
    EXPECT_EQ(next_close(second), 1013);
    EXPECT_EQ(second_session->code, 1013);
    second.close();
    ASSERT_TRUE(poll_until([&] { return server->stats().connections == 1; }));
    first.send(std::string_view(frame).substr(most.size()));
    EXPECT_EQ(next_frame(first)->payload, payload);
    for (int i = 0; i < 5; ++i) {
        first.send(frame);
        EXPECT_EQ(next_frame(first)->payload, payload) << "nothing is counted twice";
    }
}

TEST_F(SmallBudgetTest, ATurnThatWritesToManyIsSentInParts) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 300; ++i) {
        clients.push_back(std::make_unique<Client>(server->port()));
        open(*clients.back());
    }
    std::size_t held = 0;
    std::size_t queued = 0;
    const std::string message(25'000, 'm');
    for (const auto& session : sessions) {
        for (int i = 0; i < 10; ++i) {
            session->opened->send_binary(message);
            queued += message.size();
        }
    }
    for (const auto& session : sessions) {
        held += session->opened->buffered();
    }
    EXPECT_GT(queued, 74'000'000U);
    EXPECT_LT(held, 68'000'000U);
    for (const auto& client : clients) {
        for (int i = 0; i < 10; ++i) {
            ASSERT_EQ(next_frame(*client)->payload.size(), message.size());
        }
    }
}

TEST_F(WebSocketLimitsTest, WhatFitsInOneTurnIsNotSlow) {
    Client client(server->port());
    const auto session = open(client);
    // Over the limit together, but the kernel takes it as it comes.
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(session->opened->send_binary(std::string(10'000, 'b'))) << i;
        if (i % 10 == 9) {
            client.receive();
        }
    }
}

TEST_F(WebSocketLimitsTest, AnswersThatAreNotReadStopReading) {
    Client client(server->port(), 4096);
    const auto session = open(client);
    session->at_message = [](WebSocket& socket, std::string_view) {
        socket.send_binary(std::string(50'000, 'a'));
    };
    session->echoes = false;
    std::string requests;
    for (int i = 0; i < 300; ++i) {
        requests += text_frame("again");
    }
    client.send(requests);
    settle();
    const std::size_t before = session->messages.size();
    EXPECT_LT(before, 300U) << "not all are read";
    EXPECT_EQ(session->closed, 0) << "which is not slow";
    std::size_t answers = 0;
    ASSERT_TRUE(poll_until([&] {
        client.receive();
        while (take_frame(client.received)) {
            ++answers;
        }
        return answers == 300;
    }));
    EXPECT_EQ(session->messages.size(), 300U);
    EXPECT_GT(session->drained, 0);
    EXPECT_EQ(server->websocket_stats().slow_consumers, 0U);
}

TEST_F(WebSocketLimitsTest, APeerThatReadsNothingIsCutInTheEnd) {
    Client client(server->port(), 4096);
    const auto session = open(client);
    while (session->opened->buffered() < 100'000) {
        session->opened->send_binary(std::string(50'000, 'b'));
        loop.poll();
    }
    EXPECT_EQ(session->closed, 0);
    advance(31s);
    advance(31s);
    EXPECT_EQ(session->closed, 1);
    EXPECT_EQ(session->by, By::lost);
    EXPECT_EQ(server->websocket_stats().slow_consumers, 1U);
    EXPECT_EQ(server->stats().connections, 0U);
}

TEST_F(WebSocketLimitsTest, ASlowPeerThatReadsIsKept) {
    Client client(server->port(), 4096);
    const auto session = open(client);
    std::size_t queued = 0;
    while (session->opened->buffered() < 300'000) {
        session->opened->send_binary(std::string(50'000, 'b'));
        ++queued;
        loop.poll();
    }
    for (int i = 0; i < 8; ++i) {
        client.receive(20'000);
        settle();
        advance(20s);
    }
    EXPECT_EQ(session->closed, 0);
    std::size_t received = 0;
    ASSERT_TRUE(poll_until([&] {
        client.receive();
        while (const auto frame = take_frame(client.received)) {
            received += frame->opcode == WsOpcode::binary ? 1 : 0;
        }
        return received == queued;
    }));
    EXPECT_EQ(session->drained, 1);
}

TEST_F(WebSocketLimitsTest, APausedSocketIsNotTakenForDead) {
    Client client(server->port());
    const auto session = open(client);
    session->opened->pause();
    client.send(text_frame("wait"));
    for (int i = 0; i < 10; ++i) {
        advance(31s);
    }
    EXPECT_EQ(session->closed, 0);
    session->opened->resume();
    ASSERT_TRUE(poll_until([&] { return session->messages.size() == 1; }));
}

TEST_F(WebSocketLimitsTest, SocketsCountAsConnections) {
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(std::make_unique<Client>(server->port()));
        open(*clients.back());
    }
    Client refused(server->port());
    EXPECT_TRUE(closes(refused));
    EXPECT_EQ(server->stats().refused_full, 1U);
    clients.pop_back();
    ASSERT_TRUE(poll_until([&] { return server->stats().connections == 2; }));
    Client admitted(server->port());
    open(admitted);
}

TEST_F(WebSocketLimitsTest, DrainingSaysGoodbye) {
    Client polite(server->port());
    const auto session = open(polite);
    Client other(server->port());
    open(other);
    drain(5s);
    const auto frame = next_frame(polite);
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->payload, close_payload(1001, "shutting down"));
    EXPECT_EQ(session->code, 1001);
    EXPECT_EQ(session->by, By::server);
    EXPECT_FALSE(drained) << "until the peers have answered";
    EXPECT_EQ(next_close(other), 1001);
    polite.send(close_frame(1001));
    other.send(close_frame(1001));
    ASSERT_TRUE(poll_until([&] { return drained.has_value(); }));
    EXPECT_EQ(drained, true);
    EXPECT_FALSE(polite.was_reset);
}

TEST_F(WebSocketLimitsTest, DrainingCutsWhoDoesNotAnswer) {
    Client client(server->port());
    const auto session = open(client);
    drain(20ms);
    ASSERT_TRUE(poll_until([&] { return drained.has_value(); }));
    EXPECT_EQ(drained, false);
    EXPECT_EQ(session->closed, 1);
    EXPECT_EQ(server->stats().connections, 0U);
    EXPECT_TRUE(closes(client));
}

TEST_F(WebSocketLimitsTest, TheServerGoesFirst) {
    Client client(server->port());
    const auto session = open(client);
    WebSocketPtr kept = session->opened;
    session->opened->send_text("never mind");
    session->at_close = [](WebSocket& socket) {
        EXPECT_FALSE(socket.send_text("too late"));
        socket.close();
        socket.pause();
        socket.resume();
    };
    server.reset();
    EXPECT_EQ(session->closed, 1);
    EXPECT_EQ(session->code, ws_close::kAbnormal);
    EXPECT_FALSE(kept->is_open());
    EXPECT_FALSE(kept->send_text("much too late"));
    EXPECT_EQ(kept->buffered(), 0U);
    kept->close();
    loop.poll();
}

TEST_F(WebSocketLimitsTest, ASessionMayCloseInAnyCallback) {
    at_open = [](WebSocket& socket) { socket.close(4000, "at once"); };
    Client first(server->port());
    auto session = open(first);
    EXPECT_EQ(next_close(first), 4000);
    EXPECT_EQ(session->closed, 1);
    at_open = nullptr;
    at_message = [](WebSocket& socket, std::string_view) { socket.close(4001); };
    Client second(server->port());
    session = open(second);
    second.send(text_frame("1") + text_frame("2"));
    EXPECT_EQ(next_frame(second)->opcode, WsOpcode::close);
    EXPECT_EQ(session->messages.size(), 1U);
}

TEST_F(WebSocketLimitsTest, OneSocketsEndMayTalkToTheOthers) {
    Client leaver(server->port());
    Client other(server->port());
    const auto leaving = open(leaver);
    const auto staying = open(other);
    leaving->at_close = [&](WebSocket&) {
        staying->opened->send_text("they left");
        staying->opened->close(4002);
    };
    leaver.close();
    EXPECT_EQ(next_frame(other)->payload, "they left");
    EXPECT_EQ(next_close(other), 4002);
}

}  // namespace
}  // namespace nave::net
