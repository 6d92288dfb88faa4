// ECVRF-EDWARDS25519-SHA512-TAI, RFC 9381 suite 0x03: a keyed hash whose holder can prove each
// output. The key-transparency log uses it to name an address without revealing it.
//
// "TAI" maps the input to the curve by try-and-increment, whose time depends on the input. That is
// fine here: an address is known to whoever asks for its proof.
// Two places are stricter than the RFC, so that an output has exactly one proof encoding: public
// keys and Gamma must lie in the prime-order subgroup. Honest keys and proofs always do.
#pragma once

#include "base/bytes.h"
#include "base/entropy.h"

#include <optional>

namespace nave::crypto {

using VrfOutput = ByteArray<64>;  // "beta"
using VrfProof = ByteArray<80>;   // "pi": Gamma (32), challenge c (16), response s (32)

struct VrfResult {
    VrfOutput output;
    VrfProof proof;
};

// Movable, wiped on destruction. Use a seed of its own, never that of an Ed25519 key.
class VrfSecretKey {
  public:
    [[nodiscard]] static VrfSecretKey generate(Entropy& entropy);
    // nullopt unless 32 bytes.
    [[nodiscard]] static std::optional<VrfSecretKey> from_seed(ByteView seed);

    VrfSecretKey(const VrfSecretKey&) = delete;
    VrfSecretKey& operator=(const VrfSecretKey&) = delete;
    VrfSecretKey(VrfSecretKey&& other) noexcept;
    VrfSecretKey& operator=(VrfSecretKey&& other) noexcept;
    ~VrfSecretKey();

    [[nodiscard]] VrfResult prove(ByteView alpha) const;
    // The output alone, at about half the price of a proof.
    [[nodiscard]] VrfOutput output(ByteView alpha) const;
    [[nodiscard]] const ByteArray<32>& public_key() const { return public_key_; }
    // The private half, for writing the key file; the caller wipes what it makes of it.
    [[nodiscard]] ByteView reveal_seed() const { return seed_; }

  private:
    VrfSecretKey() = default;
    void wipe();

    ByteArray<32> seed_{};
    ByteArray<32> scalar_{};        // "x"
    ByteArray<32> nonce_prefix_{};  // upper half of SHA-512(seed)
    ByteArray<32> public_key_{};
};

// The output that `proof` shows for `alpha`, or nullopt when it shows none (wrong lengths
// included).
[[nodiscard]] std::optional<VrfOutput> vrf_verify(ByteView public_key, ByteView alpha,
                                                  ByteView proof);

// The output inside a proof, unchecked: only for proofs this process made or has verified.
[[nodiscard]] std::optional<VrfOutput> vrf_proof_to_hash(ByteView proof);

}  // namespace nave::crypto
