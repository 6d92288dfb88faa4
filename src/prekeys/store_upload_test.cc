// Uploads of an owner: registration, updates, replenishing, and what becomes of each key.
#include "prekeys/test_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace nave::prekeys {
namespace {

class StoreUpload : public StoreTest {};
PREKEYS_ON_EVERY_STORE(StoreUpload);

std::vector<KeyId> ids(KeyId first, KeyId last) {
    std::vector<KeyId> all(static_cast<std::size_t>(last - first + 1));
    std::iota(all.begin(), all.end(), first);
    return all;
}

TEST_P(StoreUpload, ANewIdentityIsStoredWhole) {
    for (const Suite suite : kSuites) {
        TestDevice device("alice:" + std::to_string(static_cast<int>(suite)), suite);
        const std::size_t kem_keys = uses_kem(suite) ? 2 : 0;
        const auto outcome = enrol(device, {.one_time = 3, .kem_one_time = kem_keys});
        ASSERT_TRUE(outcome) << outcome.error().detail;
        EXPECT_TRUE(outcome->created);
        EXPECT_EQ(outcome->restore_epoch, 0);
        EXPECT_EQ(outcome->upload.one_time.accepted, ids(1, 3));
        EXPECT_EQ(outcome->upload.kem_one_time.accepted.size(), kem_keys);
        EXPECT_EQ(outcome->upload.stock.one_time, 3);

        const auto profile = run(store().profile(device.address()));
        ASSERT_TRUE(profile && *profile);
        const Profile& stored = **profile;
        const Registration sent = device.registration();
        EXPECT_TRUE(stored.keys.same_keys(sent.identity));
        // An identity of one key has an empty DH key: stored as empty bytes, not as none.
        EXPECT_EQ(stored.keys.dh_key, sent.identity.dh_key);
        EXPECT_EQ(stored.keys.dh_signature, sent.identity.dh_signature);
        EXPECT_EQ(stored.registration_id, sent.registration_id);
        EXPECT_EQ(stored.signed_prekey.public_key, sent.signed_prekey.public_key);
        EXPECT_EQ(stored.signed_prekey.signature, sent.signed_prekey.signature);
        EXPECT_EQ(stored.signed_prekey.created_at, kTestNow);
        EXPECT_EQ(stored.last_resort.has_value(), uses_kem(suite));
        if (stored.last_resort) {
            EXPECT_EQ(stored.last_resort->public_key, sent.last_resort->public_key);
            EXPECT_EQ(stored.last_resort->algorithm, sent.last_resort->algorithm);
        }
        EXPECT_EQ(stored.stock.kem_one_time, static_cast<std::int64_t>(kem_keys));
    }
    EXPECT_EQ(number("select count(*) from shade_server_one_time_prekeys where kind = 0 and "
                     "length(signature) = 0"),
              12)
        << "a curve key's signature is empty bytes";
}

TEST_P(StoreUpload, UnknownAddressesAreAbsent) {
    const Address nobody = Address::parse("nobody").value();
    EXPECT_FALSE(run(store().identity(nobody)).value().has_value());
    EXPECT_FALSE(run(store().profile(nobody)).value().has_value());
    EXPECT_EQ(outcome_id(run(store().count(nobody, std::nullopt, kTestNow))), "SHADE_NOT_FOUND");
}

TEST_P(StoreUpload, TheSameIdentityUpdates) {
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device, {.one_time = 2}));
    const auto outcome =
        enrol(device, {.one_time = 2, .first_id = 10, .signed_prekey_id = 2}, kTestNow + 1);
    ASSERT_TRUE(outcome) << outcome.error().detail;
    EXPECT_FALSE(outcome->created);
    EXPECT_FALSE(outcome->key_reused);
    EXPECT_EQ(outcome->upload.stock.one_time, 4);
    EXPECT_EQ(run(store().profile(device.address())).value()->signed_prekey.id, 2);
    EXPECT_EQ(rows("signed_prekeys"), 2) << "the one before is kept, retired";
}

