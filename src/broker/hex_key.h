// Keys and signatures in hexadecimal, as this protocol writes them.
//
// Key texts are compared as texts by the clients (a targetSpec, a name in peers_list), so the form
// is one: 64 lower-case characters. Signatures are only decoded, so their case does not matter.
#pragma once

#include "base/bytes.h"

#include <optional>
#include <string>
#include <string_view>

namespace nave::broker {

// Exactly 64 lower-case hex characters.
[[nodiscard]] bool is_hex_key(std::string_view text);
[[nodiscard]] std::optional<ByteArray<32>> parse_hex_key(std::string_view text);
// 64 hex characters in either case: the key in its one form. For places where a client may have
// been careless and nothing compares the text (POST /join).
[[nodiscard]] std::optional<std::string> lower_hex_key(std::string_view text);
[[nodiscard]] std::string hex_key(const ByteArray<32>& key);

// From a column of a table, where nothing but keys is.
[[nodiscard]] ByteArray<32> key_of(const Bytes& column);

// 128 hex characters in either case.
[[nodiscard]] std::optional<ByteArray<64>> parse_hex_signature(std::string_view text);

}  // namespace nave::broker
