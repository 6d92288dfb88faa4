// The client's side of RFC 6455, as far as load needs it: unfragmented frames under a fixed mask,
// which a server unmasks like any other.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

constexpr char kTextFrame = 1;
constexpr char kBinaryFrame = 2;
constexpr char kPingFrame = 9;
constexpr char kPongFrame = 10;

// The request that upgrades; `subprotocol` may be empty.
std::string upgrade_request(std::string_view path, std::string_view subprotocol);

// Appends one frame to `out`.
void append_frame(std::string& out, char opcode, std::string_view payload);

struct Frame {
    char opcode = 0;
    std::string_view payload;
    std::size_t size = 0;  // with its head
};

// The frame that `bytes` begin with; nothing when more bytes are needed.
std::optional<Frame> first_frame(std::string_view bytes);
