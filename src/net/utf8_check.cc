#include "net/utf8_check.h"

#include <array>
#include <cstring>

namespace nave::net {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080;

// Bytes of ASCII at the front of `text`, a multiple of 32.
std::size_t ascii_blocks(std::string_view text) {
    std::size_t at = 0;
    for (; at + 32 <= text.size(); at += 32) {
        std::array<std::uint64_t, 4> words;
        std::memcpy(words.data(), text.data() + at, 32);
        if (((words[0] | words[1] | words[2] | words[3]) & kHighBits) != 0) {
            break;
        }
    }
    return at;
}

struct Lead {
    std::uint8_t missing;  // 0: cannot begin a sequence
    std::uint8_t low;
    std::uint8_t high;
};

// RFC 3629, section 4: the second byte tells overlong forms and surrogates.
constexpr Lead lead_of(std::uint8_t byte) {
    if (byte >= 0xc2 && byte <= 0xdf) {
        return {1, 0x80, 0xbf};
    }
    if (byte >= 0xe0 && byte <= 0xef) {
        return {2, static_cast<std::uint8_t>(byte == 0xe0 ? 0xa0 : 0x80),
                static_cast<std::uint8_t>(byte == 0xed ? 0x9f : 0xbf)};
    }
    if (byte >= 0xf0 && byte <= 0xf4) {
        return {3, static_cast<std::uint8_t>(byte == 0xf0 ? 0x90 : 0x80),
                static_cast<std::uint8_t>(byte == 0xf4 ? 0x8f : 0xbf)};
    }
    return {0, 0, 0};
}

}  // namespace

bool Utf8Check::feed(std::string_view bytes) {
    std::size_t at = 0;
    while (at < bytes.size()) {
        const auto byte = static_cast<std::uint8_t>(bytes[at]);
        if (missing_ > 0) {
            if (byte < low_ || byte > high_) {
                return false;
            }
            --missing_;
            low_ = 0x80;
            high_ = 0xbf;
            ++at;
        } else if (byte < 0x80) {
            const std::size_t blocks = ascii_blocks(bytes.substr(at));
            at += blocks > 0 ? blocks : 1;
        } else {
            const Lead lead = lead_of(byte);
            if (lead.missing == 0) {
                return false;
            }
            missing_ = lead.missing;
            low_ = lead.low;
            high_ = lead.high;
            ++at;
        }
    }
    return true;
}

}  // namespace nave::net
