#include "crypto/xeddsa.h"

#include "base/encoding.h"
#include "base/entropy.h"
#include "crypto/ed25519.h"
#include "crypto/field25519.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <string_view>

namespace nave::crypto {
namespace {

Bytes from_hex(std::string_view text) {
    return hex_decode(text).value();
}

ByteArray<32> field(std::string_view text) {
    ByteArray<32> out{};
    std::ranges::copy(from_hex(text), out.begin());
    return out;
}

struct LibsignalCase {
    std::string_view public_key;
    std::size_t message_bytes;
    std::uint8_t message_fill;
    std::string_view signature;

    [[nodiscard]] Bytes key() const { return from_hex(public_key.substr(2)); }
    [[nodiscard]] Bytes message() const {
        Bytes filled(message_bytes);
        std::ranges::fill(filled, message_fill);
        return filled;
    }
};

// Made by PrivateKey.sign of @signalapp/libsignal-client 0.103.0; both sign bits occur.
constexpr LibsignalCase kLibsignal[] = {
    {"0599d8f10f1742128ee60f8cf51dfb7f04a3f41153968554e45d75e0652101226c", 0, 0x00,
     "ded02a7e71a0ab65a67e8b2c4464904da94f5f1090ba8c22b61097c1f85523b6"
     "549153cd17381d70a35ef2a79d91d5ba1c098320e4dc3eef831453b845a63986"},
    {"05e396fcaf968d4757be32f7cc43ed15fe7c7f7b2e4abca388d0f8cad5a89f7152", 33, 0x01,
     "6b6c03dbd77e62fd1000a12375243f8c2d6ecb6d39c56eac680cca4d29f46867"
     "d7e6e8894ae8f99f675d17a5e6c79eaaeb2c67ff6c4acdcd6b75645fa742d982"},
    {"05a3c915678066ddd93be5dc72f82bedf7c44898126ac1a6068582d37a45182949", 200, 0x02,
     "755d53a47ddb4037c76601c2fccdbe816277d17ae417decabb194442091eda87"
     "a4d45b02fe8e0e6bb4486592846555823606d5a43e61e6feb6513aa8e3d5e203"},
    {"054a45bbded6216f10a4720fd6d384c2a827aa4808bfb8a13b4e326ae91f55e276", 0, 0x00,
     "ab22304477800172001216d76fb62cc0fdd61f8d89eef678ba3e1903a25773c2"
     "a45af1a1de44c5d2e8ef7293a83af83b787a1744814e53631e28c03900f7b60e"},
    {"05a0da046e30a8f2a43f8883070f9f6099f31599f9d16e7173176f95fe092f0c0a", 33, 0x04,
     "f0882fde062e434cd9437ab198c127fa310e66c6bea57f6b86fbc6844b2646e9"
     "7f1a2a08e1d9bf49b95208ac0c36b1d2b81d78c9f82e32b046e68d8984729004"},
    {"05fb547e2e89a4758b60653de6c451e2457230b0a4efecdfc9029c925eeca35670", 200, 0x05,
     "ba6f31236772988be6593b8ad16a4dcbd02afba3cadbb0dcc910e1aa362c7433"
     "d10f7f8eef009606a7bd363a36cd567ae54a320f6cc5edad4435ddb949840a8b"},
};

Bytes serialised(ByteView u) {
    Bytes key = {kLibsignalCurveType};
    append(key, u);
    return key;
}

TEST(Xeddsa, AcceptsWhatLibsignalSigns) {
    int negative = 0;
    for (const auto& vector : kLibsignal) {
        const Bytes signature = from_hex(vector.signature);
        negative += signature[63] >> 7;
        EXPECT_TRUE(xeddsa_verify(vector.key(), vector.message(), signature));
        EXPECT_TRUE(is_acceptable_xeddsa_key(from_hex(vector.public_key)));
    }
    EXPECT_EQ(negative, 3) << "the vectors should hold both signs";
}

TEST(Xeddsa, AnyFlippedBitIsRejected) {
    const auto& vector = kLibsignal[1];
    const Bytes key = vector.key();
    const Bytes message = vector.message();
    for (std::size_t bit = 0; bit < 64 * 8; ++bit) {
        Bytes changed = from_hex(vector.signature);
        changed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        EXPECT_FALSE(xeddsa_verify(key, message, changed)) << "signature bit " << bit;
    }
    const Bytes signature = from_hex(vector.signature);
    for (std::size_t bit = 0; bit < 32 * 8; ++bit) {
        Bytes changed = key;
        changed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        EXPECT_FALSE(xeddsa_verify(changed, message, signature)) << "key bit " << bit;
    }
    Bytes other = message;
    other[0] ^= 1;
    EXPECT_FALSE(xeddsa_verify(key, other, signature));
}

TEST(Xeddsa, WrongLengths) {
    const Bytes key = kLibsignal[0].key();
    const Bytes signature = from_hex(kLibsignal[0].signature);
    EXPECT_FALSE(xeddsa_verify(ByteView(key).first(31), {}, signature));
    EXPECT_FALSE(xeddsa_verify(from_hex(kLibsignal[0].public_key), {}, signature));
    EXPECT_FALSE(xeddsa_verify(key, {}, ByteView(signature).first(63)));
    EXPECT_FALSE(xeddsa_verify({}, {}, {}));
}

TEST(Xeddsa, SerialisedKeyForm) {
    Bytes key = from_hex(kLibsignal[0].public_key);
    ASSERT_TRUE(montgomery_key(key));
    EXPECT_TRUE(equal(*montgomery_key(key), ByteView(key).subspan(1)));
    EXPECT_FALSE(montgomery_key({}));
    EXPECT_FALSE(montgomery_key(ByteView(key).first(32)));
    key.push_back(0);
    EXPECT_FALSE(montgomery_key(key));
    key.pop_back();
    key[0] = 0x06;
    EXPECT_FALSE(montgomery_key(key));
    EXPECT_FALSE(is_acceptable_xeddsa_key(key));
}

// y = (u - 1) / (u + 1) mod p, computed with big integers elsewhere.
TEST(Xeddsa, EdwardsYOfMontgomeryU) {
    constexpr std::string_view kCases[][2] = {
        {"0000000000000000000000000000000000000000000000000000000000000000",
         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
        {"0100000000000000000000000000000000000000000000000000000000000000",
         "0000000000000000000000000000000000000000000000000000000000000000"},
        {"0200000000000000000000000000000000000000000000000000000000000000",
         "4955555555555555555555555555555555555555555555555555555555555555"},
        {"0900000000000000000000000000000000000000000000000000000000000000",
         "5866666666666666666666666666666666666666666666666666666666666666"},
        {"ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "0300000000000000000000000000000000000000000000000000000000000000"},
        {"eaffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "0200000000000000000000000000000000000000000000000000000000000000"},
        {"ffffffffffff0700000000000000000000000000000000000000000000000000",
         "f1ffffffffffffffffffffffffffffffffffffffffffffffff9fbc86f21aca6b"},
        {"0000000000000000000000000000000000000000000000000010000000000000",
         "ef3b44e8908c7d6d92e1f873294bddf11dea3131e6207a82ddc240bc7bf13627"},
        {"ecfffffffffff7ffffffffffffffffffffffffffffffffffffffffffffffff7f",
         "feffffffffffffffffffffffffffffffffffffffffffffffff5f43790de53514"},
        {"efcdab9078563412efcdab9078563412efcdab9078563412efcdab9078563412",
         "43e2bf044c97519ce3df5635641e653a41fd325e44284da87a8f2681906b9836"},
    };
    for (const auto& [u, y] : kCases) {
        EXPECT_EQ(hex(detail::edwards_y(field(u)).value()), y) << u;
    }
}

// libsodium offers the map in the other direction.
TEST(Xeddsa, EdwardsYUndoesLibsodiumsMap) {
    SeededEntropy entropy(6);
    for (int i = 0; i < 200; ++i) {
        ByteArray<32> y = Ed25519SigningKey::generate(entropy).public_key();
        ByteArray<32> u{};
        ASSERT_EQ(::crypto_sign_ed25519_pk_to_curve25519(u.data(), y.data()), 0);
        y.back() &= 0x7f;
        EXPECT_EQ(detail::edwards_y(u), y);
    }
}

TEST(Xeddsa, PointsWithoutAnEdwardsForm) {
    // u = -1 divides by zero. Contract: rejected, as libsignal does.
    const auto minus_one =
        field("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    EXPECT_FALSE(detail::edwards_y(minus_one));
    EXPECT_FALSE(is_acceptable_xeddsa_key(serialised(minus_one)));
    // u >= p, and u with the top bit set.
    EXPECT_FALSE(detail::edwards_y(
        field("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")));
    EXPECT_FALSE(detail::edwards_y(
        field("0900000000000000000000000000000000000000000000000000000000000080")));
    // On the twist: fine for X25519 itself, but no signature could ever verify.
    ByteArray<32> twist{2};
    EXPECT_TRUE(detail::edwards_y(twist));
    EXPECT_FALSE(is_acceptable_xeddsa_key(serialised(twist)));
}

// For a small-order key, S = 0 and R of small order would verify without any private key.
TEST(Xeddsa, SmallOrderKeysNeverVerify) {
    for (const auto text : {"0000000000000000000000000000000000000000000000000000000000000000",
                            "0100000000000000000000000000000000000000000000000000000000000000",
                            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"}) {
        const Bytes key = from_hex(text);
        EXPECT_FALSE(is_acceptable_xeddsa_key(serialised(key)));
        for (const auto sign : ByteArray<2>{0x00, 0x80}) {
            Bytes signature(64);
            signature[0] = 1;
            signature[63] = sign;
            EXPECT_FALSE(xeddsa_verify(key, as_bytes("any"), signature));
        }
    }
}

TEST(Xeddsa, MixedOrderKeysAreNotAcceptable) {
    SeededEntropy entropy(7);
    const auto y = Ed25519SigningKey::generate(entropy).public_key();
    const Bytes order_eight =
        from_hex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a");
    ByteArray<32> mixed{};
    ASSERT_EQ(::crypto_core_ed25519_add(mixed.data(), y.data(), order_eight.data()), 0);
    // t -> (t - 1)/(t + 1) has order four, so three more steps lead from y back to u.
    mixed.back() &= 0x7f;
    const auto step_one = detail::edwards_y(mixed).value();
    const auto step_two = detail::edwards_y(step_one).value();
    const auto u = detail::edwards_y(step_two).value();
    ASSERT_EQ(detail::edwards_y(u), mixed);
    EXPECT_FALSE(is_acceptable_xeddsa_key(serialised(u)));
}

}  // namespace
}  // namespace nave::crypto
