#include "crypto/ecvrf.h"

#include "base/check.h"
#include "crypto/ed25519.h"
#include "crypto/field25519.h"

#include <sodium.h>

#include <algorithm>
#include <initializer_list>

namespace nave::crypto {
namespace {

using Point = ByteArray<32>;  // compressed, RFC 8032
using Scalar = ByteArray<32>;

constexpr std::uint8_t kSuite = 0x03;
constexpr std::size_t kChallengeBytes = 16;
constexpr std::size_t kGammaEnd = 32;
constexpr std::size_t kChallengeEnd = 48;
constexpr Point kIdentity = {1};

// suite || front || parts... || 0x00, the shape of every hash in RFC 9381 section 5.4.
ByteArray<64> domain_hash(std::uint8_t front, std::initializer_list<ByteView> parts) {
    ::crypto_hash_sha512_state state;
    ::crypto_hash_sha512_init(&state);
    const ByteArray<2> head = {kSuite, front};
    ::crypto_hash_sha512_update(&state, head.data(), head.size());
    for (const ByteView part : parts) {
        ::crypto_hash_sha512_update(&state, part.data(), part.size());
    }
    const std::uint8_t back = 0;
    ::crypto_hash_sha512_update(&state, &back, 1);
    ByteArray<64> digest{};
    ::crypto_hash_sha512_final(&state, digest.data());
    return digest;
}

// 8 P for any point of the curve; nullopt when the bytes are no point. Three additions, because
// libsodium's scalar multiplication takes points of prime order only.
std::optional<Point> times_cofactor(const Point& candidate) {
    Point unsigned_y = candidate;
    unsigned_y.back() &= 0x7f;
    if (!detail::is_canonical_field_element(unsigned_y)) {
        return std::nullopt;
    }
    Point point = candidate;
    for (int doubling = 0; doubling < 3; ++doubling) {
        Point twice{};
        if (::crypto_core_ed25519_add(twice.data(), point.data(), point.data()) != 0) {
            return std::nullopt;
        }
        point = twice;
    }
    return point;
}

// RFC 9381 section 5.4.1.1, with the public key as salt. Each try fails with probability one half.
Point encode_to_curve(const Point& public_key, ByteView alpha) {
    for (unsigned counter = 0; counter < 256; ++counter) {
        const auto byte = static_cast<std::uint8_t>(counter);
        const ByteArray<64> digest = domain_hash(0x01, {public_key, alpha, ByteView(&byte, 1)});
        Point candidate{};
        std::copy_n(digest.begin(), candidate.size(), candidate.begin());
        const auto point = times_cofactor(candidate);
        if (point && *point != kIdentity) {
            return *point;
        }
    }
    CHECK(false, "256 hashes in a row off the curve has probability 2^-256");
}

// Constant time in the scalar. The point must be of prime order; false for the zero scalar.
bool multiply(Point& out, const Scalar& scalar, const Point& point) {
    return ::crypto_scalarmult_ed25519_noclamp(out.data(), scalar.data(), point.data()) == 0;
}

bool multiply_base(Point& out, const Scalar& scalar) {
    return ::crypto_scalarmult_ed25519_base_noclamp(out.data(), scalar.data()) == 0;
}

Scalar challenge(std::initializer_list<ByteView> points) {
    const ByteArray<64> digest = domain_hash(0x02, points);
    Scalar c{};
    std::copy_n(digest.begin(), kChallengeBytes, c.begin());
    return c;
}

bool is_reduced(const Scalar& scalar) {
    ByteArray<64> wide{};
    std::ranges::copy(scalar, wide.begin());
    Scalar reduced{};
    ::crypto_core_ed25519_scalar_reduce(reduced.data(), wide.data());
    return reduced == scalar;
}

std::optional<VrfOutput> gamma_to_hash(const Point& gamma) {
    const auto cleared = times_cofactor(gamma);
    if (!cleared) {
        return std::nullopt;
    }
    return domain_hash(0x03, {*cleared});
}

struct ParsedProof {
    Point gamma{};
    Scalar c{};
    Scalar s{};
};

std::optional<ParsedProof> parse(ByteView proof) {
    if (proof.size() != std::tuple_size_v<VrfProof>) {
        return std::nullopt;
    }
    ParsedProof parsed;
    std::ranges::copy(proof.first(kGammaEnd), parsed.gamma.begin());
    std::ranges::copy(proof.subspan(kGammaEnd, kChallengeBytes), parsed.c.begin());
    std::ranges::copy(proof.subspan(kChallengeEnd), parsed.s.begin());
    if (!is_reduced(parsed.s)) {
        return std::nullopt;
    }
    return parsed;
}

}  // namespace

VrfSecretKey VrfSecretKey::generate(Entropy& entropy) {
    ByteArray<32> seed{};
    entropy.fill(seed);
    auto key = from_seed(seed);
    ::sodium_memzero(seed.data(), seed.size());
    return std::move(*key);
}

std::optional<VrfSecretKey> VrfSecretKey::from_seed(ByteView seed) {
    if (seed.size() != kEd25519SeedBytes) {
        return std::nullopt;
    }
    VrfSecretKey key;
    std::ranges::copy(seed, key.seed_.begin());
    ByteArray<64> expanded{};
    ::crypto_hash_sha512(expanded.data(), seed.data(), seed.size());
    std::copy_n(expanded.begin(), 32, key.scalar_.begin());
    std::copy_n(expanded.begin() + 32, 32, key.nonce_prefix_.begin());
    ::sodium_memzero(expanded.data(), expanded.size());
    key.scalar_.front() &= 0xf8;
    key.scalar_.back() = static_cast<std::uint8_t>((key.scalar_.back() & 0x7f) | 0x40);
    CHECK(multiply_base(key.public_key_, key.scalar_), "a clamped scalar is not zero");
    return key;
}

VrfSecretKey::VrfSecretKey(VrfSecretKey&& other) noexcept
    : seed_(other.seed_),
      scalar_(other.scalar_),
      nonce_prefix_(other.nonce_prefix_),
      public_key_(other.public_key_) {
    other.wipe();
}

VrfSecretKey& VrfSecretKey::operator=(VrfSecretKey&& other) noexcept {
    if (this != &other) {
        seed_ = other.seed_;
        scalar_ = other.scalar_;
        nonce_prefix_ = other.nonce_prefix_;
        public_key_ = other.public_key_;
        other.wipe();
    }
    return *this;
}

VrfSecretKey::~VrfSecretKey() {
    wipe();
}

void VrfSecretKey::wipe() {
    ::sodium_memzero(seed_.data(), seed_.size());
    ::sodium_memzero(scalar_.data(), scalar_.size());
    ::sodium_memzero(nonce_prefix_.data(), nonce_prefix_.size());
}

// The hash is of 8 Gamma = (8 x) H: with the cofactor in the scalar one multiplication does both.
// H is of prime order, so 8 x may be reduced.
VrfOutput VrfSecretKey::output(ByteView alpha) const {
    Scalar eight_x{};
    constexpr Scalar kEight = {8};
    ::crypto_core_ed25519_scalar_mul(eight_x.data(), kEight.data(), scalar_.data());
    Point cleared{};
    const bool multiplied = multiply(cleared, eight_x, encode_to_curve(public_key_, alpha));
    ::sodium_memzero(eight_x.data(), eight_x.size());
    CHECK(multiplied, "x is not zero");
    return domain_hash(0x03, {cleared});
}

VrfResult VrfSecretKey::prove(ByteView alpha) const {
    const Point h = encode_to_curve(public_key_, alpha);
    Point gamma{};
    CHECK(multiply(gamma, scalar_, h), "x is not zero");

    // Nonce as in RFC 8032 (RFC 9381 section 5.4.2.2): no randomness to get wrong.
    ::crypto_hash_sha512_state state;
    ::crypto_hash_sha512_init(&state);
    ::crypto_hash_sha512_update(&state, nonce_prefix_.data(), nonce_prefix_.size());
    ::crypto_hash_sha512_update(&state, h.data(), h.size());
    ByteArray<64> wide_nonce{};
    ::crypto_hash_sha512_final(&state, wide_nonce.data());
    Scalar k{};
    ::crypto_core_ed25519_scalar_reduce(k.data(), wide_nonce.data());

    Point u{};
    Point v{};
    CHECK(multiply_base(u, k) && multiply(v, k, h), "the nonce is zero with probability 2^-252");
    const Scalar c = challenge({public_key_, h, gamma, u, v});
    Scalar product{};
    Scalar s{};
    ::crypto_core_ed25519_scalar_mul(product.data(), c.data(), scalar_.data());
    ::crypto_core_ed25519_scalar_add(s.data(), k.data(), product.data());
    ::sodium_memzero(&state, sizeof state);
    ::sodium_memzero(wide_nonce.data(), wide_nonce.size());
    ::sodium_memzero(k.data(), k.size());
    ::sodium_memzero(product.data(), product.size());

    VrfResult result{.output = *gamma_to_hash(gamma), .proof = {}};
    std::ranges::copy(gamma, result.proof.begin());
    std::copy_n(c.begin(), kChallengeBytes, result.proof.begin() + kGammaEnd);
    std::ranges::copy(s, result.proof.begin() + kChallengeEnd);
    return result;
}

std::optional<VrfOutput> vrf_verify(ByteView public_key, ByteView alpha, ByteView proof) {
    const auto parsed = parse(proof);
    if (!parsed || public_key.size() != kEd25519KeyBytes) {
        return std::nullopt;
    }
    Point y{};
    std::ranges::copy(public_key, y.begin());
    const Point h = encode_to_curve(y, alpha);

    // U = s B - c Y and V = s H - c Gamma. multiply() refuses a Y or Gamma outside the prime-order
    // subgroup, and c = 0 or s = 0, which an honest proof meets with probability 2^-128.
    Point s_base{};
    Point c_y{};
    Point s_h{};
    Point c_gamma{};
    Point u{};
    Point v{};
    if (!multiply_base(s_base, parsed->s) || !multiply(c_y, parsed->c, y) ||
        !multiply(s_h, parsed->s, h) || !multiply(c_gamma, parsed->c, parsed->gamma) ||
        ::crypto_core_ed25519_sub(u.data(), s_base.data(), c_y.data()) != 0 ||
        ::crypto_core_ed25519_sub(v.data(), s_h.data(), c_gamma.data()) != 0) {
        return std::nullopt;
    }
    if (challenge({y, h, parsed->gamma, u, v}) != parsed->c) {
        return std::nullopt;
    }
    return gamma_to_hash(parsed->gamma);
}

std::optional<VrfOutput> vrf_proof_to_hash(ByteView proof) {
    const auto parsed = parse(proof);
    return parsed ? gamma_to_hash(parsed->gamma) : std::nullopt;
}

}  // namespace nave::crypto
