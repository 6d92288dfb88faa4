#include "prekeys/kt/proof.h"

#include "base/encoding.h"
#include "prekeys/kt/test_log.h"

#include <gtest/gtest.h>

namespace nave::prekeys::kt {
namespace {

std::string history_problem(std::string_view text) {
    const auto proof = parse_history(text);
    return proof ? "" : proof.error().id;
}

HistoryProof sample() {
    TestLog log;
    log.add_noise(3);
    auto identity = test_identity("alice:1", 1);
    log.add(EventKind::register_identity, identity);
    identity.signed_prekey_digest = signed_prekey_digest(1, 2, Bytes(32, 3));
    identity.dh_key_signature = Bytes(64, 4);
    log.add(EventKind::rotate_signed_prekey, identity);
    CommittedIdentity one_key;
    one_key.address = "alice:1";
    one_key.suite = "pqxdh-xeddsa";
    one_key.identity_key = Bytes(33, 5);
    log.add(EventKind::rotate_identity, one_key);
    return log.history("alice:1", 2);
}

// The bundle around a "kt" member.
json::Object bundle_around(const BundleProof& proof) {
    const CommittedIdentity& identity = proof.leaf.opened->identity;
    json::Object bundle;
    bundle["address"] = identity.address;
    bundle["suite"] = identity.suite;
    bundle["identitySigningKey"] = base64(identity.identity_key);
    bundle["identityDhKey"] = base64(identity.dh_key);
    bundle["identityDhKeySignature"] = nullptr;
    bundle["kt"] = to_json(proof);
    return bundle;
}

TEST(Proof, HistoryRoundTrips) {
    HistoryProof proof = sample();
    EXPECT_EQ(parse_history(json::text(to_json(proof))).value(), proof);
    proof.leaves[0].opened.reset();
    proof.consistency.reset();
    EXPECT_EQ(parse_history(json::text(to_json(proof))).value(), proof);
}

TEST(Proof, UnknownMembersAreIgnored) {
    json::Object object = to_json(sample());
    object["later"] = json::Object{{"x", 1}};
    EXPECT_EQ(history_problem(json::text(object)), "");
}

TEST(Proof, EveryMemberIsRequiredInItsForm) {
    const json::Object good = to_json(sample());
    for (const std::string_view name :
         {"address", "vrfProof", "leaves", "checkpoint", "since", "consistency"}) {
        json::Object without = good;
        without.erase(name);
        EXPECT_EQ(history_problem(json::text(without)), "kt.document") << "without " << name;
        json::Object wrong = good;
        wrong[name] = true;
        EXPECT_EQ(history_problem(json::text(wrong)), "kt.document") << "wrong " << name;
    }
    for (const std::string_view name : {"leafIndex", "leaf", "inclusion"}) {
        json::Object bad = good;
        bad["leaves"].as_array()[1].as_object().erase(name);
        EXPECT_EQ(history_problem(json::text(bad)), "kt.document") << "without " << name;
    }
    for (const std::string_view name : {"salt", "suite", "identitySigningKey", "identityDhKey"}) {
        json::Object bad = good;
        bad["leaves"].as_array()[0].as_object()["opening"].as_object().erase(name);
        EXPECT_EQ(history_problem(json::text(bad)), "kt.document") << "without " << name;
    }
}

TEST(Proof, ValuesOutOfRangeAreRefused) {
    const json::Object good = to_json(sample());
    const auto changed = [&](auto change) {
        json::Object bad = good;
        change(bad);
        return history_problem(json::text(bad));
    };
    EXPECT_EQ(changed([](auto& o) { o["since"] = -1; }), "kt.document");
    EXPECT_EQ(changed([](auto& o) { o["leaves"] = json::Array(); }), "kt.document");
    EXPECT_EQ(changed([](auto& o) { o["leaves"].as_array()[0] = 1; }), "kt.document");
    EXPECT_EQ(changed([](auto& o) { o["vrfProof"] = base64(Bytes(79)); }), "kt.document");
    EXPECT_EQ(changed([](auto& o) { o["vrfProof"] = "***"; }), "kt.document");
    EXPECT_EQ(changed([](auto& o) { o["consistency"].as_array()[0] = base64(Bytes(31)); }),
              "kt.document");
    EXPECT_EQ(changed([](auto& o) { o["consistency"].as_array()[0] = 7; }), "kt.document");
    EXPECT_EQ(changed([](auto& o) {
                  o["consistency"].as_array().resize(65, json::Value(base64(Bytes(32))));
              }),
              "kt.document");
    EXPECT_EQ(changed([](auto& o) { o["leaves"].as_array()[0].as_object()["leafIndex"] = -1; }),
              "kt.document");
    EXPECT_EQ(changed([](auto& o) { o["leaves"].as_array()[0].as_object()["opening"] = 1; }),
              "kt.document");
}

TEST(Proof, MalformedTextIsRefused) {
    EXPECT_EQ(history_problem(""), "json.incomplete");
    EXPECT_EQ(history_problem("[]"), "kt.document");
    EXPECT_EQ(history_problem("null"), "kt.document");
    EXPECT_EQ(history_problem("{}"), "kt.document");
    const std::string huge(kProofBytesMax + 1, ' ');
    EXPECT_EQ(parse_history(huge).error().code, Code::too_large);
    EXPECT_EQ(parse_bundle(huge).error().code, Code::too_large);
    EXPECT_EQ(parse_bundle("{}").error().id, "kt.document");
    EXPECT_EQ(parse_bundle(R"({"kt":null})").error().id, "kt.document");
}

TEST(Proof, BundleRoundTrips) {
    TestLog log;
    log.add_noise(2);
    log.add(EventKind::register_identity, test_identity("alice:1", 1));
    const BundleProof proof = log.bundle("alice:1");
    EXPECT_EQ(parse_bundle(json::text(bundle_around(proof))).value(), proof);
}

TEST(Proof, BundleDigestMustBeThatOfItsPrekey) {
    TestLog log;
    auto identity = test_identity("alice:1", 1);
    const Bytes prekey(32, 7);
    identity.signed_prekey_digest = signed_prekey_digest(4, 1000, prekey);
    log.add(EventKind::register_identity, identity);
    const BundleProof proof = log.bundle("alice:1");
    json::Object bundle = bundle_around(proof);
    EXPECT_EQ(parse_bundle(json::text(bundle)).error().id, "kt.document") << "no signedPreKey";
    bundle["signedPreKey"] = json::Object{
        {"keyId", 4}, {"createdAt", 1000}, {"publicKey", base64(prekey)}, {"signature", "AA=="}};
    EXPECT_EQ(parse_bundle(json::text(bundle)).value(), proof);
    bundle["signedPreKey"].as_object()["keyId"] = 5;
    EXPECT_EQ(parse_bundle(json::text(bundle)).error().id, "kt.document");
    bundle["signedPreKey"].as_object()["keyId"] = std::int64_t{4} + (std::int64_t{1} << 32);
    EXPECT_EQ(parse_bundle(json::text(bundle)).error().id, "kt.document");
}

}  // namespace
}  // namespace nave::prekeys::kt
