// Checks made on KEM public keys at upload. The server never encapsulates, so no KEM code is
// needed: length, libsignal's type byte, and the modulus check of FIPS 203 section 7.2 (every
// packed 12-bit coefficient below q = 3329). Kyber1024 (round 3) packs keys the same way, so the
// check fits both, but the two are not interoperable and a label is never turned into the other.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <optional>
#include <string_view>

namespace nave::crypto {

enum class KemAlgorithm : std::uint8_t { kyber_1024, ml_kem_1024, ml_kem_768 };

// How the key bytes travel: bare, or behind libsignal's type byte (suite pqxdh-xeddsa).
enum class KemForm : std::uint8_t { raw, libsignal };

// Wire labels: "kyber1024", "ml-kem-1024", "ml-kem-768".
[[nodiscard]] std::optional<KemAlgorithm> parse_kem_algorithm(std::string_view label);
[[nodiscard]] std::string_view kem_label(KemAlgorithm algorithm);

// Length of a public key without a type byte: 384 k + 32.
[[nodiscard]] std::size_t kem_key_bytes(KemAlgorithm algorithm);

// Errors: Code::unprocessable with id "kem.algorithm" (ml-kem-768 has no form here that libsignal
// reads), "kem.length", "kem.type" or "kem.coefficient".
[[nodiscard]] Result<void> check_kem_key(KemAlgorithm algorithm, KemForm form, ByteView key);

}  // namespace nave::crypto