TEST_P(StoreUpload, LeftOutMembersKeepWhatWasStored) {
    TestDevice device("alice:1");
    Registration upload = device.registration();
    upload.registration_id = 77;
    ASSERT_TRUE(run(store().enrol(upload, device.accepted(), kTestIndex, kTestNow, 1)));
    Registration bare = device.registration();
    bare.identity.dh_signature.reset();
    ASSERT_TRUE(
        run(store().enrol(bare, device.accepted(kTestNow + 1), kTestIndex, kTestNow + 1, 1)));
    const auto stored = run(store().identity(device.address())).value();
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored->keys.dh_signature, upload.identity.dh_signature);
    EXPECT_EQ(stored->registration_id, 77);
}

TEST_P(StoreUpload, AnotherIdentityConflictsAndChangesNothing) {
    TestDevice owner("alice:1");
    TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(owner, {.one_time = 2}));
    const auto replays = rows("replay");
    EXPECT_EQ(outcome_id(enrol(stranger, {.one_time = 5, .first_id = 50}, kTestNow + 1)),
              "SHADE_IDENTITY_CONFLICT");
    TestDevice other_suite("alice:1", Suite::pqxdh_ed25519);
    EXPECT_EQ(outcome_id(enrol(other_suite, {}, kTestNow + 1)), "SHADE_IDENTITY_CONFLICT")
        << "the suite is part of the identity";
    EXPECT_EQ(rows("replay"), replays);
    EXPECT_EQ(rows("one_time_prekeys"), 2);
    EXPECT_TRUE(run(store().identity(owner.address())).value()->keys.same_keys(owner.identity()));
}

TEST_P(StoreUpload, OlderOrEqualWritesAreStale) {
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device, {}, kTestNow));
    for (const UnixMillis at : {kTestNow, kTestNow - 1}) {
        EXPECT_EQ(outcome_id(enrol(device, {.signed_prekey_id = 9}, at)), "SHADE_STALE_WRITE");
        const auto rotated = run(store().rotate_signed_prekey(
            {device.address(), device.signed_prekey(9), std::nullopt}, device.accepted(at), at));
        EXPECT_EQ(outcome_id(rotated), "SHADE_STALE_WRITE");
    }
    EXPECT_EQ(run(store().profile(device.address())).value()->signed_prekey.id, 1);
    // Replenishing adds keys that no older state could roll back, so it needs no order.
    EXPECT_TRUE(replenish(device, {.one_time = 1}, kTestNow - 1));
}

TEST_P(StoreUpload, AProofWorksOnce) {
    TestDevice device("alice:1");
    const AcceptedProof proof = device.accepted();
    ASSERT_TRUE(run(store().enrol(device.registration(), proof, kTestIndex, kTestNow, 1)));
    EXPECT_EQ(outcome_id(run(store().enrol(device.registration(), proof, kTestIndex, kTestNow, 1))),
              "SHADE_REPLAY");
    AcceptedProof reused_nonce = device.accepted(kTestNow + 1);
    reused_nonce.replay_hashes.push_back(proof.replay_hashes[0]);
    EXPECT_EQ(outcome_id(run(store().replenish(device.replenishment({.one_time = 1}), reused_nonce,
                                               kTestNow, 1))),
              "SHADE_REPLAY")
        << "any of its hashes counts";
    EXPECT_EQ(rows("one_time_prekeys"), 0);
    reused_nonce.replay_hashes.pop_back();
    EXPECT_TRUE(
        run(store().replenish(device.replenishment({.one_time = 1}), reused_nonce, kTestNow, 1)))
        << "what was refused was not used up";
}

