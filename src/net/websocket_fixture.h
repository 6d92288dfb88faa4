// For tests: a WebSocket route on the server of net/server_fixture.h, and a client that speaks
// frames over a raw socket.
#pragma once

#include "net/server_fixture.h"
#include "net/websocket.h"
#include "net/ws_frame.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nave::net {

// A client's frame: masked, in any shape the test asks for.
struct TestFrame {
    WsOpcode opcode = WsOpcode::text;
    std::string payload = {};
    bool fin = true;
    bool masked = true;
    std::uint8_t reserved = 0;                                // bits of the first byte
    int length_digits = -1;                                   // 0, 2 or 8; shortest when negative
    std::optional<std::uint64_t> says_length = std::nullopt;  // when not the payload's

    [[nodiscard]] std::string encode() const {
        const std::uint64_t length = says_length.value_or(payload.size());
        const int digits = length_digits >= 0 ? length_digits
                           : length < 126     ? 0
                           : length < 65536   ? 2
                                              : 8;
        std::string out;
        out.push_back(static_cast<char>((fin ? 0x80 : 0) | reserved | static_cast<int>(opcode)));
        const std::uint64_t code = digits == 0 ? length : digits == 2 ? 126U : 127U;
        out.push_back(static_cast<char>((masked ? 0x80U : 0U) | code));
        for (int i = digits - 1; i >= 0; --i) {
            out.push_back(static_cast<char>(length >> (8 * i)));
        }
        std::string body = payload;
        if (masked) {
            std::array<char, 4> key = {'\x37', '\xfa', '\x21', '\x3d'};
            out.append(key.data(), 4);
            ws_mask(body, key);
        }
        return out + body;
    }
};

inline std::string text_frame(std::string_view payload) {
    return TestFrame{.payload = std::string(payload)}.encode();
}
inline std::string control_frame(WsOpcode opcode, std::string_view payload = "") {
    return TestFrame{.opcode = opcode, .payload = std::string(payload)}.encode();
}
inline std::string close_payload(std::uint16_t code, std::string_view reason = "") {
    std::string out = {static_cast<char>(code >> 8), static_cast<char>(code)};
    return out.append(reason);
}
inline std::string close_frame(std::uint16_t code, std::string_view reason = "") {
    return control_frame(WsOpcode::close, close_payload(code, reason));
}

// What a server sent.
struct ServerFrame {
    WsOpcode opcode;
    std::string payload;
    [[nodiscard]] std::uint16_t close_code() const {
        return payload.size() < 2
                   ? ws_close::kNoStatus
                   : static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8 |
                                                static_cast<std::uint8_t>(payload[1]));
    }
};

// Takes one whole frame off the front of `text`.
inline std::optional<ServerFrame> take_frame(std::string& text) {
    const auto has = [&](std::size_t size) { return text.size() >= size; };
    if (!has(2)) {
        return std::nullopt;
    }
    const auto code = static_cast<std::uint8_t>(text[1]);
    const std::size_t header = code < 126 ? 2 : code == 126 ? 4 : 10;
    if (!has(header) || !has(ws_frame_size(text))) {
        return std::nullopt;
    }
    const std::size_t size = ws_frame_size(text);
    ServerFrame frame{.opcode = static_cast<WsOpcode>(text[0] & 0x0f),
                      .payload = text.substr(header, size - header)};
    EXPECT_EQ(text[0] & 0xf0, 0x80) << "whole messages, no reserved bits";
    text.erase(0, size);
    return frame;
}

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
