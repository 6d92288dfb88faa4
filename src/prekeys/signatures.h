// What each signature of the directory covers, and whether it verifies. Pure and slow (about 60 us
// an Ed25519 check): callers run it on the worker pool.
#pragma once

#include "prekeys/types.h"
#include "prekeys/upload.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nave::prekeys {

// One check with the key kind of the suite: Ed25519, or XEdDSA by a 33-byte key.
[[nodiscard]] bool verify_signature(Suite suite, ByteView signing_key, ByteView message,
                                    ByteView signature);

// x3dh-ed25519 and xeddsa suites: the serialised key. pqxdh-ed25519: "SHADE-SPK-V1" || keyId (u32
// big-endian) || createdAt (u64) || key, so that an old prekey cannot pass as fresh.
[[nodiscard]] Bytes signed_prekey_message(Suite suite, const SignedPreKey& key);
// xeddsa: the serialised key. pqxdh-ed25519: "SHADE-KEM-V1" || algorithm || keyId (u32) || key.
[[nodiscard]] Bytes kem_prekey_message(Suite suite, const KemPreKey& key);
// "SHADE-DHBIND-V1" || 0 || address || 0 || dhKey, so that a server cannot swap the DH key alone.
[[nodiscard]] Bytes dh_binding_message(const Address& address, ByteView dh_key);
// "SHADE-ROTATE-V1" || 0 || address || 0 || old identity key || new identity key || signedAt (u64).
[[nodiscard]] Bytes identity_rotation_message(const Address& address, ByteView old_signing_key,
                                              ByteView new_signing_key, UnixMillis signed_at);

// Error SHADE_WEAK_KEY for an identity key that no honest client makes. About 45 us.
[[nodiscard]] Result<void> check_identity_key(const IdentityKeys& identity);
// Everything in an upload that carries a signature. Error SHADE_INVALID_SIGNATURE with
// details.keyIds, the ids of all keys that fail ("identityDhKey" for the binding).
[[nodiscard]] Result<void> verify_registration(const Registration& upload);
[[nodiscard]] Result<void> verify_kem_keys(const IdentityKeys& identity,
                                           const std::vector<KemPreKey>& keys);
[[nodiscard]] Result<void> verify_signed_prekey(const IdentityKeys& identity,
                                                const SignedPreKey& key);

}  // namespace nave::prekeys