TEST_P(StoreUpload, OneIdentityMayHaveSixteenAddresses) {
    for (int i = 1; i <= 16; ++i) {
        TestDevice device("alice:" + std::to_string(i));
        const auto outcome = enrol(device);
        ASSERT_TRUE(outcome);
        EXPECT_EQ(outcome->key_reused, i > 1);
    }
    TestDevice one_more("alice:17");
    EXPECT_EQ(outcome_id(enrol(one_more)), "SHADE_LIMIT_EXCEEDED");
    TestDevice known("alice:3");
    EXPECT_TRUE(enrol(known, {}, kTestNow + 1)) << "an update is no further address";
    TestDevice other("bob:1", Suite::x3dh_ed25519, 2);
    EXPECT_TRUE(enrol(other));
}

TEST_P(StoreUpload, EachKeyHasItsOutcome) {
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    ASSERT_TRUE(enrol(device, {.one_time = 4, .kem_one_time = 4}));
    // Without reserve, two claims take two keys of each kind.
    ASSERT_EQ(number("select count(*) from shade_server_one_time_prekeys where reserved = 1"), 0);
    std::vector<KeyId> issued = claim_ids(device.address(), 2);
    std::ranges::sort(issued);
    Replenishment upload = device.replenishment({.one_time = 6, .kem_one_time = 6});
    std::vector<KeyId> in_stock;
    for (const KeyId id : ids(1, 4)) {
        if (!std::ranges::binary_search(issued, id)) {
            in_stock.push_back(id);
        }
    }
    // One key in stock comes back with other bytes, one handed out likewise.
    upload.batch.one_time[static_cast<std::size_t>(in_stock[0] - 1)].public_key[0] ^= 1;
    upload.batch.one_time[static_cast<std::size_t>(issued[0] - 1)].public_key[0] ^= 1;
    const auto outcome = run(store().replenish(upload, device.accepted(), kTestNow, 1));
    ASSERT_TRUE(outcome) << outcome.error().detail;
    EXPECT_EQ(outcome->one_time.accepted, ids(5, 6));
    EXPECT_EQ(outcome->one_time.consumed, issued);
    EXPECT_EQ(outcome->one_time.conflict, std::vector<KeyId>{in_stock[0]});
    EXPECT_EQ(outcome->one_time.duplicate, std::vector<KeyId>{in_stock[1]});
    EXPECT_EQ(outcome->stock.one_time, 4);
    EXPECT_EQ(outcome->kem_one_time.accepted, ids(5, 6));
    EXPECT_EQ(outcome->kem_one_time.consumed.size(), 2U);
    EXPECT_EQ(outcome->kem_one_time.duplicate.size(), 2U);
    EXPECT_TRUE(outcome->kem_one_time.conflict.empty());
    EXPECT_EQ(outcome->stock.kem_one_time, 4);
}

// Inserts go in chunks of 64, 16, 4 and 1 rows; every remainder must be complete.
TEST_P(StoreUpload, BatchesOfAnySizeAreStoredWhole) {
    KeyId first = 1;
    std::int64_t stock = 0;
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device));
    for (const std::size_t size : {1U, 3U, 4U, 7U, 16U, 21U, 64U, 84U}) {
        const auto outcome = replenish(device, {.one_time = size, .first_id = first});
        ASSERT_TRUE(outcome) << outcome.error().detail;
        const KeyId last = first + static_cast<KeyId>(size) - 1;
        EXPECT_EQ(outcome->one_time.accepted, ids(first, last));
        first = last + 1;
        stock += static_cast<std::int64_t>(size);
        EXPECT_EQ(outcome->stock.one_time, stock);
    }
    EXPECT_EQ(rows("one_time_prekeys"), 200);
}

