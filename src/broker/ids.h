// Ids of meshes, members, presences, envelopes, invites...: 32 characters of base62 (190 bits),
// made by this server. They are not secrets, but they cannot be guessed either.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace nave::broker {

inline constexpr std::size_t kIdSize = 32;

// Every character is equally likely.
[[nodiscard]] std::string new_id(Entropy& entropy);
// Begins with the time, eight characters in an order of their own, so that ids made one after the
// other lie together in an index: a table of many rows is written at its end instead of all over.
// The 24 that follow are random, 142 bits.
[[nodiscard]] std::string new_id(Entropy& entropy, UnixMillis now);
[[nodiscard]] bool is_id(std::string_view text);
// 1 to 32 characters of an id: message_status takes the beginning of one.
[[nodiscard]] bool is_id_prefix(std::string_view text);

}  // namespace nave::broker
