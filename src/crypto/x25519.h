// X25519 public keys (RFC 7748) as stored for other clients: the check made at upload.
//
// A key is the little-endian u-coordinate in 32 bytes. RFC 7748 tells the *function* to mask the
// top bit and to accept u >= p; here both are refused, because no key generator emits them and a
// second spelling of a stored key would look like a new one. With canonical form required, the
// points that force an all-zero shared secret are exactly five values.
#pragma once

#include "base/bytes.h"

namespace nave::crypto {

inline constexpr std::size_t kX25519KeyBytes = 32;

// 32 bytes, u < 2^255 - 19 (so the top bit is clear) and not of small order. Points of the twist
// are accepted: X25519 is secure on both. Public data, so not constant time.
[[nodiscard]] bool is_acceptable_x25519_key(ByteView public_key);

}  // namespace nave::crypto
