#include "prekeys/signatures.h"

#include "base/encoding.h"
#include "prekeys/test_keys.h"

#include <gtest/gtest.h>

namespace nave::prekeys {
namespace {

template <class T>
std::string failing(const Result<T>& outcome) {
    return outcome ? "ok" : outcome.error().id + " " + outcome.error().details_json;
}

// What clients in other languages must sign, byte by byte.
TEST(SignedMessages, SignedPreKey) {
    SignedPreKey key{0x01020304, Bytes{0xaa, 0xbb}, {}, 0x0102030405};
    for (const Suite suite : {Suite::x3dh_ed25519, Suite::pqxdh_xeddsa, Suite::x3dh_xeddsa}) {
        EXPECT_EQ(hex(signed_prekey_message(suite, key)), "aabb");
    }
    EXPECT_EQ(hex(signed_prekey_message(Suite::pqxdh_ed25519, key)),
              "53484144452d53504b2d5631"  // SHADE-SPK-V1
              "01020304"
              "0000000102030405"
              "aabb");
    key.id = kKeyIdMax;
    EXPECT_EQ(hex(signed_prekey_message(Suite::pqxdh_ed25519, key)),
              "53484144452d53504b2d5631ffffffff0000000102030405aabb");
}

TEST(SignedMessages, KemPreKey) {
    const KemPreKey key{0x01020304, "ml-kem-768", Bytes{0xaa, 0xbb}, {}};
    EXPECT_EQ(hex(kem_prekey_message(Suite::pqxdh_xeddsa, key)), "aabb");
    EXPECT_EQ(hex(kem_prekey_message(Suite::pqxdh_ed25519, key)),
              "53484144452d4b454d2d5631"  // SHADE-KEM-V1
              "6d6c2d6b656d2d373638"      // ml-kem-768
              "01020304"
              "aabb");
}

TEST(SignedMessages, DhBinding) {
    EXPECT_EQ(hex(dh_binding_message(Address::parse("a:1").value(), Bytes{0xaa, 0xbb})),
              "53484144452d444842494e442d5631"  // SHADE-DHBIND-V1
              "00"
              "613a31"
              "00"
              "aabb");
}

TEST(SignedMessages, IdentityRotation) {
    EXPECT_EQ(hex(identity_rotation_message(Address::parse("a:1").value(), Bytes{0xaa}, Bytes{0xbb},
                                            0x0102030405)),
              "53484144452d524f544154452d5631"  // SHADE-ROTATE-V1
              "00"
              "613a31"
              "00"
              "aa"
              "bb"
              "0000000102030405");
}

// Made by libsignal's PrivateKey.sign over an empty message and 33 bytes of 0x04.
TEST(Signatures, OfLibsignalVerifyInItsSuitesOnly) {
    const Bytes key =
        hex_decode("0599d8f10f1742128ee60f8cf51dfb7f04a3f41153968554e45d75e0652101226c").value();
    const Bytes signature = hex_decode(
                                "ded02a7e71a0ab65a67e8b2c4464904da94f5f1090ba8c22b61097c1f85523b6"
                                "549153cd17381d70a35ef2a79d91d5ba1c098320e4dc3eef831453b845a63986")
                                .value();
    EXPECT_TRUE(verify_signature(Suite::pqxdh_xeddsa, key, {}, signature));
    EXPECT_TRUE(verify_signature(Suite::x3dh_xeddsa, key, {}, signature));
    EXPECT_FALSE(verify_signature(Suite::x3dh_ed25519, key, {}, signature));
    EXPECT_FALSE(verify_signature(Suite::pqxdh_ed25519, ByteView(key).subspan(1), {}, signature));
    EXPECT_FALSE(verify_signature(Suite::pqxdh_xeddsa, ByteView(key).subspan(1), {}, signature))
        << "without its type byte";
    const Bytes other =
        hex_decode("05a0da046e30a8f2a43f8883070f9f6099f31599f9d16e7173176f95fe092f0c0a").value();
    EXPECT_TRUE(verify_signature(
        Suite::pqxdh_xeddsa, other, Bytes(33, 4),
        hex_decode("f0882fde062e434cd9437ab198c127fa310e66c6bea57f6b86fbc6844b2646e9"
                   "7f1a2a08e1d9bf49b95208ac0c36b1d2b81d78c9f82e32b046e68d8984729004")
            .value()));
}

class SignaturesOfEverySuite : public testing::TestWithParam<Suite> {};
INSTANTIATE_TEST_SUITE_P(Suites, SignaturesOfEverySuite, testing::ValuesIn(kSuites),
                         [](const auto& info) {
                             return std::to_string(static_cast<int>(info.param));
                         });

Registration honest(Suite suite, std::uint64_t seed = 1) {
    return TestDevice("alice:1", suite, seed)
        .registration({.one_time = 2, .kem_one_time = uses_kem(suite) ? 3U : 0U});
}

// Several seeds, so that both signs of an XEdDSA key occur.
TEST_P(SignaturesOfEverySuite, HonestUploadsVerify) {
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
        EXPECT_EQ(failing(verify_registration(honest(GetParam(), seed))), "ok") << seed;
    }
}

TEST_P(SignaturesOfEverySuite, FailingKeysAreNamed) {
    Registration upload = honest(GetParam());
    upload.signed_prekey.signature[10] ^= 1;
    EXPECT_EQ(failing(verify_registration(upload)), R"(SHADE_INVALID_SIGNATURE {"keyIds":[1]})");
    upload = honest(GetParam());
    upload.signed_prekey.public_key.back() ^= 1;
    EXPECT_EQ(failing(verify_registration(upload)), R"(SHADE_INVALID_SIGNATURE {"keyIds":[1]})");
    if (!uses_kem(GetParam())) {
        return;
    }
    upload = honest(GetParam());
    upload.batch.kem_one_time[0].signature[0] ^= 1;
    upload.batch.kem_one_time[2].public_key.back() ^= 1;
    upload.last_resort->signature[63] ^= 1;
    upload.signed_prekey.signature[5] ^= 1;
    EXPECT_EQ(failing(verify_registration(upload)),
              R"(SHADE_INVALID_SIGNATURE {"keyIds":[1,900,1,3]})");
    EXPECT_EQ(failing(verify_kem_keys(upload.identity, {upload.batch.kem_one_time[1]})), "ok");
    EXPECT_EQ(failing(verify_kem_keys(upload.identity, {})), "ok");
}

TEST_P(SignaturesOfEverySuite, AnotherIdentitysSignaturesFail) {
    Registration upload = honest(GetParam());
    upload.batch = {};
    upload.identity = honest(GetParam(), 2).identity;
    upload.identity.dh_signature.reset();
    EXPECT_EQ(failing(verify_registration(upload)),
              uses_kem(GetParam()) ? R"(SHADE_INVALID_SIGNATURE {"keyIds":[1,900]})"
                                   : R"(SHADE_INVALID_SIGNATURE {"keyIds":[1]})");
}

TEST_P(SignaturesOfEverySuite, WeakIdentityKeysAreRefused) {
    IdentityKeys identity = honest(GetParam()).identity;
    EXPECT_EQ(failing(check_identity_key(identity)), "ok");
    identity.signing_key.pop_back();
    EXPECT_EQ(failing(check_identity_key(identity)), "SHADE_WEAK_KEY ");
    identity.signing_key = Bytes(curve_key_size(GetParam()));
    if (uses_xeddsa(GetParam())) {
        identity.signing_key[0] = 0x05;
    }
    EXPECT_EQ(failing(check_identity_key(identity)), "SHADE_WEAK_KEY ");
}

// The new suite binds id and time, so that an old prekey cannot pass as fresh or as another.
TEST(Signatures, OfPqxdhEd25519BindIdTimeAndAlgorithm) {
    Registration upload = honest(Suite::pqxdh_ed25519);
    upload.signed_prekey.created_at += 1;
    EXPECT_EQ(failing(verify_registration(upload)), R"(SHADE_INVALID_SIGNATURE {"keyIds":[1]})");
    upload = honest(Suite::pqxdh_ed25519);
    upload.signed_prekey.id = 2;
    EXPECT_EQ(failing(verify_registration(upload)), R"(SHADE_INVALID_SIGNATURE {"keyIds":[2]})");
    upload = honest(Suite::pqxdh_ed25519);
    upload.last_resort->algorithm = "kyber1024";
    EXPECT_EQ(failing(verify_registration(upload)), R"(SHADE_INVALID_SIGNATURE {"keyIds":[900]})");
    upload = honest(Suite::x3dh_ed25519);
    upload.signed_prekey.created_at += 1;
    EXPECT_EQ(failing(verify_registration(upload)), "ok") << "the older suite signs the key alone";
}

TEST(Signatures, DhBindingHoldsAddressAndKey) {
    Registration upload = honest(Suite::x3dh_ed25519);
    upload.identity.dh_key[0] ^= 1;
    const std::string refused = R"(SHADE_INVALID_SIGNATURE {"keyIds":["identityDhKey"]})";
    EXPECT_EQ(failing(verify_registration(upload)), refused);
    upload.identity.dh_signature.reset();
    EXPECT_EQ(failing(verify_registration(upload)), "ok") << "the binding is optional";
    upload = honest(Suite::x3dh_ed25519);
    upload.address = Address::parse("alice:2").value();
    EXPECT_EQ(failing(verify_registration(upload)), refused);
}

}  // namespace
}  // namespace nave::prekeys
