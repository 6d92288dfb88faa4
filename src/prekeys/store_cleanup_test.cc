// Upkeep: purging stale identities, forgetting what has expired, and what a restore does.
#include "prekeys/test_store.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace nave::prekeys {
namespace {

class StoreCleanup : public StoreTest {
  protected:
    void restored(UnixMillis at) {
        ASSERT_TRUE(write([at](storage::Transaction& tx) { return Store::after_restore(tx, at); }));
    }
    std::vector<std::string> purge(UnixMillis cutoff, std::int64_t limit, UnixMillis at) {
        const auto purged = run(store().purge_stale_identities(cutoff, limit, at));
        EXPECT_TRUE(purged) << purged.error().detail;
        std::vector<std::string> names;
        for (const PurgedIdentity& identity : *purged) {
            names.push_back(identity.address.text());
        }
        return names;
    }
    void forget(UnixMillis at) { ASSERT_TRUE(run(store().forget_expired(at))); }
};
PREKEYS_ON_EVERY_STORE(StoreCleanup);

TEST_P(StoreCleanup, PurgesTheStalestFirstInBatches) {
    for (int i = 0; i < 7; ++i) {
        TestDevice device("user:" + std::to_string(i), Suite::x3dh_ed25519,
                          static_cast<std::uint64_t>(i));
        ASSERT_TRUE(enrol(device, {.one_time = 2}, kTestNow + i));
    }
    const UnixMillis cutoff = kTestNow + 5;
    EXPECT_EQ(run(store().count_stale_identities(cutoff)).value(), 5);
    EXPECT_EQ(purge(cutoff, 2, kTestNow + kDayMs), (std::vector<std::string>{"user:0", "user:1"}));
    EXPECT_EQ(rows("tombstones"), 2);
    EXPECT_EQ(purge(cutoff, 2, kTestNow + kDayMs), (std::vector<std::string>{"user:2", "user:3"}));
    EXPECT_EQ(purge(cutoff, 2, kTestNow + kDayMs), std::vector<std::string>{"user:4"});
    EXPECT_EQ(purge(cutoff, 2, kTestNow + kDayMs), std::vector<std::string>{});
    EXPECT_EQ(rows("identities"), 2) << "activity exactly at the cutoff is not stale";
    EXPECT_EQ(rows("one_time_prekeys"), 4);
    EXPECT_EQ(rows("signed_prekeys"), 2);
    EXPECT_EQ(leaf_count(), 12) << "one entry per registration and purge";
}

TEST_P(StoreCleanup, APurgedAddressIsClosedToOtherKeys) {
    TestDevice device("alice:1", Suite::pqxdh_xeddsa);
    TestDevice stranger("alice:1", Suite::pqxdh_xeddsa, 2);
    ASSERT_TRUE(enrol(device));
    ASSERT_EQ(purge(kTestNow + 1, 500, kTestNow + 30 * kDayMs).size(), 1U);
    EXPECT_EQ(outcome_id(enrol(stranger, {}, kTestNow + 31 * kDayMs)), "SHADE_TOMBSTONED");
    EXPECT_TRUE(enrol(device, {}, kTestNow + 31 * kDayMs));
}

TEST_P(StoreCleanup, ActivityKeepsAnIdentity) {
    TestDevice uploads("uploads");
    TestDevice fetched("fetched", Suite::x3dh_ed25519, 2);
    TestDevice counts("counts", Suite::x3dh_ed25519, 3);
    for (TestDevice* device : {&uploads, &fetched, &counts}) {
        ASSERT_TRUE(enrol(*device, {.one_time = 3}));
    }
    ASSERT_TRUE(replenish(uploads, {.one_time = 1, .first_id = 9}, kTestNow + kDayMs));
    static_cast<void>(claim_ids(fetched.address(), 1, kTestNow + kDayMs));
    ASSERT_TRUE(run(
        store().count(counts.address(), counts.accepted(kTestNow + kDayMs), kTestNow + kDayMs)));
    EXPECT_EQ(run(store().count_stale_identities(kTestNow + kDayMs)).value(), 0)
        << "an owner who signs is there";
}

TEST_P(StoreCleanup, ForgetsReplaysOnlyWhenTheyCannotBeAcceptedAnyMore) {
    const std::int64_t memory = StorePolicy().replay_memory_ms;
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device));
    const AcceptedProof proof = device.accepted();
    ASSERT_TRUE(run(store().count(device.address(), proof, kTestNow)));
    forget(kTestNow + memory);
    EXPECT_EQ(outcome_id(run(store().count(device.address(), proof, kTestNow))), "SHADE_REPLAY");
    forget(kTestNow + memory + 1);
    EXPECT_EQ(rows("replay"), 0);
}

