// For tests: frames as a client sends them, in any shape, and as a server answers.
#pragma once

#include "net/ws_frame.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

}  // namespace nave::net
