// Key uploads as clients send them: JSON to types, with every structural check that needs no
// stored state (lengths, ranges, counts, doubled ids, weak points, malformed KEM keys).
// Signatures are checked afterwards, off the loop (signatures.h).
#pragma once

#include "base/json_reader.h"
#include "prekeys/types.h"

#include <optional>

namespace nave::prekeys {

inline constexpr std::size_t kUploadKeysMax = 100;  // per list and request, as Signal's servers
inline constexpr std::int64_t kKeyIdMax = 0xffff'ffff;
inline constexpr std::int64_t kRegistrationIdMax = 16'380;
inline constexpr std::int64_t kTimeMax = 9'007'199'254'740'991;  // 2^53-1: exact in every client

// What decides how keys look: `now` bounds createdAt, which may lead the server by `skew` only.
struct UploadContext {
    Suite suite = Suite::x3dh_ed25519;
    UnixMillis now = 0;
    std::int64_t skew_ms = 0;
};

struct Registration {
    Address address;
    IdentityKeys identity;
    std::optional<std::int64_t> registration_id;
    SignedPreKey signed_prekey;
    std::optional<KemPreKey> last_resort;  // present exactly for KEM suites
    KeyBatch batch;
    UploadMode mode = UploadMode::merge;
};

struct Replenishment {
    Address address;
    KeyBatch batch;
    std::optional<KemPreKey> last_resort;
};

struct SignedPreKeyRotation {
    Address address;
    SignedPreKey signed_prekey;
    std::optional<KemPreKey> last_resort;
};

struct IdentityRotation {
    Registration next;  // the address with its new keys
    Bytes proof;        // 64 bytes, by the new key
};

[[nodiscard]] Result<Address> read_address(const json::Reader& body);

// Errors: SHADE_VALIDATION (details.field), SHADE_BAD_ADDRESS, SHADE_WEAK_KEY, SHADE_BAD_KEM_KEY.
[[nodiscard]] Result<Registration> read_registration(const json::Reader& body, UnixMillis now,
                                                     std::int64_t skew_ms);
[[nodiscard]] Result<Replenishment> read_replenishment(const json::Reader& body,
                                                       const UploadContext& context);
[[nodiscard]] Result<SignedPreKeyRotation> read_signed_prekey_rotation(
    const json::Reader& body, const UploadContext& context);
[[nodiscard]] Result<IdentityRotation> read_identity_rotation(const json::Reader& body,
                                                              const UploadContext& context);

}  // namespace nave::prekeys
