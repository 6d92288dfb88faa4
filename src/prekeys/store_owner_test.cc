// What an owner does beside uploading: rotate, remove, count.
#include "prekeys/test_store.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace nave::prekeys {
namespace {

class StoreOwner : public StoreTest {
  protected:
    Result<EnrolOutcome> rotate(const TestDevice& from, const TestDevice& to,
                                const TestUpload& what, UnixMillis at) {
        Registration next = to.registration(what);
        next.mode = UploadMode::replace;
        return run(store().rotate_identity(std::move(next), from.accepted(at), at, 1));
    }
    Result<RotationOutcome> rotate_prekey(const TestDevice& device, SignedPreKey key,
                                          std::optional<KemPreKey> last_resort, UnixMillis at) {
        return run(store().rotate_signed_prekey(
            {device.address(), std::move(key), std::move(last_resort)}, device.accepted(at), at));
    }
    static std::vector<KeyId> sorted(std::vector<KeyId> ids) {
        std::ranges::sort(ids);
        return ids;
    }
    Profile profile(const Address& address) {
        return run(store().profile(address)).value().value();
    }
};
PREKEYS_ON_EVERY_STORE(StoreOwner);

TEST_P(StoreOwner, RotatingTheIdentityStartsAfresh) {
    for (const Suite suite : {Suite::pqxdh_ed25519, Suite::pqxdh_xeddsa}) {
        const std::string name(suite_name(suite));
        TestDevice device(name, suite);
        TestDevice next(name, suite, 2);
        Registration first = device.registration({.one_time = 5, .kem_one_time = 5});
        first.registration_id = 77;
        ASSERT_TRUE(run(store().enrol(first, device.accepted(), kTestIndex, kTestNow, 1)));
        static_cast<void>(claim_ids(device.address(), 2));
        const auto rotated =
            rotate(device, next, {.one_time = 3, .signed_prekey_id = 1}, kTestNow + 1);
        ASSERT_TRUE(rotated) << rotated.error().detail;
        EXPECT_FALSE(rotated->created);
        EXPECT_EQ(rotated->upload.one_time.accepted, (std::vector<KeyId>{1, 2, 3}))
            << "key ids belong to an identity";
        EXPECT_EQ(rotated->upload.stock.one_time, 3);
        EXPECT_EQ(rotated->upload.stock.kem_one_time, 0) << "the former identity's keys are gone";
        const Profile now = profile(device.address());
        EXPECT_TRUE(now.keys.same_keys(next.identity()));
        EXPECT_EQ(now.keys.dh_signature, next.identity().dh_signature);
        EXPECT_EQ(now.registration_id, uses_xeddsa(suite) ? 4242 : 77);
        EXPECT_EQ(now.signed_prekey.public_key, next.signed_prekey(1).public_key);
        EXPECT_EQ(outcome_id(replenish(device, {.one_time = 1}, kTestNow + 2)),
                  "SHADE_BAD_REQUEST_SIGNATURE");
        EXPECT_EQ(outcome_id(enrol(device, {}, kTestNow + 2)), "SHADE_IDENTITY_CONFLICT");
        EXPECT_TRUE(replenish(next, {.one_time = 1, .first_id = 50}, kTestNow + 2));
    }
}

// A device that goes back to a key it had before does not know which of its ids were handed out
// under it; the directory does.
TEST_P(StoreOwner, AnIdentityThatReturnsNeverIssuesAnIdAgain) {
    for (const Suite suite : {Suite::x3dh_ed25519, Suite::pqxdh_xeddsa}) {
        const std::string name(suite_name(suite));
        TestDevice a(name, suite, 1);
        TestDevice b(name, suite, 2);
        const std::size_t kem = uses_kem(suite) ? 5 : 0;
        ASSERT_TRUE(enrol(a, {.one_time = 5, .kem_one_time = kem}));
        const auto by_a = claim_ids(a.address(), 2, kTestNow);
        ASSERT_TRUE(rotate(a, b, {.one_time = 5, .kem_one_time = kem}, kTestNow + 1));
        const auto by_b = claim_ids(a.address(), 3, kTestNow + 1);

        const auto back = rotate(b, a, {.one_time = 5, .kem_one_time = kem}, kTestNow + 2);
        ASSERT_TRUE(back) << back.error().detail;
        EXPECT_EQ(back->upload.one_time.consumed, sorted(by_a));
        EXPECT_EQ(back->upload.one_time.accepted.size(), 3U);
        EXPECT_EQ(back->upload.kem_one_time.consumed.size(), uses_kem(suite) ? 2U : 0U);
        EXPECT_EQ(back->upload.stock.one_time, 3);
        const auto again = claim_ids(a.address(), 4, kTestNow + 2);
        for (const KeyId id : by_a) {
            EXPECT_EQ(std::ranges::count(again, id), 0) << "handed out twice under one identity";
        }
        // The same for the other one, whose stock was dropped and whose issued ids were not.
        const auto once_more = rotate(a, b, {.one_time = 5}, kTestNow + 3);
        ASSERT_TRUE(once_more);
        EXPECT_EQ(once_more->upload.one_time.consumed, sorted(by_b));
        EXPECT_EQ(once_more->upload.one_time.accepted.size(), 2U) << "dropped, never handed out";
    }
}

TEST_P(StoreOwner, AnIdentityThatRegistersAgainAfterAnotherNeverIssuesAnIdAgain) {
    set_policy({.tombstone_ms = 10 * kDayMs});
    TestDevice device("alice:1");
    TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(device, {.one_time = 3}));
    const auto issued = claim_ids(device.address(), 2);
    ASSERT_TRUE(remove(device, kTestNow));
    ASSERT_TRUE(enrol(stranger, {.one_time = 3}, kTestNow + 10 * kDayMs));
    ASSERT_TRUE(remove(stranger, kTestNow + 10 * kDayMs));
    const auto back = enrol(device, {.one_time = 3}, kTestNow + 20 * kDayMs);
    ASSERT_TRUE(back) << back.error().id;
    EXPECT_EQ(back->upload.one_time.consumed, sorted(issued));
    EXPECT_EQ(rows("former_prekeys"), 0) << "nothing of the stranger's was handed out";
}

