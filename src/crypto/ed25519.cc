#include "crypto/ed25519.h"

#include <sodium.h>

#include <utility>

namespace nave::crypto {

bool ed25519_verify(ByteView public_key, ByteView message, ByteView signature) {
    return public_key.size() == kEd25519KeyBytes && signature.size() == kEd25519SignatureBytes &&
           ::crypto_sign_verify_detached(signature.data(), message.data(), message.size(),
                                         public_key.data()) == 0;
}

bool is_acceptable_ed25519_key(ByteView public_key) {
    return public_key.size() == kEd25519KeyBytes &&
           ::crypto_core_ed25519_is_valid_point(public_key.data()) == 1;
}

Ed25519SigningKey Ed25519SigningKey::generate(Entropy& entropy) {
    ByteArray<kEd25519SeedBytes> seed{};
    entropy.fill(seed);
    auto key = from_seed(seed);
    ::sodium_memzero(seed.data(), seed.size());
    return std::move(*key);
}

std::optional<Ed25519SigningKey> Ed25519SigningKey::from_seed(ByteView seed) {
    if (seed.size() != kEd25519SeedBytes) {
        return std::nullopt;
    }
    Ed25519SigningKey key;
    ::crypto_sign_seed_keypair(key.public_key_.data(), key.secret_.data(), seed.data());
    return key;
}

Ed25519SigningKey::Ed25519SigningKey(Ed25519SigningKey&& other) noexcept
    : secret_(other.secret_), public_key_(other.public_key_) {
    ::sodium_memzero(other.secret_.data(), other.secret_.size());
}

Ed25519SigningKey& Ed25519SigningKey::operator=(Ed25519SigningKey&& other) noexcept {
    if (this != &other) {
        secret_ = other.secret_;
        public_key_ = other.public_key_;
        ::sodium_memzero(other.secret_.data(), other.secret_.size());
    }
    return *this;
}

Ed25519SigningKey::~Ed25519SigningKey() {
    ::sodium_memzero(secret_.data(), secret_.size());
}

ByteArray<64> Ed25519SigningKey::sign(ByteView message) const {
    ByteArray<64> signature{};
    ::crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(),
                           secret_.data());
    return signature;
}

}  // namespace nave::crypto
