// Arithmetic modulo p = 2^255 - 19 on public values, for the few steps libsodium does not offer:
// canonical-form tests and the map from Montgomery to Edwards form. Not constant time.
#pragma once

#include "base/bytes.h"

#include <optional>

namespace nave::crypto::detail {

// Little-endian 256-bit integer below p.
[[nodiscard]] bool is_canonical_field_element(const ByteArray<32>& value);

// y = (u - 1) / (u + 1) mod p, the Edwards y of Montgomery u; nullopt for u >= p and for u = -1,
// where the map has no value.
[[nodiscard]] std::optional<ByteArray<32>> edwards_y(const ByteArray<32>& u);

}  // namespace nave::crypto::detail
