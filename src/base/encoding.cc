#include "base/encoding.h"

#include <array>
#include <cstdint>

namespace nave {
namespace {

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kBad = 0xff;

constexpr std::array<std::uint8_t, 256> make_table() {
    std::array<std::uint8_t, 256> table{};
    table.fill(kBad);
    for (std::size_t i = 0; i < 64; ++i) {
        table[static_cast<std::uint8_t>(kStandard[i])] = static_cast<std::uint8_t>(i);
        table[static_cast<std::uint8_t>(kUrl[i])] = static_cast<std::uint8_t>(i);
    }
    return table;
}
constexpr auto kTable = make_table();

void encode(std::string& out, ByteView bytes, std::string_view alphabet, bool padded) {
    std::size_t i = 0;
    for (; i + 3 <= bytes.size(); i += 3) {
        const std::uint32_t v =
            (std::uint32_t{bytes[i]} << 16) | (std::uint32_t{bytes[i + 1]} << 8) | bytes[i + 2];
        const char quad[4] = {alphabet[v >> 18], alphabet[(v >> 12) & 63], alphabet[(v >> 6) & 63],
                              alphabet[v & 63]};
        out.append(quad, 4);
    }
    const std::size_t rest = bytes.size() - i;
    if (rest == 0) {
        return;
    }
    const std::uint32_t v =
        (std::uint32_t{bytes[i]} << 16) | (rest == 2 ? std::uint32_t{bytes[i + 1]} << 8 : 0);
    out.push_back(alphabet[v >> 18]);
    out.push_back(alphabet[(v >> 12) & 63]);
    if (rest == 2) {
        out.push_back(alphabet[(v >> 6) & 63]);
    }
    if (padded) {
        out.append(rest == 2 ? "=" : "==");
    }
}

constexpr int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

}  // namespace

void base64_append(std::string& out, ByteView bytes) {
    encode(out, bytes, kStandard, true);
}

std::string base64(ByteView bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    base64_append(out, bytes);
    return out;
}

std::string base64url(ByteView bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    encode(out, bytes, kUrl, false);
    return out;
}

std::optional<Bytes> base64_decode(std::string_view text) {
    const std::size_t given = text.size();
    while (!text.empty() && text.back() == '=' && given - text.size() < 2) {
        text.remove_suffix(1);
    }
    const bool padded = text.size() != given;
    const std::size_t rest = text.size() % 4;
    if (rest == 1 || (padded && given % 4 != 0)) {
        return std::nullopt;
    }
    bool standard = false;
    bool url = false;
    Bytes out;
    out.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t value = 0;
    int bits = 0;
    for (const char c : text) {
        const std::uint8_t six = kTable[static_cast<std::uint8_t>(c)];
        if (six == kBad) {
            return std::nullopt;
        }
        standard |= c == '+' || c == '/';
        url |= c == '-' || c == '_';
        value = (value << 6) | six;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out.push_back(static_cast<std::uint8_t>(value >> bits));
        }
    }
    const bool unused_bits_set = bits > 0 && (value & ((1U << bits) - 1)) != 0;
    if (unused_bits_set || (standard && url)) {
        return std::nullopt;
    }
    return out;
}

std::string hex(ByteView bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out(bytes.size() * 2, '0');
    char* at = out.data();
    for (const std::uint8_t b : bytes) {
        *at++ = digits[b >> 4];
        *at++ = digits[b & 15];
    }
    return out;
}

std::optional<Bytes> hex_decode(std::string_view text) {
    if (text.size() % 2 != 0) {
        return std::nullopt;
    }
    Bytes out(text.size() / 2);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const int high = hex_value(text[2 * i]);
        const int low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return std::nullopt;
        }
        out[i] = static_cast<std::uint8_t>(high * 16 + low);
    }
    return out;
}

}  // namespace nave
