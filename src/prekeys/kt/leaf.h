// One entry of the key-transparency log: something happened to the identity behind one address.
//
// Layout, 90 bytes, integers big-endian:
//    0   1  version, 1
//    1   1  kind (EventKind)
//    2   8  counter: 1 for the first event of this address, then 2, 3, ...
//   10   8  previous: leaf index of this address's previous event plus one, 0 for none
//   18   8  time, milliseconds since the Unix epoch
//   26  32  address index: first half of the VRF output (RFC 9381 suite 0x03) for the address
//   58  32  commitment to the identity
//
// What the public log tells: that a pseudonym (the address index) had its n-th event of a kind at a
// time. Which address that is takes the VRF proof, which keys it has takes the opening; with both,
// plus address and keys, anyone can check an entry. Destroying the opening makes the entry mute for
// good, which is how a deleted identity is forgotten without touching the tree.
// The index stands in clear so that owners and monitors can scan the log for later events of an
// address: a chain of entries shown by the server proves nothing about what it left out at the end.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/entropy.h"
#include "base/result.h"
#include "crypto/ecvrf.h"
#include "prekeys/kt/merkle.h"

#include <cstdint>
#include <optional>
#include <string>

namespace nave::prekeys::kt {

inline constexpr std::size_t kLeafBytes = 90;

enum class EventKind : std::uint8_t {
    register_identity = 1,
    rotate_identity = 2,
    rotate_signed_prekey = 3,
    delete_identity = 4,  // by its owner
    purge = 5,            // by the server, for inactivity
};

// "register", "rotate_identity", "rotate_signed_prekey", "delete", "purge".
[[nodiscard]] std::string_view event_name(EventKind kind);
// Whether the identity is gone after such an event.
[[nodiscard]] bool ends_identity(EventKind kind);

using AddressIndex = ByteArray<32>;
using Opening = ByteArray<16>;

struct Leaf {
    EventKind kind = EventKind::register_identity;
    std::uint64_t counter = 1;
    std::uint64_t previous = 0;
    UnixMillis time = 0;
    AddressIndex address_index{};
    Hash commitment{};
    friend bool operator==(const Leaf&, const Leaf&) = default;
};

[[nodiscard]] Bytes encode_leaf(const Leaf& leaf);
// Errors: Code::invalid "kt.leaf".
[[nodiscard]] Result<Leaf> decode_leaf(ByteView bytes);

// What a commitment hides. For suites with one key, `identity_key` is that key (33 bytes) and the
// two DH members are empty; a missing DH signature is empty as well.
struct CommittedIdentity {
    std::string address;
    std::string suite;
    Bytes identity_key;
    Bytes dh_key;
    Bytes dh_key_signature;
    std::optional<Hash> signed_prekey_digest;  // only in logs that record every signed prekey
    friend bool operator==(const CommittedIdentity&, const CommittedIdentity&) = default;
};

// SHA-256("NAVE-KT-COMMIT-V1" || 0x00 || opening || address || suite || identity key || DH key ||
// DH key signature || digest), each after the opening behind its length as 32 bits; no digest
// counts as an empty one.
[[nodiscard]] Hash commit(const Opening& opening, const CommittedIdentity& identity);
[[nodiscard]] Opening random_opening(Entropy& entropy);

// SHA-256("NAVE-KT-SPK-V1" || 0x00 || key id (32 bits) || created at (64 bits, ms) || public key).
[[nodiscard]] Hash signed_prekey_digest(std::uint32_t key_id, UnixMillis created_at,
                                        ByteView public_key);

// The VRF input is the address itself, as UTF-8 in its normal form.
[[nodiscard]] AddressIndex address_index(const crypto::VrfOutput& output);

}  // namespace nave::prekeys::kt
