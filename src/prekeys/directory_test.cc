// What the directory checks, in which order, and what it tells.
#include "prekeys/directory.h"

#include "crypto/hash.h"
#include "prekeys/signatures.h"
#include "prekeys/test_directory.h"

#include <gtest/gtest.h>

namespace nave::prekeys {
namespace {

using namespace std::chrono_literals;

class DirectoryRules : public DirectoryTest {
  protected:
    std::string enrol_with(const Registration& upload, std::optional<RequestProof> proof,
                           const std::string& client = "198.51.100.1") {
        return outcome_id(run(directory().enrol(upload, std::move(proof), Caller{client})));
    }
    TestDevice alice_{"alice:1", Suite::pqxdh_ed25519};
    TestDevice stranger_{"alice:1", Suite::pqxdh_ed25519, 2};
};

// Each case fails every check that comes after the one it is named for.
TEST_F(DirectoryRules, ChecksOfARegistrationComeInTheContractsOrder) {
    ASSERT_TRUE(enrol(alice_));
    Registration upload = stranger_.registration();
    upload.signed_prekey.signature[0] ^= 1;
    EXPECT_EQ(enrol_with(upload, std::nullopt, "a"), "SHADE_UNAUTHORIZED");
    RequestProof proof = stranger_.header_proof(kTestNow - 300'001);
    proof.signature[0] ^= 1;
    proof.address = Address::parse("other").value();
    EXPECT_EQ(enrol_with(upload, proof, "b"), "SHADE_TIMESTAMP_SKEW");
    proof.signed_at = kTestNow - 300'000;
    EXPECT_EQ(enrol_with(upload, proof, "c"), "SHADE_FORBIDDEN");
    proof.address = alice_.address();
    Registration weak = upload;
    weak.identity.signing_key = Bytes(32);
    EXPECT_EQ(enrol_with(weak, proof, "d"), "SHADE_WEAK_KEY");
    EXPECT_EQ(enrol_with(upload, proof, "e"), "SHADE_BAD_REQUEST_SIGNATURE");
    proof.signature[0] ^= 1;
    EXPECT_EQ(enrol_with(upload, proof, "f"), "SHADE_INVALID_SIGNATURE");
    EXPECT_EQ(enrol_with(stranger_.registration(), proof, "g"), "SHADE_IDENTITY_CONFLICT");
    EXPECT_EQ(events_.take(), "auth_failed auth_failed auth_failed identity_conflict");
    for (int i = 0; i < 5; ++i) {
        static_cast<void>(enrol_with(upload, std::nullopt, "h"));
    }
    EXPECT_EQ(enrol_with(upload, std::nullopt, "h"), "SHADE_RATE_LIMITED")
        << "the address limit is before everything";
}

TEST_F(DirectoryRules, SkewDetailsCarryTheServersTime) {
    const auto outcome = run(directory().authenticate(
        alice_.address(), alice_.body_proof(kTestNow + 300'001), Caller{"c"}));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().details_json, R"({"serverTime":1700000000000})");
    EXPECT_EQ(events_.last(EventType::auth_failed).limit, "SHADE_TIMESTAMP_SKEW");
}

TEST_F(DirectoryRules, AuthenticationOfAKnownIdentity) {
    const auto outcome = [&](std::optional<RequestProof> proof) {
        return outcome_id(
            run(directory().authenticate(alice_.address(), std::move(proof), Caller{"client"})));
    };
    EXPECT_EQ(outcome(std::nullopt), "SHADE_UNAUTHORIZED");
    EXPECT_EQ(outcome(alice_.header_proof()), "SHADE_NOT_FOUND");
    ASSERT_TRUE(enrol(alice_));
    EXPECT_EQ(outcome(stranger_.header_proof()), "SHADE_BAD_REQUEST_SIGNATURE");
    EXPECT_EQ(events_.last(EventType::auth_failed).limit, "SHADE_BAD_REQUEST_SIGNATURE");
    EXPECT_EQ(events_.last(EventType::auth_failed).address, alice_.address());
    RequestProof elsewhere = alice_.header_proof();
    elsewhere.address = Address::parse("bob:1").value();
    EXPECT_EQ(outcome(elsewhere), "SHADE_FORBIDDEN");
    const RequestProof proof = alice_.header_proof();
    const auto signer = run(directory().authenticate(alice_.address(), proof, Caller{"client"}));
    ASSERT_TRUE(signer);
    EXPECT_TRUE(signer->identity.keys.same_keys(alice_.identity()));
    EXPECT_EQ(signer->proof.signing_key, alice_.identity().signing_key);
    EXPECT_EQ(signer->proof.signed_at, proof.signed_at);
    EXPECT_EQ(signer->proof.replay_hashes, replay_hashes(proof));
}

TEST_F(DirectoryRules, RegistrationIsToldOnce) {
    ASSERT_TRUE(register_as(alice_, {.one_time = 3, .kem_one_time = 2}, "client"));
    const Event event = events_.last(EventType::registered);
    EXPECT_EQ(event.at, kTestNow);
    EXPECT_EQ(event.address, alice_.address());
    EXPECT_EQ(event.suite, Suite::pqxdh_ed25519);
    EXPECT_EQ(event.remaining->one_time, 3);
    EXPECT_EQ(event.remaining->kem_one_time, 2);
    EXPECT_EQ(event.count, 3);
    EXPECT_EQ(event.client_key, "client");
    EXPECT_EQ(events_.take(), "registered");
    const TestDevice second("alice:2", Suite::pqxdh_ed25519);
    ASSERT_TRUE(register_as(second));
    EXPECT_EQ(events_.take(), "registered identity_key_reused");
}

TEST_F(DirectoryRules, ASignedRequestWorksOnce) {
    const RequestProof proof = alice_.header_proof();
    EXPECT_EQ(enrol_with(alice_.registration(), proof), "ok");
    EXPECT_EQ(enrol_with(alice_.registration(), proof), "SHADE_REPLAY");
    EXPECT_EQ(events_.last(EventType::replay_rejected).address, alice_.address());
    // The same nonce under another signature is the same request.
    RequestProof renewed = alice_.header_proof(kTestNow + 1);
    renewed.nonce = proof.nonce;
    EXPECT_EQ(outcome_id(run(directory().count(alice_.address(), renewed, Caller{"c"}))),
              "SHADE_REPLAY");
    // One proof, two ways to use it.
    const RequestProof counting = alice_.header_proof();
    EXPECT_EQ(outcome_id(run(directory().accept(alice_.address(), counting, Caller{"c"}))), "ok");
    EXPECT_EQ(outcome_id(run(directory().count(alice_.address(), counting, Caller{"c"}))),
              "SHADE_REPLAY");
    EXPECT_EQ(events_.count(EventType::replay_rejected), 3U);
}

// A request that a narrow window had shut out, and that the server could have forgotten.
TEST_F(DirectoryRules, AWiderWindowAcceptsNoOldRequestAgain) {
    ASSERT_TRUE(enrol(alice_));
    config_.skew_ms = 10'000;
    const RequestProof proof = alice_.header_proof();
    const auto count = [&] {
        return outcome_id(run(directory().count(alice_.address(), proof, Caller{"c"})));
    };
    EXPECT_EQ(count(), "ok");
    clock_.advance(59min);
    ASSERT_TRUE(run(store().forget_expired(clock_.now())));
    EXPECT_EQ(count(), "SHADE_TIMESTAMP_SKEW");
    config_.skew_ms = 3'600'000;
    restart();
    EXPECT_EQ(count(), "SHADE_REPLAY");
}

TEST_F(DirectoryRules, EventsOfADrainingStock) {
    config_.store.low_threshold = 3;
    config_.limits.enabled = false;
    restart();
    ASSERT_TRUE(enrol(alice_, {.one_time = 4, .kem_one_time = 4}));
    EXPECT_EQ(fetch(alice_.address()), "issued");
    EXPECT_EQ(events_.take(), "fetched");
    EXPECT_EQ(fetch(alice_.address()), "issued");
    EXPECT_EQ(events_.last(EventType::prekeys_low).remaining->one_time, 2);
    EXPECT_EQ(events_.take(), "fetched prekeys_low");
    EXPECT_EQ(fetch(alice_.address()), "issued");
    EXPECT_EQ(events_.take(), "fetched");
    clock_.advance(90s);
    EXPECT_EQ(fetch(alice_.address(), "client"), "issued");
    const Event fetched = events_.last(EventType::fetched);
    EXPECT_EQ(fetched.one_time, OneTimeStatus::issued);
    EXPECT_EQ(fetched.kem, KemStatus::one_time);
    EXPECT_EQ(fetched.suite, Suite::pqxdh_ed25519);
    EXPECT_EQ(fetched.signed_prekey_age_ms, 90'000);
    EXPECT_EQ(fetched.client_key, "client");
    EXPECT_EQ(events_.take(), "fetched prekeys_exhausted");
    EXPECT_EQ(fetch(alice_.address()), "exhausted");
    EXPECT_EQ(events_.last(EventType::last_resort_used).kem, KemStatus::last_resort);
    EXPECT_EQ(events_.take(), "fetched last_resort_used");
    EXPECT_EQ(fetch(alice_.address()), "exhausted");
    EXPECT_EQ(events_.take(), "fetched");
    EXPECT_EQ(fetch(Address::parse("nobody").value()), "absent");
    EXPECT_EQ(events_.take(), "");
    ASSERT_TRUE(replenish_as(alice_, {.one_time = 2, .kem_one_time = 1, .first_id = 50}));
    EXPECT_EQ(events_.last(EventType::replenished).count, 3);
    EXPECT_EQ(events_.take(), "replenished");
}

// Either kind of one-time key may run out first.
TEST_F(DirectoryRules, EventsOfADrainingKemStock) {
    config_.store.low_threshold = 2;
    config_.limits.enabled = false;
    restart();
    ASSERT_TRUE(enrol(alice_, {.one_time = 9, .kem_one_time = 3}));
    std::vector<std::string> heard;
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(fetch(alice_.address()), "issued");
        heard.push_back(events_.take());
    }
    EXPECT_EQ(heard,
              (std::vector<std::string>{"fetched", "fetched prekeys_low",
                                        "fetched prekeys_exhausted", "fetched last_resort_used"}));
    // One kind runs out while the other only becomes low.
    TestDevice uneven("uneven:1", Suite::pqxdh_ed25519, 4);
    ASSERT_TRUE(enrol(uneven, {.one_time = 2, .kem_one_time = 1}));
    EXPECT_EQ(fetch(uneven.address()), "issued");
    EXPECT_EQ(events_.take(), "fetched prekeys_low prekeys_exhausted");
    // Both in one fetch are one event.
    TestDevice even("even:1", Suite::pqxdh_xeddsa, 3);
    ASSERT_TRUE(enrol(even, {.one_time = 2, .kem_one_time = 2}));
    EXPECT_EQ(fetch(even.address()), "issued");
    EXPECT_EQ(events_.take(), "fetched prekeys_low");
    EXPECT_EQ(fetch(even.address()), "issued");
    EXPECT_EQ(events_.take(), "fetched prekeys_exhausted");
}

TEST_F(DirectoryRules, ARepeatedClaimIsNoFetch) {
    ASSERT_TRUE(enrol(alice_, {.one_time = 2, .kem_one_time = 2}));
    const std::vector<ClaimItem> items{{alice_.address(), Bytes(16, 1)}};
    const auto first = claim_as(items, "a");
    const auto again = claim_as(items, "b");
    ASSERT_TRUE(first && again);
    EXPECT_EQ(first->front()->json, again->front()->json);
    EXPECT_EQ(events_.take(), "fetched prekeys_low");
    // A claim id belongs to its target, also where one identity has two addresses.
    TestDevice second("alice:2", Suite::pqxdh_ed25519);
    ASSERT_TRUE(enrol(second, {.one_time = 1}));
    const auto other = claim_as({{second.address(), Bytes(16, 1)}}, "a");
    ASSERT_TRUE(other);
    EXPECT_FALSE(other->front()->repeated);
}

TEST_F(DirectoryRules, IdentifiedCallersSignWithHeadersAndAreRegistered) {
    ASSERT_TRUE(enrol(alice_, {.one_time = 2}));
    const TestDevice bob("bob:1", Suite::x3dh_xeddsa, 3);
    const std::vector<ClaimItem> items{{alice_.address(), std::nullopt}};
    EXPECT_EQ(outcome_id(run(directory().claim(items, bob.body_proof(), Caller{"c"}))),
              "SHADE_UNAUTHORIZED");
    EXPECT_EQ(fetch(alice_.address(), "c", &bob), "SHADE_UNAUTHORIZED") << "not registered";
    ASSERT_TRUE(register_as(bob));
    const RequestProof proof = bob.header_proof();
    EXPECT_EQ(outcome_id(run(directory().claim(items, proof, Caller{"c"}))), "ok");
    EXPECT_EQ(outcome_id(run(directory().claim(items, proof, Caller{"c"}))), "SHADE_REPLAY");
    EXPECT_EQ(run(store().profile(alice_.address())).value()->stock.one_time, 1);
}

TEST_F(DirectoryRules, UploadsWithWrongSignaturesStoreNothing) {
    ASSERT_TRUE(enrol(alice_));
    Replenishment upload = alice_.replenishment({.one_time = 1, .kem_one_time = 2});
    upload.last_resort = alice_.kem(901);
    upload.last_resort->signature[0] ^= 1;
    upload.batch.kem_one_time[1].signature[0] ^= 1;
    const auto refused =
        run(directory().replenish(upload, authenticate(alice_).value(), Caller{"c"}));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().id, "SHADE_INVALID_SIGNATURE");
    EXPECT_EQ(refused.error().details_json, R"({"keyIds":[2,901]})");
    EXPECT_EQ(rows("one_time_prekeys"), 0);
    SignedPreKeyRotation rotation{alice_.address(), stranger_.signed_prekey(2), std::nullopt};
    EXPECT_EQ(outcome_id(run(directory().rotate_signed_prekey(
                  rotation, authenticate(alice_).value(), Caller{"c"}))),
              "SHADE_INVALID_SIGNATURE");
    clock_.advance(1s);
    rotation.signed_prekey = alice_.signed_prekey(2);
    rotation.last_resort = alice_.kem(901);
    EXPECT_EQ(outcome_id(run(directory().rotate_signed_prekey(
                  rotation, authenticate(alice_).value(), Caller{"c"}))),
              "ok");
    EXPECT_EQ(events_.take(), "signed_prekey_rotated");
}

TEST_F(DirectoryRules, RotatingTheIdentityNeedsBothKeys) {
    ASSERT_TRUE(enrol(alice_));
    clock_.advance(1s);
    const auto rotate = [&](Registration next, const Bytes& proof) {
        auto signer = authenticate(alice_).value();
        return run(
            directory().rotate_identity({std::move(next), proof}, std::move(signer), Caller{"c"}));
    };
    const Bytes message = identity_rotation_message(alice_.address(), alice_.identity().signing_key,
                                                    stranger_.identity().signing_key, clock_.now());
    const auto unproved = rotate(stranger_.registration(), alice_.sign(message));
    ASSERT_FALSE(unproved);
    EXPECT_EQ(unproved.error().id, "SHADE_INVALID_SIGNATURE");
    EXPECT_EQ(unproved.error().details_json, R"({"keyIds":["proof"]})");
    EXPECT_EQ(outcome_id(rotate(alice_.registration(), alice_.sign(message))), "SHADE_VALIDATION")
        << "rotating to the stored key";
    Registration badly_signed = stranger_.registration();
    badly_signed.last_resort->signature[0] ^= 1;
    EXPECT_EQ(outcome_id(rotate(badly_signed, stranger_.sign(message))), "SHADE_INVALID_SIGNATURE");
    EXPECT_EQ(events_.take(), "");
    EXPECT_EQ(outcome_id(rotate(stranger_.registration(), stranger_.sign(message))), "ok");
    EXPECT_EQ(events_.take(), "identity_rotated");
    EXPECT_TRUE(
        run(store().identity(alice_.address())).value()->keys.same_keys(stranger_.identity()));
}

TEST_F(DirectoryRules, RemovingIsTold) {
    ASSERT_TRUE(enrol(alice_));
    EXPECT_TRUE(
        run(directory().remove(alice_.address(), authenticate(alice_).value(), Caller{"c"})));
    EXPECT_EQ(events_.take(), "deleted");
    EXPECT_EQ(outcome_id(authenticate(alice_)), "SHADE_NOT_FOUND");
}

TEST_F(DirectoryRules, CountIsForTheOwnerUnlessItIsPublic) {
    ASSERT_TRUE(enrol(alice_, {.one_time = 2}));
    const auto count = [&](std::optional<RequestProof> proof) {
        return outcome_id(
            run(directory().count(alice_.address(), std::move(proof), Caller{"client"})));
    };
    EXPECT_EQ(count(std::nullopt), "SHADE_UNAUTHORIZED");
    EXPECT_EQ(count(stranger_.header_proof()), "SHADE_BAD_REQUEST_SIGNATURE");
    EXPECT_EQ(count(alice_.header_proof()), "ok");
    config_.public_count = true;
    EXPECT_EQ(count(std::nullopt), "ok");
    EXPECT_EQ(count(stranger_.header_proof()), "SHADE_BAD_REQUEST_SIGNATURE")
        << "a signature that is there must be right";
}

TEST_F(DirectoryRules, CheckComparesWhatTheClientHashed) {
    ASSERT_TRUE(enrol(alice_));
    Bytes state = alice_.identity().signing_key;
    append(state, alice_.identity().dh_key);
    append_be(state, std::uint64_t{1});
    append(state, alice_.signed_prekey(1).public_key);
    append_be(state, std::uint64_t{900});
    append(state, alice_.kem(900).public_key);
    Bytes digest = to_bytes(crypto::sha256(state));
    EXPECT_EQ(
        outcome_id(run(directory().check(alice_.address(), digest, std::nullopt, Caller{"c"}))),
        "ok");
    digest[0] ^= 1;
    EXPECT_EQ(
        outcome_id(run(directory().check(alice_.address(), digest, std::nullopt, Caller{"c"}))),
        "SHADE_DIGEST_MISMATCH");
    EXPECT_EQ(outcome_id(run(directory().check(Address::parse("nobody").value(), digest,
                                               std::nullopt, Caller{"c"}))),
              "SHADE_NOT_FOUND");
}

TEST_F(DirectoryRules, ReadersMaySayWhoTheyAre) {
    const TestDevice bob("bob:1", Suite::x3dh_xeddsa, 3);
    ASSERT_TRUE(enrol(alice_, {.one_time = 1}));
    const auto profile = [&](std::optional<RequestProof> proof) {
        return outcome_id(
            run(directory().profile(alice_.address(), std::move(proof), Caller{"c"})));
    };
    EXPECT_EQ(profile(bob.header_proof()), "SHADE_UNAUTHORIZED");
    ASSERT_TRUE(register_as(bob));
    const RequestProof proof = bob.header_proof();
    EXPECT_EQ(profile(proof), "ok");
    EXPECT_EQ(profile(proof), "SHADE_REPLAY");
    EXPECT_EQ(profile(bob.body_proof()), "SHADE_UNAUTHORIZED") << "which names no signer";
    EXPECT_TRUE(run(directory().exists(alice_.address(), bob.header_proof(), Caller{"c"})).value());
    EXPECT_FALSE(
        run(directory().exists(Address::parse("nobody").value(), std::nullopt, Caller{"c"}))
            .value());
    EXPECT_EQ(run(store().profile(alice_.address())).value()->stock.one_time, 1);
}

}  // namespace
}  // namespace nave::prekeys