TEST_P(StoreOwner, OnlyTheStoredIdentityRotatesAndOnlyForward) {
    TestDevice device("alice:1");
    TestDevice next("alice:1", Suite::x3dh_ed25519, 2);
    EXPECT_EQ(outcome_id(rotate(device, next, {}, kTestNow)), "SHADE_NOT_FOUND");
    ASSERT_TRUE(enrol(device, {.one_time = 2}));
    EXPECT_EQ(outcome_id(rotate(next, device, {}, kTestNow + 1)), "SHADE_BAD_REQUEST_SIGNATURE");
    EXPECT_EQ(outcome_id(rotate(device, next, {}, kTestNow)), "SHADE_STALE_WRITE");
    EXPECT_EQ(profile(device.address()).stock.one_time, 2);
}

// Rotation is no way around the limit of addresses per identity.
TEST_P(StoreOwner, RotatingCountsAsAnAddressOfTheNewIdentity) {
    set_policy({.addresses_per_identity_max = 2});
    TestDevice shared_one("shared:1", Suite::x3dh_ed25519, 5);
    TestDevice shared_two("shared:2", Suite::x3dh_ed25519, 5);
    ASSERT_TRUE(enrol(shared_one));
    TestDevice alice("alice:1");
    TestDevice alice_shared("alice:1", Suite::x3dh_ed25519, 5);
    ASSERT_TRUE(enrol(alice));
    const auto second = rotate(alice, alice_shared, {}, kTestNow + 1);
    ASSERT_TRUE(second);
    EXPECT_TRUE(second->key_reused);
    EXPECT_EQ(outcome_id(enrol(shared_two)), "SHADE_LIMIT_EXCEEDED");
    TestDevice bob("bob:1", Suite::x3dh_ed25519, 3);
    TestDevice bob_shared("bob:1", Suite::x3dh_ed25519, 5);
    ASSERT_TRUE(enrol(bob));
    EXPECT_EQ(outcome_id(rotate(bob, bob_shared, {}, kTestNow + 1)), "SHADE_LIMIT_EXCEEDED");
    EXPECT_TRUE(profile(bob.address()).keys.same_keys(bob.identity()));
}