TEST_P(StoreCleanup, ForgetsClaimsIssuedKeysAndRetiredPrekeys) {
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device, {.one_time = 3}));
    ASSERT_TRUE(claim(device.address(), kTestNow, nullptr, true, Bytes(32, 1)));
    ASSERT_TRUE(run(store().rotate_signed_prekey({device.address(), device.signed_prekey(2), {}},
                                                 device.accepted(kTestNow + 1), kTestNow + 1)));
    forget(kTestNow + 10 * kMinuteMs);
    EXPECT_EQ(rows("claims"), 1);
    forget(kTestNow + 10 * kMinuteMs + 1);
    EXPECT_EQ(rows("claims"), 0);
    forget(kTestNow + 1 + 30 * kDayMs);
    EXPECT_EQ(rows("signed_prekeys"), 2);
    forget(kTestNow + 2 + 30 * kDayMs);
    EXPECT_EQ(rows("signed_prekeys"), 1);
    EXPECT_EQ(run(store().profile(device.address())).value()->signed_prekey.id, 2);
    forget(kTestNow + 90 * kDayMs);
    EXPECT_EQ(rows("one_time_prekeys"), 3);
    forget(kTestNow + 90 * kDayMs + 1);
    EXPECT_EQ(rows("one_time_prekeys"), 2) << "stock itself never expires";
}

// A minute may bring more than one transaction should remove.
TEST_P(StoreCleanup, ForgetsHoweverMuchHasExpired) {
    const bool postgres = GetParam() == storage::Store::postgres;
    const std::string bytes = postgres ? "convert_to(cast(i as text), 'UTF8')" : "cast(i as blob)";
    const std::string numbers =
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5001) ";
    const std::string expired = std::to_string(kTestNow - 1);
    script(numbers + "insert into shade_server_replay (hash, expires_at) select " + bytes + ", " +
           expired + " + (i / 5001) from n;");
    script(numbers +
           "insert into shade_server_claims (claim_hash, signing_key, bundle, expires_at) select " +
           bytes + ", " + bytes + ", '', " + expired + " + (i / 5001) from n;");
    script(numbers +
           "insert into shade_server_one_time_prekeys "
           "(address, kind, key_id, public_key, uploaded_at, issued_at) select 'x', 0, i, " +
           bytes + ", 1, case when i < 5001 then 1 end from n;");
    script(numbers +
           "insert into shade_server_former_prekeys "
           "(address, signing_key_hash, kind, key_id, issued_at) select 'x', " +
           bytes + ", 0, i, case when i < 5001 then 1 else " + expired + " end from n;");
    script(numbers +
           "insert into shade_server_signed_prekeys (address, kind, key_id, public_key, "
           "signature, created_at, uploaded_at, retired_at) select 'x', 0, i, " +
           bytes + ", " + bytes + ", 1, 1, case when i < 5001 then 1 end from n;");
    script(numbers +
           "insert into shade_server_tombstones (address, signing_key_hash, at, reason) "
           "select 'y' || i, " +
           bytes + ", case when i < 5001 then 1 else " + expired + " end, '' from n;");
    const std::uint64_t before = db().stats().writes;
    forget(kTestNow);
    EXPECT_EQ(rows("replay"), 1);
    EXPECT_EQ(rows("claims"), 1);
    EXPECT_EQ(rows("one_time_prekeys"), 1);
    EXPECT_EQ(rows("former_prekeys"), 1);
    EXPECT_EQ(rows("signed_prekeys"), 1);
    EXPECT_EQ(rows("tombstones"), 1);
    EXPECT_GE(db().stats().writes - before, 6U * 3) << "in transactions of a bounded size";
}

