#include "broker/hex_key.h"

#include "base/check.h"
#include "base/encoding.h"
#include "base/text.h"

#include <algorithm>

namespace nave::broker {
namespace {

template <std::size_t N>
std::optional<ByteArray<N>> decode(std::string_view text) {
    if (text.size() != 2 * N) {
        return std::nullopt;
    }
    const auto bytes = hex_decode(text);
    if (!bytes) {
        return std::nullopt;
    }
    ByteArray<N> out{};
    std::ranges::copy(*bytes, out.begin());
    return out;
}

bool is_upper(char c) {
    return c >= 'A' && c <= 'F';
}

}  // namespace

bool is_hex_key(std::string_view text) {
    return parse_hex_key(text).has_value();
}

std::optional<ByteArray<32>> parse_hex_key(std::string_view text) {
    if (std::ranges::any_of(text, is_upper)) {
        return std::nullopt;
    }
    return decode<32>(text);
}

std::optional<std::string> lower_hex_key(std::string_view text) {
    if (!decode<32>(text)) {
        return std::nullopt;
    }
    return lower(text);
}

std::string hex_key(const ByteArray<32>& key) {
    return hex(key);
}

std::optional<ByteArray<64>> parse_hex_signature(std::string_view text) {
    return decode<64>(text);
}

ByteArray<32> key_of(const Bytes& column) {
    ByteArray<32> key{};
    CHECK(column.size() == key.size(), "a key in the store has another length");
    std::ranges::copy(column, key.begin());
    return key;
}

}  // namespace nave::broker
