#include "crypto/ed25519.h"

#include "base/encoding.h"
#include "crypto/sodium.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <string_view>

namespace nave::crypto {
namespace {

Bytes from_hex(std::string_view text) {
    return hex_decode(text).value();
}

struct Rfc8032Case {
    std::string_view seed;
    std::string_view public_key;
    std::string_view message;
    std::string_view signature;
};

// RFC 8032 section 7.1, TEST 1 to 3.
constexpr Rfc8032Case kRfc8032[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

// Canonical encodings of the eight points whose order divides 8.
constexpr std::string_view kSmallOrder[] = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
};

TEST(Ed25519, SignsAndVerifiesTheRfcVectors) {
    for (const auto& [seed, public_key, message, signature] : kRfc8032) {
        const auto key = Ed25519SigningKey::from_seed(from_hex(seed)).value();
        EXPECT_EQ(hex(key.public_key()), public_key);
        EXPECT_EQ(hex(key.sign(from_hex(message))), signature);
        EXPECT_TRUE(ed25519_verify(from_hex(public_key), from_hex(message), from_hex(signature)));
    }
}

TEST(Ed25519, AnyFlippedBitIsRejected) {
    SeededEntropy entropy(1);
    const auto key = Ed25519SigningKey::generate(entropy);
    const Bytes message = {'h', 'i'};
    const ByteArray<64> signature = key.sign(message);
    ASSERT_TRUE(ed25519_verify(key.public_key(), message, signature));
    for (std::size_t bit = 0; bit < 64 * 8; ++bit) {
        auto changed = signature;
        changed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        EXPECT_FALSE(ed25519_verify(key.public_key(), message, changed)) << "bit " << bit;
    }
    for (std::size_t bit = 0; bit < 32 * 8; ++bit) {
        auto changed = key.public_key();
        changed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        EXPECT_FALSE(ed25519_verify(changed, message, signature)) << "bit " << bit;
    }
}

TEST(Ed25519, WrongLengthsAreRejectedNotRead) {
    SeededEntropy entropy(2);
    const auto key = Ed25519SigningKey::generate(entropy);
    const ByteArray<64> signature = key.sign({});
    const ByteView public_key = key.public_key();
    EXPECT_FALSE(ed25519_verify(public_key.first(31), {}, signature));
    EXPECT_FALSE(ed25519_verify({}, {}, signature));
    EXPECT_FALSE(ed25519_verify(public_key, {}, ByteView(signature).first(63)));
    EXPECT_FALSE(ed25519_verify(public_key, {}, {}));
    EXPECT_FALSE(Ed25519SigningKey::from_seed(Bytes(31)));
    EXPECT_FALSE(Ed25519SigningKey::from_seed(Bytes(33)));
}

// S + L verifies under a lenient equation; accepting it would give one request two signatures and
// so two entries in the replay table.
TEST(Ed25519, MalleatedScalarIsRejected) {
    const Bytes order =
        from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    auto signature = from_hex(kRfc8032[0].signature);
    unsigned carry = 0;
    for (std::size_t i = 0; i < 32; ++i) {
        carry += signature[32 + i] + order[i];
        signature[32 + i] = static_cast<std::uint8_t>(carry);
        carry >>= 8;
    }
    ASSERT_EQ(carry, 0U);
    EXPECT_FALSE(ed25519_verify(from_hex(kRfc8032[0].public_key), {}, signature));
}

// With a small-order key, R = identity and S = 0 "verify" for many messages.
TEST(Ed25519, SmallOrderKeysNeverVerify) {
    for (const auto point : kSmallOrder) {
        for (const auto r : kSmallOrder) {
            Bytes signature = from_hex(r);
            signature.resize(64, 0);
            EXPECT_FALSE(ed25519_verify(from_hex(point), as_bytes("any"), signature));
        }
    }
}

TEST(Ed25519, AcceptableKeys) {
    SeededEntropy entropy(3);
    for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(is_acceptable_ed25519_key(Ed25519SigningKey::generate(entropy).public_key()));
    }
    EXPECT_FALSE(is_acceptable_ed25519_key(Bytes(31)));
    EXPECT_FALSE(is_acceptable_ed25519_key(Bytes(33)));
    for (const auto point : kSmallOrder) {
        EXPECT_FALSE(is_acceptable_ed25519_key(from_hex(point))) << point;
    }
    // y = 2 is on no point of the curve.
    Bytes off_curve(32);
    off_curve[0] = 2;
    EXPECT_FALSE(is_acceptable_ed25519_key(off_curve));
}

TEST(Ed25519, NonCanonicalKeysAreNotAcceptable) {
    // y + p for the few y below 19: the same field element spelt a second time.
    for (int y = 0; y < 19; ++y) {
        Bytes key(32, 0xff);
        key[0] = static_cast<std::uint8_t>(0xed + y);
        for (const auto top : ByteArray<2>{0x7f, 0xff}) {
            key[31] = top;
            EXPECT_FALSE(is_acceptable_ed25519_key(key)) << "y = " << y;
        }
    }
}

// Also guards against libsodium builds with CVE-2025-69277, which take P + (0, -1) for prime order.
TEST(Ed25519, MixedOrderKeysAreNotAcceptable) {
    SeededEntropy entropy(4);
    const auto key = Ed25519SigningKey::generate(entropy).public_key();
    for (const auto point : kSmallOrder) {
        const Bytes torsion = from_hex(point);
        ByteArray<32> mixed{};
        ASSERT_EQ(::crypto_core_ed25519_add(mixed.data(), key.data(), torsion.data()), 0);
        EXPECT_EQ(is_acceptable_ed25519_key(mixed), point == kSmallOrder[0]) << point;
    }
}

TEST(Ed25519, MovedKeyStillSignsAndOldOneIsEmpty) {
    SeededEntropy entropy(5);
    auto first = Ed25519SigningKey::generate(entropy);
    const Bytes seed = to_bytes(first.reveal_seed());
    const auto expected = first.sign(as_bytes("m"));
    const Ed25519SigningKey second = std::move(first);
    EXPECT_EQ(second.sign(as_bytes("m")), expected);
    EXPECT_TRUE(equal(second.reveal_seed(), seed));
    // The point of the test is what moving leaves behind. NOLINTNEXTLINE(bugprone-use-after-move)
    EXPECT_TRUE(std::ranges::all_of(first.reveal_seed(), [](auto b) { return b == 0; }));
}

TEST(Sodium, InitIsIdempotent) {
    init();
    init();
}

}  // namespace
}  // namespace nave::crypto