TEST_P(StoreCleanup, ForgetsTheIssuedKeysOfFormerIdentities) {
    TestDevice device("alice:1");
    TestDevice next("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(device, {.one_time = 3}));
    static_cast<void>(claim_ids(device.address(), 2));
    ASSERT_TRUE(run(
        store().rotate_identity(next.registration(), device.accepted(kTestNow + 1), kTestNow, 1)));
    forget(kTestNow + 90 * kDayMs);
    EXPECT_EQ(rows("former_prekeys"), 2);
    forget(kTestNow + 90 * kDayMs + 1);
    EXPECT_EQ(rows("former_prekeys"), 0);
}

// A tombstone says whose issued ids an address remembers, so it stays as long as they do.
TEST_P(StoreCleanup, TombstonesOutliveTheIssuedKeysTheyExplain) {
    set_policy({.tombstone_ms = kDayMs});
    TestDevice device("alice:1");
    TestDevice unused("bob:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(device, {.one_time = 1}));
    ASSERT_TRUE(enrol(unused));
    static_cast<void>(claim_ids(device.address(), 1));
    ASSERT_TRUE(remove(device));
    ASSERT_TRUE(remove(unused));
    forget(kTestNow + kDayMs);
    EXPECT_EQ(rows("tombstones"), 2);
    forget(kTestNow + kDayMs + 1);
    EXPECT_EQ(rows("tombstones"), 1);
    const auto back = enrol(device, {.one_time = 1}, kTestNow + 2 * kDayMs);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->upload.one_time.consumed, std::vector<KeyId>{1});
    ASSERT_TRUE(remove(device, kTestNow + 3 * kDayMs));
    forget(kTestNow + 91 * kDayMs);
    forget(kTestNow + 91 * kDayMs);
    EXPECT_EQ(rows("tombstones"), 0);
}

// However long the quarantine is: a hundred years reach back to before 1970.
TEST_P(StoreCleanup, AReleasedAddressIsOpenToOtherKeys) {
    set_policy({.tombstone_ms = 36'500 * kDayMs});
    TestDevice device("alice:1");
    TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(device, {.one_time = 2}));
    static_cast<void>(claim_ids(device.address(), 1));
    ASSERT_TRUE(remove(device));
    EXPECT_EQ(outcome_id(enrol(stranger, {}, kTestNow + 1)), "SHADE_TOMBSTONED");
    EXPECT_EQ(run(store().release_tombstone(device.address())), true);
    EXPECT_EQ(run(store().release_tombstone(device.address())), false) << "released already";
    forget(kTestNow + kDayMs);
    ASSERT_TRUE(enrol(stranger, {.one_time = 2}, kTestNow + 1));
    EXPECT_EQ(rows("one_time_prekeys"), 2) << "the other's issued ids are put aside";
    // Of one removal only.
    ASSERT_TRUE(remove(stranger, kTestNow + 2));
    EXPECT_EQ(outcome_id(enrol(device, {}, kTestNow + 3)), "SHADE_TOMBSTONED");
}

TEST_P(StoreCleanup, ARestoreBurnsTheStockAndRaisesTheEpoch) {
    EXPECT_EQ(run(store().announce_restore()).value(), std::nullopt);
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    ASSERT_TRUE(enrol(device, {.one_time = 4, .kem_one_time = 4}));
    const Bytes hash(32, 1);
    const auto before = claim(device.address(), kTestNow, nullptr, true, hash);
    ASSERT_TRUE(before && *before);
    restored(kTestNow + 1);
    const auto count = run(store().count(device.address(), std::nullopt, kTestNow + 1));
    ASSERT_TRUE(count);
    EXPECT_EQ(count->restore_epoch, kTestNow + 1);
    EXPECT_EQ(count->stock.one_time + count->stock.kem_one_time, 0);
    const auto after = claim(device.address(), kTestNow + 2, nullptr, true, hash);
    ASSERT_TRUE(after && *after);
    EXPECT_FALSE((*after)->repeated) << "the bundle may have gone to somebody else since";
    EXPECT_EQ((*after)->one_time, OneTimeStatus::exhausted);
    EXPECT_EQ((*after)->kem, KemStatus::last_resort);
    const auto upload = enrol(device, {.one_time = 5, .kem_one_time = 5}, kTestNow + 3);
    ASSERT_TRUE(upload);
    EXPECT_EQ(upload->restore_epoch, kTestNow + 1);
    EXPECT_EQ(upload->upload.one_time.accepted, std::vector<KeyId>{5});
    EXPECT_EQ(upload->upload.one_time.consumed.size(), 4U) << "burnt ids stay burnt";
    EXPECT_EQ(upload->upload.kem_one_time.accepted, std::vector<KeyId>{5});
    EXPECT_EQ(
        run(store().consume_proof(device.address(), device.accepted(kTestNow + 3), kTestNow + 3)),
        kTestNow + 1)
        << "what an owner's stream begins with";
    EXPECT_EQ(run(store().announce_restore()).value(), kTestNow + 1);
    EXPECT_EQ(run(store().announce_restore()).value(), std::nullopt) << "once";
    // It never repeats, even when the clock stands or was set back.
    const auto epoch = [&] {
        return run(store().count(device.address(), std::nullopt, kTestNow))->restore_epoch;
    };
    restored(kTestNow + 1);
    EXPECT_EQ(epoch(), kTestNow + 2);
    restored(kTestNow);
    EXPECT_EQ(epoch(), kTestNow + 3);
    restored(kTestNow + kDayMs);
    EXPECT_EQ(epoch(), kTestNow + kDayMs);
    EXPECT_EQ(run(store().announce_restore()).value(), kTestNow + kDayMs);
}

}  // namespace
}  // namespace nave::prekeys
