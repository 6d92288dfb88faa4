// XEdDSA signatures (Signal, "The XEdDSA and VXEdDSA Signature Schemes") by X25519 keys, as
// official libsignal makes them, checked with the ordinary Ed25519 verifier.
//
// A Montgomery key u stands for the Edwards point of y = (u - 1)/(u + 1) with a sign bit. libsignal
// carries that sign in bit 7 of signature byte 63, which Ed25519 leaves clear. So: compute y, move
// the bit from the signature to the key, verify (prekeys contract, section 1).
#pragma once

#include "base/bytes.h"

#include <optional>

namespace nave::crypto {

inline constexpr std::uint8_t kLibsignalCurveType = 0x05;
inline constexpr std::size_t kLibsignalKeyBytes = 33;

// The 32-byte Montgomery key inside libsignal's serialised form (0x05, then u); nullopt for another
// length or type byte. The view points into the argument.
[[nodiscard]] std::optional<ByteView> montgomery_key(ByteView libsignal_key);

// `montgomery_key` is the bare 32-byte u. False for wrong lengths, for u that is not canonical, has
// no Edwards point (twist, u = -1) or is of small order, and for a wrong signature.
[[nodiscard]] bool xeddsa_verify(ByteView montgomery_key, ByteView message, ByteView signature);

// Whether `libsignal_key` is 33 bytes, typed 0x05, acceptable to X25519, and the u-coordinate of a
// point of prime order on the curve: what an honest identity key is. A key on the twist could never
// sign, and a mixed-order one would share its signatures with others.
[[nodiscard]] bool is_acceptable_xeddsa_key(ByteView libsignal_key);

}  // namespace nave::crypto