TEST_P(StoreOwner, RotatingTheSignedPrekey) {
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    ASSERT_TRUE(enrol(device));
    const auto alone =
        rotate_prekey(device, device.signed_prekey(2, kTestNow + 1), std::nullopt, kTestNow + 1);
    ASSERT_TRUE(alone) << alone.error().detail;
    EXPECT_EQ(alone->signed_prekey_id, 2);
    EXPECT_EQ(alone->last_resort_id, 900);
    EXPECT_EQ(profile(device.address()).signed_prekey.created_at, kTestNow + 1);
    const auto both = rotate_prekey(device, device.signed_prekey(3), device.kem(901), kTestNow + 2);
    ASSERT_TRUE(both);
    EXPECT_EQ(both->last_resort_id, 901);
    EXPECT_EQ(profile(device.address()).last_resort->public_key, device.kem(901).public_key);
    EXPECT_EQ(rows("signed_prekeys"), 5) << "retired ones are kept for a while";

    SignedPreKey other_bytes = device.signed_prekey(4);
    other_bytes.id = 3;
    EXPECT_EQ(outcome_id(rotate_prekey(device, other_bytes, std::nullopt, kTestNow + 3)),
              "SHADE_VALIDATION");
    KemPreKey other_kem = device.kem(902);
    other_kem.id = 901;
    EXPECT_EQ(outcome_id(rotate_prekey(device, device.signed_prekey(4), other_kem, kTestNow + 3)),
              "SHADE_VALIDATION");
    EXPECT_EQ(profile(device.address()).signed_prekey.id, 3) << "all or nothing";
    // The same key again, signed anew: its signature and time follow.
    const auto again =
        rotate_prekey(device, device.signed_prekey(3, kTestNow + 9), std::nullopt, kTestNow + 3);
    ASSERT_TRUE(again);
    EXPECT_EQ(profile(device.address()).signed_prekey.created_at, kTestNow + 9);
    EXPECT_EQ(profile(device.address()).signed_prekey.signature,
              device.signed_prekey(3, kTestNow + 9).signature);
    // An id that was served before may come back, whatever its bytes were.
    ASSERT_TRUE(rotate_prekey(device, device.signed_prekey(1), std::nullopt, kTestNow + 4));
    EXPECT_EQ(profile(device.address()).signed_prekey.public_key,
              device.signed_prekey(1).public_key);
    EXPECT_EQ(rows("signed_prekeys"), 5);
}

// Sessions begun without a one-time key depend on the keys that stood in for it: until those are
// replaced, fresh one-time keys make no difference to them.
TEST_P(StoreOwner, LastResortUseEndsWithTheKeysThatWereUsed) {
    set_policy({.reserve_percent = 0});
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    const auto used = [&] {
        return run(store().count(device.address(), std::nullopt, kTestNow))->last_resort_used;
    };
    const auto first_use = [&](UnixMillis at) {
        return claim(device.address(), at).value()->first_last_resort_use;
    };
    ASSERT_TRUE(enrol(device, {.one_time = 1, .kem_one_time = 2}));
    EXPECT_FALSE(first_use(kTestNow));
    EXPECT_FALSE(used());
    EXPECT_TRUE(first_use(kTestNow)) << "no curve key: the signed prekey stands in";
    EXPECT_TRUE(used());
    EXPECT_FALSE(first_use(kTestNow)) << "told already";
    EXPECT_EQ(number("select count(*) from shade_server_signed_prekeys "
                     "where used_alone_at is not null"),
              2)
        << "the last resort stood in for a KEM key too";

    ASSERT_TRUE(replenish(device, {}, kTestNow + 1));
    ASSERT_TRUE(
        replenish(device, {.one_time = 1, .kem_one_time = 1, .first_id = 10}, kTestNow + 1));
    EXPECT_TRUE(used()) << "uploading one-time keys replaces neither";
    ASSERT_TRUE(rotate_prekey(device, device.signed_prekey(2), std::nullopt, kTestNow + 2));
    EXPECT_TRUE(used()) << "the last resort is still the one that was used";
    ASSERT_TRUE(rotate_prekey(device, device.signed_prekey(2), device.kem(901), kTestNow + 3));
    EXPECT_FALSE(used());
    EXPECT_FALSE(first_use(kTestNow)) << "there is stock again";
    EXPECT_TRUE(first_use(kTestNow)) << "these keys for the first time";
    EXPECT_TRUE(used());

    // A key that was used stays so when it comes back.
    ASSERT_TRUE(rotate_prekey(device, device.signed_prekey(3), device.kem(902), kTestNow + 4));
    EXPECT_FALSE(used());
    ASSERT_TRUE(rotate_prekey(device, device.signed_prekey(2), std::nullopt, kTestNow + 5));
    EXPECT_TRUE(used());
    // A replaced last resort by way of replenish, and all of it by way of register.
    ASSERT_TRUE(rotate_prekey(device, device.signed_prekey(4), std::nullopt, kTestNow + 6));
    EXPECT_FALSE(used());
    static_cast<void>(claim_ids(device.address(), 1));
    EXPECT_TRUE(used());
    ASSERT_TRUE(enrol(device, {.signed_prekey_id = 5, .last_resort_id = 905}, kTestNow + 7));
    EXPECT_FALSE(used());
}