// Lookups go in chunks of 64 ids.
TEST_P(StoreUpload, EveryKeyOfALargeRepeatHasItsOutcome) {
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device, {.one_time = 100}));
    std::vector<KeyId> issued = claim_ids(device.address(), 5);
    std::ranges::sort(issued);
    Replenishment upload = device.replenishment({.one_time = 100});
    const auto other = std::ranges::find_if(upload.batch.one_time, [&](const OneTimePreKey& key) {
        return !std::ranges::binary_search(issued, key.id);
    });
    other->public_key[0] ^= 1;
    const auto outcome = run(store().replenish(upload, device.accepted(), kTestNow, 1));
    ASSERT_TRUE(outcome) << outcome.error().detail;
    EXPECT_TRUE(outcome->one_time.accepted.empty());
    EXPECT_EQ(outcome->one_time.consumed, issued);
    EXPECT_EQ(outcome->one_time.conflict, std::vector<KeyId>{other->id});
    EXPECT_EQ(outcome->one_time.duplicate.size(), 94U);
    EXPECT_TRUE(std::ranges::is_sorted(outcome->one_time.duplicate));
    EXPECT_EQ(outcome->stock.one_time, 95);
}

TEST_P(StoreUpload, StockIsLimitedPerKindAndAllOrNothing) {
    set_policy({.one_time_max = 5, .kem_one_time_max = 2});
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    EXPECT_EQ(outcome_id(enrol(device, {.one_time = 6})), "SHADE_LIMIT_EXCEEDED");
    EXPECT_EQ(rows("identities") + rows("one_time_prekeys") + leaf_count(), 0);
    ASSERT_TRUE(enrol(device, {.one_time = 5, .kem_one_time = 2}));
    EXPECT_EQ(outcome_id(replenish(device, {.one_time = 1, .first_id = 50})),
              "SHADE_LIMIT_EXCEEDED");
    EXPECT_EQ(outcome_id(replenish(device, {.kem_one_time = 1, .first_id = 50})),
              "SHADE_LIMIT_EXCEEDED");
    EXPECT_EQ(rows("one_time_prekeys"), 7);
    EXPECT_TRUE(replenish(device, {.one_time = 5})) << "duplicates add nothing";
    ASSERT_EQ(claim_ids(device.address(), 1).size(), 1U);
    EXPECT_TRUE(replenish(device, {.one_time = 1, .first_id = 50})) << "issued keys do not count";
}

TEST_P(StoreUpload, ReplaceDropsTheStockButNotTheMemoryOfIssuedKeys) {
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    ASSERT_TRUE(enrol(device, {.one_time = 3, .kem_one_time = 3}));
    const std::vector<KeyId> issued = claim_ids(device.address(), 1);
    const auto outcome = enrol(
        device,
        {.one_time = 4, .kem_one_time = 0, .first_id = issued[0], .mode = UploadMode::replace},
        kTestNow + 1);
    ASSERT_TRUE(outcome) << outcome.error().detail;
    EXPECT_EQ(outcome->upload.one_time.consumed, issued);
    EXPECT_EQ(outcome->upload.one_time.accepted.size(), 3U);
    EXPECT_TRUE(outcome->upload.one_time.duplicate.empty());
    EXPECT_EQ(outcome->upload.stock.one_time, 3);
    EXPECT_EQ(outcome->upload.stock.kem_one_time, 0);
}

TEST_P(StoreUpload, OnlyTheStoredIdentityWrites) {
    TestDevice device("alice:1");
    TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    EXPECT_EQ(outcome_id(replenish(device, {.one_time = 1})), "SHADE_NOT_FOUND");
    EXPECT_EQ(outcome_id(remove(device)), "SHADE_NOT_FOUND");
    ASSERT_TRUE(enrol(device));
    EXPECT_EQ(outcome_id(replenish(stranger, {.one_time = 1})), "SHADE_BAD_REQUEST_SIGNATURE");
    EXPECT_EQ(outcome_id(remove(stranger)), "SHADE_BAD_REQUEST_SIGNATURE");
    EXPECT_EQ(rows("one_time_prekeys"), 0);
    EXPECT_EQ(rows("identities"), 1);
}

}  // namespace
}  // namespace nave::prekeys
