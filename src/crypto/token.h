// Bearer tokens and other shared secrets: making them and comparing them.
#pragma once

#include "base/bytes.h"
#include "base/entropy.h"
#include "base/secret.h"

#include <string_view>

namespace nave::crypto {

// Equality whose time depends on the lengths only. For values of secret length, compare hashes.
[[nodiscard]] bool equal_secret(ByteView a, ByteView b);

// Whether somebody offers the secret; says nothing about its length by the time it takes. Never
// true for an empty secret.
[[nodiscard]] bool is_secret(const Secret& secret, std::string_view offered);

// `bytes` of randomness as unpadded base64url: 32 bytes give 43 characters. At least 16 bytes.
[[nodiscard]] Secret random_token(Entropy& entropy, std::size_t bytes = 32);

}  // namespace nave::crypto