TEST_P(StoreOwner, AWithheldKeyIsNoLastResortUse) {
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    ASSERT_TRUE(enrol(device, {.one_time = 2, .kem_one_time = 2}));
    const auto withheld = claim(device.address(), kTestNow, nullptr, false);
    ASSERT_TRUE(withheld && *withheld);
    EXPECT_EQ((*withheld)->kem, KemStatus::last_resort);
    EXPECT_FALSE((*withheld)->first_last_resort_use);
    EXPECT_FALSE(run(store().count(device.address(), std::nullopt, kTestNow))->last_resort_used);
}

// Kyber1024 and ML-KEM-1024 keys look alike and the signature covers the label: a fetcher must get
// the label that was signed.
TEST_P(StoreOwner, OneKemKeyUnderAnotherLabelIsAnotherKey) {
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    Registration upload = device.registration();
    upload.last_resort->algorithm = "kyber1024";
    ASSERT_TRUE(run(store().enrol(upload, device.accepted(), kTestIndex, kTestNow, 1)));
    KemPreKey relabelled = *upload.last_resort;
    relabelled.algorithm = "ml-kem-1024";
    relabelled.signature[0] ^= 1;
    EXPECT_EQ(outcome_id(rotate_prekey(device, device.signed_prekey(2), relabelled, kTestNow + 1)),
              "SHADE_VALIDATION");
    EXPECT_EQ(profile(device.address()).last_resort->algorithm, "kyber1024");
    EXPECT_EQ(profile(device.address()).last_resort->signature, upload.last_resort->signature);

    Replenishment keys = device.replenishment({.kem_one_time = 1});
    ASSERT_TRUE(run(store().replenish(keys, device.accepted(), kTestNow, 1)));
    keys.batch.kem_one_time[0].algorithm = "kyber1024";
    const auto again = run(store().replenish(keys, device.accepted(), kTestNow, 1));
    ASSERT_TRUE(again);
    EXPECT_EQ(again->kem_one_time.conflict, std::vector<KeyId>{1});
}

TEST_P(StoreOwner, ARemovedAddressIsClosedToOtherKeys) {
    TestDevice device("alice:1");
    TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(device, {.one_time = 5}));
    const auto issued = claim_ids(device.address(), 2);
    ASSERT_TRUE(remove(device, kTestNow + 1));
    EXPECT_FALSE(run(store().identity(device.address())).value());
    EXPECT_FALSE(claim(device.address()).value());
    EXPECT_EQ(outcome_id(remove(device, kTestNow + 2)), "SHADE_NOT_FOUND");
    EXPECT_EQ(rows("signed_prekeys"), 0);
    EXPECT_EQ(rows("one_time_prekeys"), 2) << "what was handed out is remembered";

    EXPECT_EQ(outcome_id(enrol(stranger, {}, kTestNow + 2)), "SHADE_TOMBSTONED");
    EXPECT_EQ(rows("tombstones"), 1);
    const auto back = enrol(device, {.one_time = 5}, kTestNow + 3);
    ASSERT_TRUE(back) << back.error().id;
    EXPECT_TRUE(back->created);
    EXPECT_EQ(back->upload.one_time.consumed.size(), issued.size()) << "never issued again";
    EXPECT_EQ(back->upload.stock.one_time, 3);
    EXPECT_EQ(rows("tombstones"), 0);
}

TEST_P(StoreOwner, QuarantineEnds) {
    set_policy({.tombstone_ms = 10 * kDayMs});
    TestDevice device("alice:1");
    TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(device, {.one_time = 2}));
    static_cast<void>(claim_ids(device.address(), 2));
    ASSERT_TRUE(remove(device, kTestNow));
    EXPECT_EQ(outcome_id(enrol(stranger, {}, kTestNow + 10 * kDayMs - 1)), "SHADE_TOMBSTONED");
    const auto taken = enrol(stranger, {.one_time = 2}, kTestNow + 10 * kDayMs);
    ASSERT_TRUE(taken) << taken.error().id;
    EXPECT_EQ(taken->upload.one_time.accepted, (std::vector<KeyId>{1, 2}))
        << "issued ids were the former identity's";
    EXPECT_EQ(outcome_id(enrol(device, {}, kTestNow + 11 * kDayMs)), "SHADE_IDENTITY_CONFLICT");
}

TEST_P(StoreOwner, AnOperatorMayReleaseAnAddress) {
    TestDevice device("alice:1");
    TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(device));
    EXPECT_FALSE(run(store().release_tombstone(device.address())).value());
    ASSERT_TRUE(remove(device));
    EXPECT_TRUE(run(store().release_tombstone(device.address())).value());
    EXPECT_FALSE(run(store().release_tombstone(device.address())).value());
    EXPECT_TRUE(enrol(stranger));
}

