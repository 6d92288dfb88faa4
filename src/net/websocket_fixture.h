// For tests: a WebSocket route on the server of net/server_fixture.h, and a client that speaks
// frames over a raw socket.
#pragma once

#include "net/server_fixture.h"
#include "net/websocket.h"
#include "net/ws_test_frames.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nave::net {

inline constexpr std::string_view kHandshake =
    "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

// Records what happens; echoes messages when told to.
class TestSession final : public WebSocketSession {
  public:
    void on_open(WebSocket& socket) override {
        opened = &socket;
        if (at_open) {
            at_open(socket);
        }
    }
    void on_message(WebSocket& socket, std::string_view payload, MessageType type) override {
        messages.emplace_back(payload);
        types.push_back(type);
        if (at_message) {
            at_message(socket, payload);
        }
        if (echoes) {
            if (type == MessageType::text) {
                socket.send_text(payload);
            } else {
                socket.send_binary(payload);
            }
        }
    }
    void on_drained(WebSocket& /*socket*/) override { ++drained; }
    void on_pong(WebSocket& /*socket*/, std::string_view payload) override {
        pongs.emplace_back(payload);
    }
    void on_close(WebSocket& socket, const WebSocketEnd& end) override {
        ++closed;
        by = end.by;
        code = end.code;
        reason = end.reason;
        if (at_close) {
            at_close(socket);
        }
    }

    WebSocketPtr opened;
    bool echoes = true;
    std::vector<std::string> messages;
    std::vector<MessageType> types;
    std::vector<std::string> pongs;
    int drained = 0;
    int closed = 0;
    WebSocketEnd::By by{};
    std::uint16_t code = 0;
    std::string reason;
    std::function<void(WebSocket&)> at_open;
    std::function<void(WebSocket&, std::string_view)> at_message;
    std::function<void(WebSocket&)> at_close;
};

class WebSocketTest : public ServerTest {
  protected:
    explicit WebSocketTest(WebSocketOptions options = WebSocketOptions(),
                           ServerLimits limits = ServerLimits())
        : ServerTest(limits) {
        router.websocket("/ws", SyncHandler([this](const Request&) {
                             auto session = std::make_shared<TestSession>();
                             session->echoes = echoes;
                             session->at_open = at_open;
                             session->at_message = at_message;
                             sessions.push_back(session);
                             return accept_websocket(session);
                         }),
                         std::move(options));
    }

    // The session of a socket that has just been opened by `client`.
    std::shared_ptr<TestSession> open(Client& client) {
        const std::size_t before = sessions.size();
        client.send(kHandshake);
        EXPECT_TRUE(poll_until([&] {
            client.receive();
            return client.received.contains("\r\n\r\n") || client.ended;
        }));
        EXPECT_TRUE(client.received.starts_with("HTTP/1.1 101 ")) << client.received;
        client.received.erase(0, client.received.find("\r\n\r\n") + 4);
        EXPECT_EQ(sessions.size(), before + 1);
        return sessions.back();
    }
    std::optional<ServerFrame> next_frame(Client& client) {
        std::optional<ServerFrame> frame;
        EXPECT_TRUE(poll_until([&] {
            client.receive();
            frame = take_frame(client.received);
            return frame.has_value() || client.ended;
        }));
        return frame;
    }
    // The code of the close frame that comes next; 0 when something else does.
    std::uint16_t next_close(Client& client) {
        const auto frame = next_frame(client);
        return frame && frame->opcode == WsOpcode::close ? frame->close_code() : 0;
    }

    bool echoes = true;
    std::function<void(WebSocket&)> at_open;
    std::function<void(WebSocket&, std::string_view)> at_message;
    std::vector<std::shared_ptr<TestSession>> sessions;
};

}  // namespace nave::net
