#include "net/ws_frame.h"

#include "base/check.h"
#include "net/utf8_check.h"

#include <algorithm>
#include <cstring>

namespace nave::net {
namespace {

constexpr char kFin = static_cast<char>(0x80);

std::uint8_t byte_at(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint8_t>(bytes[at]);
}

// Nearly every message has this size of header: two bytes of length.
constexpr std::size_t kUsualHeader = 4;
// Large enough that a batch of messages is few pieces; small enough for what a single message that
// is not sent can hold.
constexpr std::size_t kBlockBytes = 32 * 1024;

struct Header {
    std::array<char, 10> bytes;
    std::size_t size;
};

Header header_of(WsOpcode opcode, std::size_t length) {
    std::array<char, 10> header;
    header[0] = static_cast<char>(kFin | static_cast<char>(opcode));
    std::size_t size = 2;
    if (length < 126) {
        header[1] = static_cast<char>(length);
    } else {
        const std::size_t digits = length <= 0xffff ? 2 : 8;
        header[1] = digits == 2 ? 126 : 127;
        for (std::size_t i = 0; i < digits; ++i) {
            header[2 + i] = static_cast<char>(length >> (8 * (digits - 1 - i)));
        }
        size += digits;
    }
    return {header, size};
}

void append_header(std::string& out, WsOpcode opcode, std::size_t length) {
    const Header header = header_of(opcode, length);
    out.append(header.bytes.data(), header.size);
}

// The longest prefix of at most `bytes_max` that does not cut a character.
std::string_view cut_text(std::string_view text, std::size_t bytes_max) {
    if (text.size() <= bytes_max) {
        return text;
    }
    std::size_t end = bytes_max;
    while (end > 0 && (byte_at(text, end) & 0xc0) == 0x80) {
        --end;
    }
    return text.substr(0, end);
}

}  // namespace

bool is_wire_close_code(std::uint16_t code) {
    const bool registered = code >= 1000 && code <= 1014 && code != 1004 &&
                            code != ws_close::kNoStatus && code != ws_close::kAbnormal;
    return registered || (code >= 3000 && code <= 4999);
}

void ws_mask(std::span<char> bytes, std::array<char, 4>& key) {
    std::uint32_t half = 0;
    std::memcpy(&half, key.data(), 4);
    const std::uint64_t whole = (std::uint64_t{half} << 32) | half;
    std::size_t at = 0;
    // Blocks of four words, which the compiler turns into vector instructions.
    for (; at + 32 <= bytes.size(); at += 32) {
        std::array<std::uint64_t, 4> words;
        std::memcpy(words.data(), bytes.data() + at, 32);
        for (std::uint64_t& word : words) {
            word ^= whole;
        }
        std::memcpy(bytes.data() + at, words.data(), 32);
    }
    for (; at + 8 <= bytes.size(); at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + at, 8);
        word ^= whole;
        std::memcpy(bytes.data() + at, &word, 8);
    }
    for (; at < bytes.size(); ++at) {
        bytes[at] = static_cast<char>(bytes[at] ^ key[at % 4]);
    }
    if (const std::size_t rest = bytes.size() % 4; rest != 0) {
        std::rotate(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(rest), key.end());
    }
}

void append_ws_frame(std::string& out, WsOpcode opcode, std::string_view payload) {
    append_header(out, opcode, payload.size());
    out.append(payload);
}

void append_ws_close(std::string& out, std::uint16_t code, std::string_view reason) {
    if (code == ws_close::kNoStatus) {
        append_header(out, WsOpcode::close, 0);
        return;
    }
    CHECK(is_wire_close_code(code), "a close code that may be sent");
    reason = cut_text(reason, kWsControlMax - 2);
    append_header(out, WsOpcode::close, 2 + reason.size());
    out.push_back(static_cast<char>(code >> 8));
    out.push_back(static_cast<char>(code));
    out.append(reason);
}

std::size_t ws_frame_size(std::string_view bytes) {
    const std::size_t length = byte_at(bytes, 1);
    if (length < 126) {
        return 2 + length;
    }
    const std::size_t digits = length == 126 ? 2 : 8;
    std::size_t extended = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        extended = extended << 8 | byte_at(bytes, 2 + i);
    }
    return 2 + digits + extended;
}

SharedFrame SharedFrame::text(std::string_view payload) {
    DCHECK(is_whole_utf8(payload), "a text message is UTF-8");
    return make(WsOpcode::text, payload);
}

SharedFrame SharedFrame::binary(std::string_view payload) {
    return make(WsOpcode::binary, payload);
}

SharedFrame SharedFrame::make(WsOpcode opcode, std::string_view payload) {
    const boost::intrusive_ptr<Block> block(new Block());
    block->bytes.reserve(kWsHeaderMax + payload.size());
    append_ws_frame(block->bytes, opcode, payload);
    SharedFrame frame;
    frame.block_ = block;
    frame.size_ = block->bytes.size();
    frame.header_ = frame.size_ - payload.size();
    return frame;
}

std::string& SharedFrames::begin(std::size_t size) {
    const std::size_t needed = kWsHeaderMax + size;
    if (!open_ || open_->bytes.size() + needed > kBlockBytes) {
        open_ = new SharedFrame::Block();
        open_->bytes.reserve(std::max(kBlockBytes, needed));
        open_->many = true;
    }
    open_->bytes.append(kUsualHeader, '\0');
    return open_->bytes;
}

SharedFrame SharedFrames::finish(std::size_t payload_at) {
    std::string& bytes = open_->bytes;
    const std::size_t at = payload_at - kUsualHeader;
    DCHECK(is_whole_utf8(std::string_view(bytes).substr(payload_at)), "a text message is UTF-8");
    const Header header = header_of(WsOpcode::text, bytes.size() - payload_at);
    bytes.replace(at, kUsualHeader, header.bytes.data(), header.size);
    SharedFrame frame;
    frame.block_ = open_;
    frame.at_ = at;
    frame.size_ = bytes.size() - at;
    frame.header_ = header.size;
    return frame;
}

}  // namespace nave::net
