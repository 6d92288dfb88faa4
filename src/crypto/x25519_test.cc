#include "crypto/x25519.h"

#include "base/encoding.h"
#include "base/entropy.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <string_view>

namespace nave::crypto {
namespace {

Bytes from_hex(std::string_view text) {
    return hex_decode(text).value();
}

TEST(X25519, GeneratedKeysAreAcceptable) {
    SeededEntropy entropy(1);
    for (int i = 0; i < 20; ++i) {
        ByteArray<32> secret{};
        entropy.fill(secret);
        ByteArray<32> key{};
        ASSERT_EQ(::crypto_scalarmult_base(key.data(), secret.data()), 0);
        EXPECT_TRUE(is_acceptable_x25519_key(key));
    }
    Bytes nine(32);
    nine[0] = 9;
    EXPECT_TRUE(is_acceptable_x25519_key(nine));
}

// Every 32-byte string that any implementation could map to a small-order point, with the top bit
// both ways: all must go, whatever the reason.
TEST(X25519, NothingThatYieldsAZeroSecretIsAcceptable) {
    constexpr std::string_view kZeroSecret[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    for (const auto text : kZeroSecret) {
        Bytes key = from_hex(text);
        for (int top = 0; top < 2; ++top) {
            key[31] ^= static_cast<std::uint8_t>(top << 7);
            EXPECT_FALSE(is_acceptable_x25519_key(key)) << hex(key);
            ByteArray<32> secret{7};
            ByteArray<32> shared{};
            EXPECT_NE(::crypto_scalarmult(shared.data(), secret.data(), key.data()), 0)
                << "the list holds a key that is not of small order: " << hex(key);
        }
    }
}

TEST(X25519, SecondSpellingsAreNotAcceptable) {
    Bytes key(32, 0xff);
    for (int low = 0xed; low <= 0xff; ++low) {
        key[0] = static_cast<std::uint8_t>(low);
        key[31] = 0x7f;
        EXPECT_FALSE(is_acceptable_x25519_key(key)) << "u = p + " << low - 0xed;
    }
    Bytes top_bit(32);
    top_bit[0] = 9;
    top_bit[31] = 0x80;
    EXPECT_FALSE(is_acceptable_x25519_key(top_bit));
    // Just below p is canonical: p - 2.
    key[0] = 0xeb;
    EXPECT_TRUE(is_acceptable_x25519_key(key));
    // A byte in the middle below ff makes the whole number smaller than p.
    key[0] = 0xff;
    key[15] = 0xfe;
    EXPECT_TRUE(is_acceptable_x25519_key(key));
}

TEST(X25519, WrongLengths) {
    EXPECT_FALSE(is_acceptable_x25519_key({}));
    EXPECT_FALSE(is_acceptable_x25519_key(Bytes(31, 9)));
    EXPECT_FALSE(is_acceptable_x25519_key(Bytes(33, 9)));
}

}  // namespace
}  // namespace nave::crypto
