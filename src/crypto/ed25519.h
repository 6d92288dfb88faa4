// Ed25519 (RFC 8032): verification of what clients sign, signing with keys this server holds.
//
// Verification is libsodium's strict form (61 us; OpenSSL 3.0 needs 173 us): it refuses S >= L, so
// a signature has one spelling, and small-order or non-canonical public keys and R. It does not
// test that the key lies in the prime-order subgroup; is_acceptable_ed25519_key() does, once, at
// upload.
#pragma once

#include "base/bytes.h"
#include "base/entropy.h"

#include <optional>

namespace nave::crypto {

inline constexpr std::size_t kEd25519KeyBytes = 32;
inline constexpr std::size_t kEd25519SeedBytes = 32;
inline constexpr std::size_t kEd25519SignatureBytes = 64;

// False for a wrong signature and for a key or signature of the wrong length.
[[nodiscard]] bool ed25519_verify(ByteView public_key, ByteView message, ByteView signature);

// 32 bytes, canonical, on the curve, of prime order (so neither of small order nor mixed).
// Costs about one verification.
[[nodiscard]] bool is_acceptable_ed25519_key(ByteView public_key);

// A private key of this server (checkpoints). Movable, wiped on destruction, never printable.
class Ed25519SigningKey {
  public:
    [[nodiscard]] static Ed25519SigningKey generate(Entropy& entropy);
    // nullopt unless 32 bytes.
    [[nodiscard]] static std::optional<Ed25519SigningKey> from_seed(ByteView seed);

    Ed25519SigningKey(const Ed25519SigningKey&) = delete;
    Ed25519SigningKey& operator=(const Ed25519SigningKey&) = delete;
    Ed25519SigningKey(Ed25519SigningKey&& other) noexcept;
    Ed25519SigningKey& operator=(Ed25519SigningKey&& other) noexcept;
    ~Ed25519SigningKey();

    [[nodiscard]] ByteArray<64> sign(ByteView message) const;
    [[nodiscard]] const ByteArray<32>& public_key() const { return public_key_; }
    // The private half, for writing the key file; the caller wipes what it makes of it.
    [[nodiscard]] ByteView reveal_seed() const {
        return ByteView(secret_).first(kEd25519SeedBytes);
    }

  private:
    Ed25519SigningKey() = default;

    ByteArray<64> secret_{};  // seed || public key, libsodium's form
    ByteArray<32> public_key_{};
};

}  // namespace nave::crypto
