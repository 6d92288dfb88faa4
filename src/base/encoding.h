// Text encodings of bytes: base64 (RFC 4648 section 4 and 5) and hexadecimal.
// Decoders are strict about alphabet, padding and unused bits, because two spellings of one key
// would let a duplicate look new.
#pragma once

#include "base/bytes.h"

#include <optional>
#include <string>
#include <string_view>

namespace nave {

// Standard alphabet, padded.
[[nodiscard]] std::string base64(ByteView bytes);
void base64_append(std::string& out, ByteView bytes);
// URL alphabet, unpadded.
[[nodiscard]] std::string base64url(ByteView bytes);
// Accepts standard or URL alphabet (not both in one text), padded or not; nullopt when malformed.
[[nodiscard]] std::optional<Bytes> base64_decode(std::string_view text);

[[nodiscard]] std::string hex(ByteView bytes);
// Either case; nullopt when malformed.
[[nodiscard]] std::optional<Bytes> hex_decode(std::string_view text);

}  // namespace nave
