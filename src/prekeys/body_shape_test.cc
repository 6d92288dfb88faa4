#include "prekeys/body_shape.h"

#include "base/json.h"

#include <gtest/gtest.h>

#include <string>

namespace nave::prekeys {
namespace {

std::string refused_field(std::string_view text, BodyUse use,
                          RequestProof::Scheme scheme = RequestProof::Scheme::body) {
    const json::Value body = json::parse(text).value();
    RequestProof proof;
    proof.scheme = scheme;
    const auto checked = check_shape(proof, body.get_object(), use);
    if (checked) {
        return "";
    }
    const json::Value details = json::parse(checked.error().details_json).value();
    return std::string(details.get_object().at("field").get_string());
}

TEST(BodyShape, ADeletionHoldsNothingElse) {
    EXPECT_EQ(refused_field(R"({"address":"a","signedAt":1,"signature":"x"})", BodyUse::remove),
              "");
    EXPECT_EQ(refused_field(R"({"address":"a","oneTimePreKeys":[]})", BodyUse::remove),
              "oneTimePreKeys");
    EXPECT_EQ(refused_field(R"({"address":"a","Signature":null})", BodyUse::remove), "Signature");
}

TEST(BodyShape, AReplenishmentHoldsKeysAndNoSignedPreKey) {
    EXPECT_EQ(refused_field(R"({"address":"a"})", BodyUse::replenish), "oneTimePreKeys");
    EXPECT_EQ(refused_field(R"({"address":"a","oneTimePreKeys":null})", BodyUse::replenish),
              "oneTimePreKeys");
    for (const char* member :
         {R"("oneTimePreKeys":[])", R"("kemOneTimePreKeys":[])", R"("kemLastResortPreKey":{})"}) {
        EXPECT_EQ(refused_field(std::string("{") + member + "}", BodyUse::replenish), "") << member;
    }
    EXPECT_EQ(refused_field(R"({"oneTimePreKeys":[],"signedPreKey":{}})", BodyUse::replenish),
              "signedPreKey");
}

TEST(BodyShape, IdentitiesTellTheOtherUploadsApart) {
    EXPECT_EQ(refused_field(R"({"identityKey":"","signedPreKey":{}})", BodyUse::enrol), "");
    EXPECT_EQ(refused_field(R"({"identityKey":"","newIdentity":{}})", BodyUse::enrol),
              "newIdentity");
    EXPECT_EQ(refused_field(R"({"identityKey":""})", BodyUse::rotate_signed_prekey), "identityKey");
    EXPECT_EQ(refused_field(R"({"identitySigningKey":""})", BodyUse::rotate_signed_prekey),
              "identitySigningKey");
    EXPECT_EQ(refused_field(R"({"newIdentity":{}})", BodyUse::rotate_signed_prekey), "newIdentity");
    EXPECT_EQ(refused_field(R"({"newIdentity":{},"proof":""})", BodyUse::rotate_identity), "");
}

TEST(BodyShape, SchemeBBindsThePathAndIsFree) {
    EXPECT_EQ(refused_field(R"({"address":"a","note":1})", BodyUse::remove,
                            RequestProof::Scheme::headers),
              "");
    EXPECT_TRUE(check_shape(std::nullopt, json::Object(), BodyUse::replenish));
}

}  // namespace
}  // namespace nave::prekeys
