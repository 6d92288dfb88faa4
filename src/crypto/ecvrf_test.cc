#include "crypto/ecvrf.h"

#include "base/encoding.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <string_view>

namespace nave::crypto {
namespace {

Bytes from_hex(std::string_view text) {
    return hex_decode(text).value();
}

struct Rfc9381Case {
    std::string_view seed;
    std::string_view public_key;
    std::string_view alpha;
    std::string_view proof;
    std::string_view output;
};

// RFC 9381 appendix B.3, examples 16 to 18. Example 17 needs a second try to hit the curve.
constexpr Rfc9381Case kRfc9381[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f"
     "26f8a57ccaed74ee1b190bed1f479d9727d2d0f9b005a6e456a35d4fb0daab12"
     "68a1b0db10836d9826a528ca76567805",
     "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff"
     "66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed593"
     "3bf0864a62558b3ed7f2fea45c92a465301b3bbf5e3e54ddf2d935be3b67926d"
     "a3ef39226bbc355bdc9850112c8f4b02",
     "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb"
     "5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf80"
     "96bb474e53895c362d8628ee9f9ea3c0e52c7a5c691b6c18c9979866568add7a"
     "2d41b00b05081ed0f58ee5e31b3a970e",
     "645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c45"
     "2118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f"},
};

TEST(Ecvrf, ReproducesTheRfcVectors) {
    for (const auto& vector : kRfc9381) {
        const auto key = VrfSecretKey::from_seed(from_hex(vector.seed)).value();
        EXPECT_EQ(hex(key.public_key()), vector.public_key);
        const Bytes alpha = from_hex(vector.alpha);
        const VrfResult result = key.prove(alpha);
        EXPECT_EQ(hex(result.proof), vector.proof);
        EXPECT_EQ(hex(result.output), vector.output);
        EXPECT_EQ(key.output(alpha), result.output);
        EXPECT_EQ(vrf_proof_to_hash(result.proof), result.output);
        EXPECT_EQ(vrf_verify(key.public_key(), alpha, result.proof), result.output);
    }
}

TEST(Ecvrf, ProofsOfManyInputsVerify) {
    SeededEntropy entropy(1);
    const auto key = VrfSecretKey::generate(entropy);
    for (int i = 0; i < 20; ++i) {
        const std::string alpha = "user" + std::to_string(i) + ":1";
        const VrfResult result = key.prove(as_bytes(alpha));
        EXPECT_EQ(vrf_verify(key.public_key(), as_bytes(alpha), result.proof), result.output);
        EXPECT_FALSE(vrf_verify(key.public_key(), as_bytes(alpha + "0"), result.proof));
    }
}

TEST(Ecvrf, AnyFlippedBitIsRejected) {
    SeededEntropy entropy(2);
    const auto key = VrfSecretKey::generate(entropy);
    const Bytes alpha = {'a'};
    const VrfProof proof = key.prove(alpha).proof;
    ASSERT_TRUE(vrf_verify(key.public_key(), alpha, proof));
    for (std::size_t bit = 0; bit < proof.size() * 8; ++bit) {
        VrfProof changed = proof;
        changed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        EXPECT_FALSE(vrf_verify(key.public_key(), alpha, changed)) << "bit " << bit;
    }
    for (std::size_t bit = 0; bit < 32 * 8; ++bit) {
        auto changed = key.public_key();
        changed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        EXPECT_FALSE(vrf_verify(changed, alpha, proof)) << "key bit " << bit;
    }
}

TEST(Ecvrf, ResponseBeyondTheGroupOrderIsRejected) {
    const Bytes order =
        from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    const auto& vector = kRfc9381[0];
    Bytes proof = from_hex(vector.proof);
    unsigned carry = 0;
    for (std::size_t i = 0; i < 32; ++i) {
        carry += proof[48 + i] + order[i];
        proof[48 + i] = static_cast<std::uint8_t>(carry);
        carry >>= 8;
    }
    ASSERT_EQ(carry, 0U);
    EXPECT_FALSE(vrf_verify(from_hex(vector.public_key), {}, proof));
    EXPECT_FALSE(vrf_proof_to_hash(proof));
}

// Gamma + T has the same 8 Gamma, hence the same output: a second proof of one output.
TEST(Ecvrf, GammaOutsideThePrimeOrderSubgroupIsRejected) {
    const auto& vector = kRfc9381[0];
    Bytes proof = from_hex(vector.proof);
    const Bytes order_two =
        from_hex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    ByteArray<32> mixed{};
    ASSERT_EQ(::crypto_core_ed25519_add(mixed.data(), proof.data(), order_two.data()), 0);
    std::ranges::copy(mixed, proof.begin());
    ASSERT_EQ(hex(vrf_proof_to_hash(proof).value()), vector.output);
    EXPECT_FALSE(vrf_verify(from_hex(vector.public_key), {}, proof));
}

TEST(Ecvrf, GammaMustBeACanonicalPoint) {
    Bytes proof = from_hex(kRfc9381[0].proof);
    // y = p + 1, a second spelling of the identity; y = 2, on no point.
    for (const auto text : {"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "0200000000000000000000000000000000000000000000000000000000000000"}) {
        std::ranges::copy(from_hex(text), proof.begin());
        EXPECT_FALSE(vrf_proof_to_hash(proof)) << text;
        EXPECT_FALSE(vrf_verify(from_hex(kRfc9381[0].public_key), {}, proof)) << text;
    }
}

TEST(Ecvrf, SmallOrderKeyProvesNothing) {
    const Bytes identity =
        from_hex("0100000000000000000000000000000000000000000000000000000000000000");
    Bytes proof(80);
    proof[0] = 1;
    EXPECT_FALSE(vrf_verify(identity, {}, proof));
    EXPECT_FALSE(vrf_verify(from_hex(kRfc9381[0].public_key), {}, proof));
}

TEST(Ecvrf, WrongLengths) {
    const auto& vector = kRfc9381[0];
    const Bytes proof = from_hex(vector.proof);
    const Bytes key = from_hex(vector.public_key);
    EXPECT_FALSE(vrf_verify(key, {}, ByteView(proof).first(79)));
    EXPECT_FALSE(vrf_verify(key, {}, {}));
    EXPECT_FALSE(vrf_verify(ByteView(key).first(31), {}, proof));
    Bytes long_key = key;
    long_key.push_back(0);
    EXPECT_FALSE(vrf_verify(long_key, {}, proof));
    EXPECT_FALSE(vrf_proof_to_hash(ByteView(proof).first(79)));
    EXPECT_FALSE(VrfSecretKey::from_seed(Bytes(31)));
}

TEST(Ecvrf, MovedKeyStillProvesAndOldOneIsEmpty) {
    SeededEntropy entropy(3);
    auto first = VrfSecretKey::generate(entropy);
    const VrfOutput expected = first.output(as_bytes("m"));
    auto second = VrfSecretKey::generate(entropy);
    EXPECT_NE(second.output(as_bytes("m")), expected);
    second = std::move(first);
    EXPECT_EQ(second.output(as_bytes("m")), expected);
    // The point of the test is what moving leaves behind. NOLINTNEXTLINE(bugprone-use-after-move)
    EXPECT_TRUE(std::ranges::all_of(first.reveal_seed(), [](auto b) { return b == 0; }));
}

}  // namespace
}  // namespace nave::crypto
