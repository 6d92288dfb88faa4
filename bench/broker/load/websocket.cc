#include "websocket.h"

std::string upgrade_request(std::string_view path, std::string_view subprotocol) {
    std::string request = "GET " + std::string(path) +
                          " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    if (!subprotocol.empty()) {
        request += "Sec-WebSocket-Protocol: " + std::string(subprotocol) + "\r\n";
    }
    return request + "\r\n";
}

void append_frame(std::string& out, char opcode, std::string_view payload) {
    constexpr char kMask[4] = {0x12, 0x34, 0x56, 0x78};
    const std::size_t size = payload.size();
    out.push_back(static_cast<char>(0x80 | opcode));
    if (size < 126) {
        out.push_back(static_cast<char>(0x80 | size));
    } else if (size < 65536) {
        out.push_back(static_cast<char>(0x80 | 126));
        out.push_back(static_cast<char>(size >> 8U));
        out.push_back(static_cast<char>(size));
    } else {
        out.push_back(static_cast<char>(0x80 | 127));
        for (int shift = 56; shift >= 0; shift -= 8) {
            out.push_back(static_cast<char>(size >> static_cast<unsigned>(shift)));
        }
    }
    out.append(kMask, 4);
    const std::size_t at = out.size();
    out.resize(at + size);
    for (std::size_t i = 0; i < size; ++i) {
        out[at + i] = static_cast<char>(payload[i] ^ kMask[i % 4]);
    }
}

std::optional<Frame> first_frame(std::string_view bytes) {
    const auto byte = [&](std::size_t i) {
        return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i]));
    };
    if (bytes.size() < 2) {
        return std::nullopt;
    }
    std::size_t size = byte(1);
    std::size_t head = 2;
    if (size >= 126) {
        const std::size_t width = size == 126 ? 2 : 8;
        head += width;
        if (bytes.size() < head) {
            return std::nullopt;
        }
        size = 0;
        for (std::size_t i = 2; i < head; ++i) {
            size = size << 8U | byte(i);
        }
    }
    if (bytes.size() - head < size) {
        return std::nullopt;
    }
    return Frame{.opcode = static_cast<char>(byte(0) & 15U),
                 .payload = bytes.substr(head, size),
                 .size = head + size};
}
