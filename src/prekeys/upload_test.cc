#include "prekeys/upload.h"

#include "base/encoding.h"
#include "crypto/kem_test_keys.h"
#include "prekeys/errors.h"
#include "prekeys/test_keys.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace nave::prekeys {
namespace {

constexpr std::int64_t kSkew = 300'000;

// "CODE details" as a client would read them.
template <class T>
std::string public_outcome(const Result<T>& outcome) {
    if (outcome) {
        return "ok";
    }
    const auto shown = json::parse(error_object(outcome.error(), "r")).value().get_object();
    std::string text(shown.at("code").get_string());
    if (const auto* details = shown.if_contains("details")) {
        text += " " + json::text(*details);
    }
    return text;
}

std::string read(const json::Object& body) {
    return public_outcome(read_registration(json::Reader(body), kTestNow, kSkew));
}

json::Object full_body(Suite suite, std::size_t keys = 3) {
    const std::size_t kem_keys = uses_kem(suite) ? keys : 0;
    const TestDevice device("alice:1", suite);
    return register_body(device.registration({.one_time = keys, .kem_one_time = kem_keys}));
}

json::Object& element(json::Object& body, std::string_view list, std::size_t index) {
    return body.at(list).get_array().at(index).get_object();
}

std::string field(std::string_view name) {
    return fmt::format(R"(SHADE_VALIDATION {{"field":"{}"}})", name);
}

// Points X25519 maps to zero whatever the private key, and two that no generator emits.
constexpr std::string_view kBadPoints[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // p
    "0900000000000000000000000000000000000000000000000000000000000080",  // top bit
};

std::string point(std::string_view hex_text, bool libsignal) {
    Bytes bytes = hex_decode(hex_text).value();
    if (libsignal) {
        bytes.insert(bytes.begin(), 0x05);
    }
    return base64(bytes);
}

class UploadsOfEverySuite : public testing::TestWithParam<Suite> {};
INSTANTIATE_TEST_SUITE_P(Suites, UploadsOfEverySuite, testing::ValuesIn(kSuites),
                         [](const auto& info) {
                             std::string name(suite_name(info.param));
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

TEST_P(UploadsOfEverySuite, AFullUploadIsReadAsItWasWritten) {
    const TestDevice device("alice:1", GetParam());
    const std::size_t kem_keys = uses_kem(GetParam()) ? 100 : 0;
    const Registration sent = device.registration(
        {.one_time = 100, .kem_one_time = kem_keys, .mode = UploadMode::replace});
    const json::Object body = register_body(sent);
    const auto read = read_registration(json::Reader(body), kTestNow, kSkew);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->address, sent.address);
    EXPECT_TRUE(read->identity.same_keys(sent.identity));
    EXPECT_EQ(read->identity.dh_signature, sent.identity.dh_signature);
    EXPECT_EQ(read->registration_id, sent.registration_id);
    EXPECT_EQ(read->signed_prekey.id, 1);
    EXPECT_EQ(read->signed_prekey.public_key, sent.signed_prekey.public_key);
    EXPECT_EQ(read->signed_prekey.signature, sent.signed_prekey.signature);
    EXPECT_EQ(read->signed_prekey.created_at, kTestNow);
    EXPECT_EQ(read->last_resort.has_value(), uses_kem(GetParam()));
    EXPECT_EQ(read->mode, UploadMode::replace);
    ASSERT_EQ(read->batch.one_time.size(), 100U);
    EXPECT_EQ(read->batch.one_time[99].id, 100);
    EXPECT_EQ(read->batch.one_time[99].public_key, sent.batch.one_time[99].public_key);
    ASSERT_EQ(read->batch.kem_one_time.size(), kem_keys);
    if (kem_keys > 0) {
        EXPECT_EQ(read->batch.kem_one_time[99].algorithm, sent.batch.kem_one_time[99].algorithm);
        EXPECT_EQ(read->batch.kem_one_time[99].public_key, sent.batch.kem_one_time[99].public_key);
    }
}

TEST_P(UploadsOfEverySuite, BadPointsAreRefusedWhereverTheyStand) {
    const bool libsignal = uses_xeddsa(GetParam());
    for (const std::string_view bad : kBadPoints) {
        const std::string text = point(bad, libsignal);
        json::Object body = full_body(GetParam());
        body[libsignal ? "identityKey" : "identityDhKey"] = text;
        EXPECT_EQ(read(body), "SHADE_WEAK_KEY") << bad;
        body = full_body(GetParam());
        body["signedPreKey"].get_object()["publicKey"] = text;
        EXPECT_EQ(read(body), R"(SHADE_WEAK_KEY {"keyIds":[1]})") << bad;
        body = full_body(GetParam());
        element(body, "oneTimePreKeys", 0)["publicKey"] = text;
        element(body, "oneTimePreKeys", 2)["publicKey"] = text;
        EXPECT_EQ(read(body), R"(SHADE_WEAK_KEY {"keyIds":[1,3]})") << bad;
    }
}

TEST_P(UploadsOfEverySuite, KeysHaveTheLengthOfTheSuite) {
    const std::string other = base64(Bytes(uses_xeddsa(GetParam()) ? 32 : 33, 9));
    json::Object body = full_body(GetParam());
    body[uses_xeddsa(GetParam()) ? "identityKey" : "identitySigningKey"] = other;
    EXPECT_EQ(read(body), field(uses_xeddsa(GetParam()) ? "identityKey" : "identitySigningKey"));
    body = full_body(GetParam());
    body["signedPreKey"].get_object()["publicKey"] = other;
    EXPECT_EQ(read(body), field("signedPreKey.publicKey"));
    body = full_body(GetParam());
    element(body, "oneTimePreKeys", 1)["publicKey"] = other;
    EXPECT_EQ(read(body), field("oneTimePreKeys[1].publicKey"));
}

TEST_P(UploadsOfEverySuite, KemKeysBelongToKemSuites) {
    const json::Object kem = to_json(TestDevice("a", Suite::pqxdh_ed25519).kem(1));
    json::Object body = full_body(GetParam());
    if (uses_kem(GetParam())) {
        body.erase("kemOneTimePreKeys");
        EXPECT_EQ(read(body), "ok");
        body.erase("kemLastResortPreKey");
        EXPECT_EQ(read(body), field("kemLastResortPreKey"));
        return;
    }
    body["kemLastResortPreKey"] = kem;
    EXPECT_EQ(read(body), field("kemLastResortPreKey"));
    body.erase("kemLastResortPreKey");
    body["kemOneTimePreKeys"] = json::Array{kem};
    EXPECT_EQ(read(body), field("kemOneTimePreKeys"));
}

TEST_P(UploadsOfEverySuite, RegistrationIdIsRequiredWhereLibsignalNeedsIt) {
    json::Object body = full_body(GetParam());
    body.erase("registrationId");
    EXPECT_EQ(read(body), uses_xeddsa(GetParam()) ? field("registrationId") : "ok");
    for (const std::int64_t good : {1, 16'380}) {
        body["registrationId"] = good;
        EXPECT_EQ(read(body), "ok");
    }
    for (const json::Value& bad : {json::Value(0), json::Value(-1), json::Value(16'381),
                                   json::Value("7"), json::Value(7.0), json::Value(true)}) {
        body["registrationId"] = bad;
        EXPECT_EQ(read(body), field("registrationId"));
    }
}

TEST_P(UploadsOfEverySuite, CreationTimeIsRequiredWhereItIsSigned) {
    json::Object body = full_body(GetParam());
    json::Object& key = body["signedPreKey"].get_object();
    key.erase("createdAt");
    EXPECT_EQ(read(body),
              GetParam() == Suite::pqxdh_ed25519 ? field("signedPreKey.createdAt") : "ok");
    key["createdAt"] = kTestNow + kSkew;
    EXPECT_EQ(read(body), "ok");
    key["createdAt"] = kTestNow + kSkew + 1;
    EXPECT_EQ(read(body), field("signedPreKey.createdAt"));
    key["createdAt"] = 0;
    EXPECT_EQ(read(body), "ok") << "an old key is stale, not wrong";
    key["createdAt"] = -1;
    EXPECT_EQ(read(body), field("signedPreKey.createdAt"));
}

struct BadBody {
    std::string_view what;
    std::function<void(json::Object&)> change;
    std::string outcome;
};

TEST(Uploads, MalformedMembersAreNamed) {
    const std::vector<BadBody> cases{
        {"no address", [](auto& b) { b.erase("address"); }, field("address")},
        {"null address", [](auto& b) { b["address"] = nullptr; }, field("address")},
        {"address of a wrong type", [](auto& b) { b["address"] = 7; }, field("address")},
        {"address with a space", [](auto& b) { b["address"] = "a b"; }, "SHADE_BAD_ADDRESS"},
        {"empty address", [](auto& b) { b["address"] = ""; }, "SHADE_BAD_ADDRESS"},
        {"long address", [](auto& b) { b["address"] = std::string(129, 'a'); },
         "SHADE_BAD_ADDRESS"},
        {"unknown suite", [](auto& b) { b["suite"] = "mls"; }, field("suite")},
        {"suite of a wrong type", [](auto& b) { b["suite"] = 1; }, field("suite")},
        {"long suite", [](auto& b) { b["suite"] = std::string(65, 'x'); }, field("suite")},
        {"no signing key", [](auto& b) { b.erase("identitySigningKey"); },
         field("identitySigningKey")},
        {"no DH key", [](auto& b) { b.erase("identityDhKey"); }, field("identityDhKey")},
        {"short DH signature", [](auto& b) { b["identityDhKeySignature"] = base64(Bytes(63)); },
         field("identityDhKeySignature")},
        {"bad base64", [](auto& b) { b["identityDhKey"] = std::string(43, '*') + "="; },
         field("identityDhKey")},
        {"no signed prekey", [](auto& b) { b.erase("signedPreKey"); }, field("signedPreKey")},
        {"signed prekey is a list", [](auto& b) { b["signedPreKey"] = json::Array(); },
         field("signedPreKey")},
        {"signed prekey without signature",
         [](auto& b) { b["signedPreKey"].get_object().erase("signature"); },
         field("signedPreKey.signature")},
        {"long signature",
         [](auto& b) { b["signedPreKey"].get_object()["signature"] = base64(Bytes(65)); },
         field("signedPreKey.signature")},
        {"key id 0", [](auto& b) { b["signedPreKey"].get_object()["keyId"] = 0; },
         field("signedPreKey.keyId")},
        {"key id 2^32", [](auto& b) { element(b, "oneTimePreKeys", 2)["keyId"] = 4294967296; },
         field("oneTimePreKeys[2].keyId")},
        {"key id as text", [](auto& b) { element(b, "oneTimePreKeys", 0)["keyId"] = "1"; },
         field("oneTimePreKeys[0].keyId")},
        {"no key id", [](auto& b) { element(b, "oneTimePreKeys", 0).erase("keyId"); },
         field("oneTimePreKeys[0].keyId")},
        {"no public key", [](auto& b) { element(b, "oneTimePreKeys", 0).erase("publicKey"); },
         field("oneTimePreKeys[0].publicKey")},
        {"one id twice", [](auto& b) { element(b, "oneTimePreKeys", 2)["keyId"] = 1; },
         field("oneTimePreKeys")},
        {"keys are an object", [](auto& b) { b["oneTimePreKeys"] = json::Object(); },
         field("oneTimePreKeys")},
        {"a key is a number", [](auto& b) { b["oneTimePreKeys"].get_array()[1] = 5; },
         field("oneTimePreKeys[1]")},
        {"a key is null", [](auto& b) { b["oneTimePreKeys"].get_array()[1] = nullptr; },
         field("oneTimePreKeys[1]")},
        {"unknown mode", [](auto& b) { b["mode"] = "MERGE"; }, field("mode")},
        {"mode of a wrong type", [](auto& b) { b["mode"] = true; }, field("mode")},
    };
    for (const BadBody& bad : cases) {
        json::Object body = full_body(Suite::x3dh_ed25519);
        bad.change(body);
        EXPECT_EQ(read(body), bad.outcome) << bad.what;
    }
}

TEST(Uploads, AcceptedSpellings) {
    json::Object body = full_body(Suite::x3dh_ed25519);
    body.erase("suite");
    body.erase("mode");
    body.erase("identityDhKeySignature");
    body["oneTimePreKeys"] = nullptr;
    body["future"] = "unknown members are ignored";
    body["identityDhKey"] = base64url(TestDevice("alice:1").identity().dh_key);
    body["signedPreKey"].get_object()["keyId"] = 4294967295;
    const auto read = read_registration(json::Reader(body), kTestNow, kSkew);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->identity.suite, Suite::x3dh_ed25519);
    EXPECT_EQ(read->identity.dh_signature, std::nullopt);
    EXPECT_EQ(read->mode, UploadMode::merge);
    EXPECT_TRUE(read->batch.one_time.empty());
    EXPECT_EQ(read->signed_prekey.id, kKeyIdMax);
}

TEST(Uploads, AtMostAHundredKeysPerList) {
    json::Object body = full_body(Suite::x3dh_ed25519, 101);
    EXPECT_EQ(read(body), field("oneTimePreKeys"));
    body = full_body(Suite::pqxdh_ed25519, 1);
    const json::Value key = body["kemOneTimePreKeys"].get_array()[0];
    body["kemOneTimePreKeys"].get_array().resize(101, key);
    EXPECT_EQ(read(body), field("kemOneTimePreKeys"));
    body["kemOneTimePreKeys"].get_array().resize(2, key);
    EXPECT_EQ(read(body), field("kemOneTimePreKeys")) << "one id twice";
}

TEST(Uploads, KemKeysAreCheckedAsTheirLabelSays) {
    json::Object body = full_body(Suite::pqxdh_ed25519);
    const auto with = [&](std::string_view alg, std::string_view key) {
        json::Object changed = body;
        json::Object& last = changed["kemLastResortPreKey"].get_object();
        last["alg"] = alg;
        last["publicKey"] = key;
        return read(changed);
    };
    const std::string bad = R"(SHADE_BAD_KEM_KEY {"keyIds":[900]})";
    EXPECT_EQ(with("ml-kem-768", crypto::kNobleMlKem768), "ok");
    EXPECT_EQ(with("ml-kem-1024", crypto::kNobleMlKem1024), "ok");
    // Round-3 Kyber packs keys like ML-KEM: only the label tells them apart.
    EXPECT_EQ(with("kyber1024", crypto::kNobleMlKem1024), "ok");
    EXPECT_EQ(with("ml-kem-1024", crypto::kNobleMlKem768), bad);
    EXPECT_EQ(with("ml-kem-768", crypto::kNobleMlKem1024), bad);
    EXPECT_EQ(with("kyber1024", crypto::kLibsignalKyber1024), bad) << "no type byte here";
    EXPECT_EQ(with("ml-kem-512", crypto::kNobleMlKem768), field("kemLastResortPreKey.alg"));
    EXPECT_EQ(with("", crypto::kNobleMlKem768), field("kemLastResortPreKey.alg"));
    Bytes over = base64_decode(crypto::kNobleMlKem768).value();
    over[0] = 0xff;
    over[1] = 0xff;  // a coefficient of 0xfff is above 3328
    EXPECT_EQ(with("ml-kem-768", base64(over)), bad);
    element(body, "kemOneTimePreKeys", 1)["publicKey"] = base64(over);
    EXPECT_EQ(read(body), R"(SHADE_BAD_KEM_KEY {"keyIds":[2]})");
    body = full_body(Suite::pqxdh_ed25519);
    body["kemLastResortPreKey"].get_object().erase("alg");
    EXPECT_EQ(read(body), field("kemLastResortPreKey.alg"));
}

TEST(Uploads, LibsignalKemKeysNeedNoLabelButATypeByte) {
    json::Object body = full_body(Suite::pqxdh_xeddsa);
    json::Object& last = body["kemLastResortPreKey"].get_object();
    last.erase("alg");
    const auto read_back = read_registration(json::Reader(body), kTestNow, kSkew);
    ASSERT_TRUE(read_back);
    EXPECT_EQ(read_back->last_resort->algorithm, "kyber1024");
    last["publicKey"] = crypto::kNobleMlKem1024;
    EXPECT_EQ(read(body), R"(SHADE_BAD_KEM_KEY {"keyIds":[900]})");
    Bytes typed = base64_decode(crypto::kNobleMlKem1024).value();
    typed.insert(typed.begin(), 0x0a);
    last["publicKey"] = base64(typed);
    EXPECT_EQ(read(body), R"(SHADE_BAD_KEM_KEY {"keyIds":[900]})") << "not a Kyber key";
    last["alg"] = "ml-kem-1024";
    EXPECT_EQ(read(body), "ok");
    last["alg"] = "ml-kem-768";
    last["publicKey"] = crypto::kNobleMlKem768;
    EXPECT_EQ(read(body), R"(SHADE_BAD_KEM_KEY {"keyIds":[900]})");
}

TEST(Uploads, OtherBodies) {
    const TestDevice device("alice:1", Suite::pqxdh_ed25519);
    const UploadContext context{Suite::pqxdh_ed25519, kTestNow, kSkew};
    json::Object body{{"address", "alice:1"}};
    const auto empty = read_replenishment(json::Reader(body), context);
    ASSERT_TRUE(empty) << empty.error().message;
    EXPECT_FALSE(empty->last_resort);
    body["oneTimePreKeys"] = json::Array{to_json(device.one_time(5))};
    body["kemLastResortPreKey"] = to_json(device.kem(6));
    const auto replenishment = read_replenishment(json::Reader(body), context);
    ASSERT_TRUE(replenishment);
    EXPECT_EQ(replenishment->batch.one_time.at(0).id, 5);
    EXPECT_EQ(replenishment->last_resort->id, 6);

    EXPECT_EQ(public_outcome(read_signed_prekey_rotation(json::Reader(body), context)),
              field("signedPreKey"));
    body["signedPreKey"] = to_json(device.signed_prekey(2));
    const auto rotation = read_signed_prekey_rotation(json::Reader(body), context);
    ASSERT_TRUE(rotation);
    EXPECT_EQ(rotation->signed_prekey.id, 2);
    EXPECT_EQ(rotation->last_resort->id, 6);

    const TestDevice next("alice:1", Suite::pqxdh_ed25519, 2);
    const json::Object keys = register_body(next.registration());
    EXPECT_EQ(public_outcome(read_identity_rotation(json::Reader(body), context)),
              field("newIdentity"));
    body["newIdentity"] = json::Object{{"identitySigningKey", keys.at("identitySigningKey")}};
    EXPECT_EQ(public_outcome(read_identity_rotation(json::Reader(body), context)),
              field("newIdentity.identityDhKey"));
    body["newIdentity"].get_object()["identityDhKey"] = keys.at("identityDhKey");
    EXPECT_EQ(public_outcome(read_identity_rotation(json::Reader(body), context)), field("proof"));
    body["proof"] = base64(Bytes(64, 1));
    const auto identity = read_identity_rotation(json::Reader(body), context);
    ASSERT_TRUE(identity);
    EXPECT_EQ(identity->next.identity.signing_key, next.identity().signing_key);
    EXPECT_EQ(identity->next.mode, UploadMode::replace);
    EXPECT_EQ(identity->next.registration_id, std::nullopt);
    EXPECT_EQ(identity->proof, Bytes(64, 1));
    body.erase("kemLastResortPreKey");
    EXPECT_EQ(public_outcome(read_identity_rotation(json::Reader(body), context)),
              field("kemLastResortPreKey"));
}

}  // namespace
}  // namespace nave::prekeys
