#include "crypto/xeddsa.h"

#include "crypto/ed25519.h"
#include "crypto/field25519.h"
#include "crypto/x25519.h"

#include <algorithm>

namespace nave::crypto {
namespace {

constexpr std::uint8_t kSignBit = 0x80;

std::optional<ByteArray<32>> edwards_key(ByteView u) {
    if (u.size() != kX25519KeyBytes) {
        return std::nullopt;
    }
    ByteArray<32> fixed{};
    std::ranges::copy(u, fixed.begin());
    return detail::edwards_y(fixed);
}

}  // namespace

std::optional<ByteView> montgomery_key(ByteView libsignal_key) {
    if (libsignal_key.size() != kLibsignalKeyBytes || libsignal_key[0] != kLibsignalCurveType) {
        return std::nullopt;
    }
    return libsignal_key.subspan(1);
}

bool xeddsa_verify(ByteView montgomery_key, ByteView message, ByteView signature) {
    if (signature.size() != kEd25519SignatureBytes) {
        return false;
    }
    auto key = edwards_key(montgomery_key);
    if (!key) {
        return false;
    }
    ByteArray<64> plain{};
    std::ranges::copy(signature, plain.begin());
    key->back() |= plain.back() & kSignBit;
    plain.back() &= static_cast<std::uint8_t>(~kSignBit);
    return ed25519_verify(*key, message, plain);
}

bool is_acceptable_xeddsa_key(ByteView libsignal_key) {
    const auto u = montgomery_key(libsignal_key);
    if (!u || !is_acceptable_x25519_key(*u)) {
        return false;
    }
    // The two points of one y are negatives of each other, so either sign answers for both.
    const auto key = edwards_key(*u);
    return key && is_acceptable_ed25519_key(*key);
}

}  // namespace nave::crypto
