// Bearer tokens and other shared secrets: making them and comparing them.
#pragma once

#include "base/bytes.h"
#include "base/entropy.h"
#include "base/secret.h"

namespace nave::crypto {

// Equality whose time depends on the lengths only. For values of secret length, compare hashes.
[[nodiscard]] bool equal_secret(ByteView a, ByteView b);

// `bytes` of randomness as unpadded base64url: 32 bytes give 43 characters. At least 16 bytes.
[[nodiscard]] Secret random_token(Entropy& entropy, std::size_t bytes = 32);

}  // namespace nave::crypto