TEST_P(StoreOwner, CountSaysWhatIsThere) {
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    ASSERT_TRUE(enrol(device, {.one_time = 3, .kem_one_time = 2, .signed_prekey_id = 8}));
    for (const bool with_proof : {false, true}) {
        std::optional<AcceptedProof> proof;
        if (with_proof) {
            proof = device.accepted(kTestNow);
        }
        const auto count = run(store().count(device.address(), proof, kTestNow + kHourMs));
        ASSERT_TRUE(count);
        EXPECT_EQ(count->stock.one_time, 3);
        EXPECT_EQ(count->stock.kem_one_time, 2);
        EXPECT_EQ(count->signed_prekey_id, 8);
        EXPECT_EQ(count->signed_prekey_created_at, kTestNow);
        EXPECT_FALSE(count->last_resort_used);
        EXPECT_EQ(count->restore_epoch, 0);
        EXPECT_EQ(number("select last_owner_activity_at from shade_server_identities"),
                  with_proof ? kTestNow + kHourMs : kTestNow);
    }
}

TEST_P(StoreOwner, ASignedReadIsUsedUp) {
    TestDevice device("alice:1");
    TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(device));
    const AcceptedProof proof = device.accepted();
    EXPECT_TRUE(run(store().count(device.address(), proof, kTestNow)));
    EXPECT_EQ(outcome_id(run(store().count(device.address(), proof, kTestNow))), "SHADE_REPLAY");
    EXPECT_EQ(outcome_id(run(store().consume_proof(device.address(), proof, kTestNow))),
              "SHADE_REPLAY");
    EXPECT_TRUE(run(store().consume_proof(device.address(), device.accepted(), kTestNow)));
    EXPECT_EQ(outcome_id(run(store().count(device.address(), stranger.accepted(), kTestNow))),
              "SHADE_BAD_REQUEST_SIGNATURE");
    EXPECT_EQ(outcome_id(run(store().consume_proof(Address::parse("nobody").value(),
                                                   device.accepted(), kTestNow))),
              "SHADE_NOT_FOUND");
}

TEST_P(StoreOwner, TotalsAndLowestStock) {
    TestDevice rich("rich", Suite::pqxdh_ed25519);
    TestDevice poor("poor", Suite::x3dh_xeddsa, 2);
    TestDevice empty("empty", Suite::x3dh_ed25519, 3);
    ASSERT_TRUE(enrol(rich, {.one_time = 30, .kem_one_time = 4}));
    ASSERT_TRUE(enrol(poor, {.one_time = 3}));
    ASSERT_TRUE(enrol(empty, {.one_time = 1}));
    static_cast<void>(claim_ids(empty.address(), 1, kTestNow + 1));
    const auto totals = run(store().totals(20));
    ASSERT_TRUE(totals) << totals.error().detail;
    EXPECT_EQ(totals->identities_by_suite, (std::array<std::int64_t, 5>{0, 1, 1, 0, 1}));
    EXPECT_EQ(totals->one_time, 33);
    EXPECT_EQ(totals->kem_one_time, 4);
    EXPECT_EQ(totals->below_low_threshold, 3) << "of any kind the suite has";
    EXPECT_EQ(totals->exhausted, 1);
    EXPECT_EQ(run(store().totals(4))->below_low_threshold, 2);
    const auto lowest = run(store().lowest_stock(9));
    ASSERT_TRUE(lowest);
    ASSERT_EQ(lowest->size(), 3U);
    EXPECT_EQ(lowest->at(2).address.text(), "rich");
    EXPECT_EQ(lowest->at(2).stock.kem_one_time, 4);
    EXPECT_EQ(run(store().lowest_stock(2))->size(), 2U);
    EXPECT_EQ(lowest->at(0).address.text(), "empty");
    EXPECT_EQ(lowest->at(0).last_fetch_at, kTestNow + 1);
    EXPECT_EQ(lowest->at(1).address.text(), "poor");
    EXPECT_EQ(lowest->at(1).suite, Suite::x3dh_xeddsa);
    EXPECT_EQ(lowest->at(1).stock.one_time, 3);
    EXPECT_EQ(lowest->at(1).last_fetch_at, std::nullopt);
    EXPECT_EQ(lowest->at(1).last_owner_activity_at, kTestNow);
}

}  // namespace
}  // namespace nave::prekeys
