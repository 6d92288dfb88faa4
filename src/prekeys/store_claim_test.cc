// Bundles: which keys are handed out, in what order, and what a repeated claim gets.
#include "prekeys/test_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace nave::prekeys {
namespace {

class StoreClaim : public StoreTest {};
PREKEYS_ON_EVERY_STORE(StoreClaim);

constexpr StorePolicy kNoReserve{.reserve_percent = 0};

std::vector<KeyId> sorted(std::vector<KeyId> ids) {
    std::ranges::sort(ids);
    return ids;
}

std::vector<KeyId> ids(KeyId first, KeyId last) {
    std::vector<KeyId> all(static_cast<std::size_t>(last - first + 1));
    std::iota(all.begin(), all.end(), first);
    return all;
}

std::vector<KeyId> part(const std::vector<KeyId>& of, std::size_t from, std::size_t count) {
    const auto first = of.begin() + static_cast<std::ptrdiff_t>(from);
    return {first, first + static_cast<std::ptrdiff_t>(count)};
}

TEST_P(StoreClaim, UnknownAddressesHaveNoBundle) {
    TestDevice known("alice:1");
    ASSERT_TRUE(enrol(known, {.one_time = 1}));
    std::vector<ClaimTarget> targets;
    targets.push_back({Address::parse("nobody").value(), true, Bytes(32, 1)});
    targets.push_back({known.address(), true, std::nullopt});
    const auto outcome = run(store().claim(std::move(targets), std::nullopt, kTestNow));
    ASSERT_TRUE(outcome);
    ASSERT_EQ(outcome->size(), 2U);
    EXPECT_FALSE((*outcome)[0]);
    ASSERT_TRUE((*outcome)[1]) << "one unknown address does not spoil the others";
    EXPECT_EQ((*outcome)[1]->one_time, OneTimeStatus::issued);
    EXPECT_EQ(rows("claims"), 0);
}

TEST_P(StoreClaim, OldestBatchFirstAndRandomWithinIt) {
    set_policy(kNoReserve);
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device, {.one_time = 30}));
    ASSERT_TRUE(replenish(device, {.one_time = 10, .first_id = 101}));
    const auto order = claim_ids(device.address(), 40);
    EXPECT_EQ(sorted(part(order, 0, 30)), ids(1, 30));
    EXPECT_EQ(sorted(part(order, 30, 10)), ids(101, 110));
    EXPECT_FALSE(std::ranges::is_sorted(part(order, 0, 30)))
        << "sequential ids would tell a device's age and traffic";

    // The seed alone decides the order.
    TestDevice same("alice:2");
    ASSERT_TRUE(enrol(same, {.one_time = 30}));
    EXPECT_EQ(claim_ids(same.address(), 30), part(order, 0, 30));
    TestDevice other("alice:3");
    ASSERT_TRUE(run(store().enrol(other.registration({.one_time = 30}), other.accepted(),
                                  kTestIndex, kTestNow, 2)));
    const auto other_order = claim_ids(other.address(), 30);
    EXPECT_NE(other_order, part(order, 0, 30));
    EXPECT_EQ(sorted(other_order), ids(1, 30));
}

TEST_P(StoreClaim, TheBundleHoldsTheKeysThatWereUploaded) {
    for (const Suite suite : kSuites) {
        TestDevice device("alice:" + std::to_string(static_cast<int>(suite)), suite);
        ASSERT_TRUE(enrol(device, {.one_time = 1, .kem_one_time = uses_kem(suite) ? 1U : 0U}));
        const auto bundle = claim(device.address(), kTestNow + 5);
        ASSERT_TRUE(bundle && *bundle);
        EXPECT_EQ((*bundle)->one_time, OneTimeStatus::issued);
        EXPECT_EQ((*bundle)->suite, suite);
        EXPECT_EQ((*bundle)->remaining.one_time, 0);
        EXPECT_EQ((*bundle)->signed_prekey_created_at, kTestNow);
        const json::Object shown = bundle_object(**bundle);
        EXPECT_EQ(shown.at("oneTimePreKey"), json::Value(to_json(device.one_time(1))));
        EXPECT_EQ(shown.at("signedPreKey"), json::Value(to_json(device.signed_prekey(1))));
        EXPECT_EQ(shown.at("issuedAt"), json::Value(kTestNow + 5));
        if (!uses_kem(suite)) {
            EXPECT_TRUE(shown.at("kemPreKey").is_null());
            EXPECT_EQ((*bundle)->kem, KemStatus::none);
            continue;
        }
        EXPECT_EQ((*bundle)->kem, KemStatus::one_time);
        json::Object kem = to_json(device.kem(1));
        kem["lastResort"] = false;
        EXPECT_EQ(shown.at("kemPreKey"), json::Value(kem));
        const auto second = claim(device.address());
        ASSERT_TRUE(second && *second);
        EXPECT_EQ((*second)->one_time, OneTimeStatus::exhausted);
        EXPECT_EQ((*second)->kem, KemStatus::last_resort);
        kem = to_json(device.kem(900));
        kem["lastResort"] = true;
        EXPECT_EQ(bundle_object(**second).at("kemPreKey"), json::Value(kem));
        EXPECT_TRUE(bundle_object(**second).at("oneTimePreKey").is_null());
    }
}

// Twenty percent of the stock after an upload go to callers who say who they are.
TEST_P(StoreClaim, OnlyARefillChangesTheReserve) {
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    const auto reserves = [&] {
        const std::string counting =
            "select count(*) from shade_server_one_time_prekeys "
            "where issued_at is null and reserved = 1 and kind = ";
        return std::pair(number(counting + "0"), number(counting + "1"));
    };
    ASSERT_TRUE(enrol(device, {.one_time = 20, .kem_one_time = 10}));
    EXPECT_EQ(reserves(), std::pair(4L, 2L));
    static_cast<void>(claim_ids(device.address(), 8));
    EXPECT_EQ(reserves(), std::pair(4L, 2L));
    // A new signed prekey, an empty top-up, a repeat of an upload whose answer was lost.
    ASSERT_TRUE(enrol(device, {.signed_prekey_id = 2}, kTestNow + 1));
    ASSERT_TRUE(replenish(device, {}, kTestNow + 2));
    ASSERT_TRUE(enrol(device, {.one_time = 20, .signed_prekey_id = 2}, kTestNow + 3));
    EXPECT_EQ(reserves(), std::pair(4L, 2L));
    // Each kind follows its own refills.
    ASSERT_TRUE(replenish(device, {.kem_one_time = 13, .first_id = 100}, kTestNow + 4));
    EXPECT_EQ(reserves(), std::pair(4L, 3L));
    ASSERT_TRUE(replenish(device, {.one_time = 28, .first_id = 100}, kTestNow + 5));
    EXPECT_EQ(reserves(), std::pair(8L, 3L));
    ASSERT_TRUE(
        enrol(device,
              {.one_time = 5, .first_id = 200, .signed_prekey_id = 2, .mode = UploadMode::replace},
              kTestNow + 6));
    EXPECT_EQ(reserves(), std::pair(1L, 0L));
}

TEST_P(StoreClaim, TheReserveIsForIdentifiedCallers) {
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    TestDevice friend_of_hers("bob:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(friend_of_hers));
    ASSERT_TRUE(enrol(device, {.one_time = 10, .kem_one_time = 5}));
    for (int i = 0; i < 8; ++i) {
        const auto bundle = claim(device.address());
        ASSERT_TRUE(bundle && *bundle);
        EXPECT_EQ((*bundle)->one_time, OneTimeStatus::issued);
        EXPECT_EQ((*bundle)->kem, i < 4 ? KemStatus::one_time : KemStatus::last_resort);
    }
    const auto withheld = claim(device.address());
    ASSERT_TRUE(withheld && *withheld);
    EXPECT_EQ((*withheld)->one_time, OneTimeStatus::withheld);
    EXPECT_EQ(one_time_id(**withheld), 0);
    EXPECT_EQ((*withheld)->kem, KemStatus::last_resort);
    EXPECT_EQ((*withheld)->remaining.one_time, 2);
    EXPECT_FALSE((*withheld)->first_last_resort_use) << "nothing has run out";
    for (int i = 0; i < 2; ++i) {
        const auto reserved = claim(device.address(), kTestNow, &friend_of_hers);
        ASSERT_TRUE(reserved && *reserved) << reserved.error().id;
        EXPECT_EQ((*reserved)->one_time, OneTimeStatus::issued);
        EXPECT_EQ((*reserved)->kem, i == 0 ? KemStatus::one_time : KemStatus::last_resort);
        EXPECT_EQ((*reserved)->first_last_resort_use, i == 1) << "the KEM stock ran out";
    }
    const auto empty = claim(device.address(), kTestNow, &friend_of_hers);
    ASSERT_TRUE(empty && *empty);
    EXPECT_EQ((*empty)->one_time, OneTimeStatus::exhausted);
}

// It moves to the newest keys, so that the oldest are still issued first.
TEST_P(StoreClaim, TheReserveIsTheLastPartOfTheStock) {
    TestDevice device("alice:1");
    TestDevice caller("bob:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(caller));
    ASSERT_TRUE(enrol(device, {.one_time = 10}));
    const auto order = claim_ids(device.address(), 3);
    EXPECT_EQ(number("select count(*) from shade_server_one_time_prekeys where reserved = 1"), 2);
    // Five of these are there already, two of them reserved.
    ASSERT_TRUE(replenish(device, {.one_time = 14, .first_id = 6}));
    const auto stock = run(store().profile(device.address())).value()->stock.one_time;
    EXPECT_EQ(stock, 16);
    EXPECT_EQ(number("select count(*) from shade_server_one_time_prekeys where reserved = 1"), 3);
    EXPECT_EQ(number("select count(*) from shade_server_one_time_prekeys where reserved = 1 "
                     "and key_id <= 10"),
              0);
    const auto later = claim_ids(device.address(), 14);
    EXPECT_EQ(sorted(part(later, 0, 7)).back(), 10) << "the older batch first";
    EXPECT_EQ(std::ranges::count(later, 0), 1) << "thirteen are for everybody";
    std::vector<KeyId> kept;
    for (int i = 0; i < 3; ++i) {
        kept.push_back(one_time_id(**claim(device.address(), kTestNow, &caller)));
    }
    EXPECT_EQ(std::ranges::count(kept, 0), 0);
    EXPECT_EQ((*claim(device.address(), kTestNow, &caller))->one_time, OneTimeStatus::exhausted);
}

TEST_P(StoreClaim, LowAndExhaustedStockIsToldOncePerRefill) {
    set_policy({.reserve_percent = 0, .low_threshold = 3});
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    // "l" for low, "e" for exhausted, after each of `fetches` claims.
    const auto told = [&](int fetches, bool may_consume = true) {
        std::string heard;
        for (int i = 0; i < fetches; ++i) {
            const auto bundle = claim(device.address(), kTestNow, nullptr, may_consume);
            EXPECT_TRUE(bundle && *bundle);
            heard += std::string((*bundle)->first_low ? "l" : "") +
                     ((*bundle)->first_exhausted ? "e" : "") + ".";
        }
        return heard;
    };
    ASSERT_TRUE(enrol(device, {.one_time = 4, .kem_one_time = 20}));
    EXPECT_EQ(told(6), ".l..e...");
    ASSERT_TRUE(replenish(device, {.kem_one_time = 1, .first_id = 50}));
    EXPECT_EQ(told(2), "..") << "another kind's refill";
    ASSERT_TRUE(replenish(device, {.one_time = 4, .first_id = 1}));
    EXPECT_EQ(told(1), ".") << "only keys that were issued before: no refill";
    ASSERT_TRUE(replenish(device, {.one_time = 2, .first_id = 50}));
    EXPECT_EQ(told(1, false), ".") << "nothing was taken";
    EXPECT_EQ(told(3), "l.e..") << "a refill that does not reach the threshold";
    ASSERT_TRUE(replenish(device, {.one_time = 1, .first_id = 60}));
    EXPECT_EQ(told(2), "le..");
    ASSERT_TRUE(
        enrol(device, {.one_time = 3, .first_id = 70, .mode = UploadMode::replace}, kTestNow + 1));
    EXPECT_EQ(told(2), "l..");
    set_policy({.reserve_percent = 0, .low_threshold = 1});
    ASSERT_TRUE(
        enrol(device, {.one_time = 2, .first_id = 80, .mode = UploadMode::replace}, kTestNow + 2));
    EXPECT_EQ(told(3), ".e..") << "below one key is none";
}

TEST_P(StoreClaim, OverABudgetNothingIsConsumed) {
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    TestDevice caller("bob:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(caller));
    ASSERT_TRUE(enrol(device, {.one_time = 5, .kem_one_time = 5}));
    for (TestDevice* who : {static_cast<TestDevice*>(nullptr), &caller}) {
        const auto bundle = claim(device.address(), kTestNow, who, false);
        ASSERT_TRUE(bundle && *bundle);
        EXPECT_EQ((*bundle)->one_time, OneTimeStatus::withheld);
        EXPECT_EQ((*bundle)->kem, KemStatus::last_resort);
    }
    EXPECT_EQ(run(store().profile(device.address())).value()->stock.one_time, 5);
    EXPECT_EQ(run(store().profile(device.address())).value()->stock.kem_one_time, 5);
    TestDevice empty("carol:1", Suite::x3dh_ed25519, 3);
    ASSERT_TRUE(enrol(empty));
    EXPECT_EQ((*claim(empty.address(), kTestNow, nullptr, false))->one_time,
              OneTimeStatus::exhausted)
        << "what is not there cannot be withheld";
}

TEST_P(StoreClaim, ARequestersProofIsCheckedAndUsedUp) {
    TestDevice device("alice:1");
    TestDevice caller("bob:1", Suite::x3dh_ed25519, 2);
    TestDevice impostor("bob:1", Suite::x3dh_ed25519, 3);
    ASSERT_TRUE(enrol(device, {.one_time = 2}));
    EXPECT_EQ(outcome_id(claim(device.address(), kTestNow, &caller)), "SHADE_NOT_FOUND");
    ASSERT_TRUE(enrol(caller));
    EXPECT_EQ(outcome_id(claim(device.address(), kTestNow, &impostor)),
              "SHADE_BAD_REQUEST_SIGNATURE");
    const AcceptedProof proof = caller.accepted();
    std::vector<ClaimTarget> targets{{device.address(), true, std::nullopt}};
    EXPECT_TRUE(run(store().claim(targets, Store::Requester{caller.address(), proof}, kTestNow)));
    EXPECT_EQ(outcome_id(
                  run(store().claim(targets, Store::Requester{caller.address(), proof}, kTestNow))),
              "SHADE_REPLAY");
    EXPECT_EQ(run(store().profile(device.address())).value()->stock.one_time, 1);
}

TEST_P(StoreClaim, ARepeatedClaimGetsTheSameBundle) {
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    ASSERT_TRUE(enrol(device, {.one_time = 4, .kem_one_time = 4}));
    const Bytes hash(32, 1);
    const auto first = claim(device.address(), kTestNow, nullptr, true, hash);
    ASSERT_TRUE(first && *first);
    EXPECT_FALSE((*first)->repeated);
    for (const bool may_consume : {true, false}) {
        const auto again =
            claim(device.address(), kTestNow + 10 * kMinuteMs - 1, nullptr, may_consume, hash);
        ASSERT_TRUE(again && *again);
        EXPECT_TRUE((*again)->repeated);
        EXPECT_EQ((*again)->json, (*first)->json);
        EXPECT_EQ((*again)->signed_prekey_created_at, kTestNow);
    }
    EXPECT_EQ(run(store().profile(device.address())).value()->stock.one_time, 3);
    EXPECT_EQ(run(store().profile(device.address())).value()->stock.kem_one_time, 3);
    EXPECT_NE((*claim(device.address(), kTestNow, nullptr, true, Bytes(32, 2)))->json,
              (*first)->json);
    // Twice in one request counts as a repetition too.
    std::vector<ClaimTarget> targets(2, {device.address(), true, Bytes(32, 3)});
    const auto twice = run(store().claim(targets, std::nullopt, kTestNow));
    ASSERT_TRUE(twice);
    EXPECT_TRUE((*twice)[1]->repeated);
    EXPECT_EQ((*twice)[0]->json, (*twice)[1]->json);
    const auto later = claim(device.address(), kTestNow + 10 * kMinuteMs, nullptr, true, hash);
    ASSERT_TRUE(later && *later);
    EXPECT_FALSE((*later)->repeated) << "forgotten after ten minutes";
    EXPECT_NE(one_time_id(**later), one_time_id(**first));
}

TEST_P(StoreClaim, ARepeatedClaimNeverServesAFormerIdentity) {
    TestDevice device("alice:1");
    TestDevice next("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(device, {.one_time = 4}));
    const Bytes hash(32, 1);
    const auto before = claim(device.address(), kTestNow, nullptr, true, hash);
    ASSERT_TRUE(before && *before);
    ASSERT_TRUE(run(store().rotate_identity(next.registration({.one_time = 4}),
                                            device.accepted(kTestNow + 1), kTestNow + 1, 1)));
    const auto after = claim(device.address(), kTestNow + 2, nullptr, true, hash);
    ASSERT_TRUE(after && *after);
    EXPECT_FALSE((*after)->repeated);
    EXPECT_EQ(bundle_object(**after).at("identitySigningKey"),
              register_body(next.registration()).at("identitySigningKey"));
    EXPECT_EQ(bundle_object(**after).at("oneTimePreKey").get_object().at("publicKey"),
              to_json(next.one_time(one_time_id(**after))).at("publicKey"));
    // And the new one is what is remembered now.
    EXPECT_EQ((*claim(device.address(), kTestNow + 3, nullptr, true, hash))->json, (*after)->json);
}

TEST_P(StoreClaim, LastResortUseIsToldOnce) {
    set_policy(kNoReserve);
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    ASSERT_TRUE(enrol(device, {.one_time = 2, .kem_one_time = 1}));
    const auto used = [&] {
        return run(store().count(device.address(), std::nullopt, kTestNow))
            .value()
            .last_resort_used;
    };
    EXPECT_FALSE((*claim(device.address()))->first_last_resort_use);
    EXPECT_FALSE(used());
    // The KEM stock is out first: that key is now shared.
    const auto shared = claim(device.address());
    EXPECT_EQ((*shared)->one_time, OneTimeStatus::issued);
    EXPECT_TRUE((*shared)->first_last_resort_use);
    EXPECT_TRUE(used());
    EXPECT_FALSE((*claim(device.address()))->first_last_resort_use) << "told already";
    // A new signed prekey and last resort come with the next keys.
    ASSERT_TRUE(enrol(device,
                      {.one_time = 1,
                       .kem_one_time = 1,
                       .first_id = 50,
                       .signed_prekey_id = 2,
                       .last_resort_id = 901},
                      kTestNow + 1));
    EXPECT_FALSE(used());
    EXPECT_FALSE((*claim(device.address()))->first_last_resort_use);
    EXPECT_TRUE((*claim(device.address()))->first_last_resort_use);
}

TEST_P(StoreClaim, FetchesAreNotedAtMostOnceAMinute) {
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device, {.one_time = 20}));
    const auto noted = [&] {
        return std::pair(number("select last_fetch_at from shade_server_identities"),
                         number("select last_activity_at from shade_server_identities"));
    };
    static_cast<void>(claim_ids(device.address(), 1, kTestNow + 1));
    EXPECT_EQ(noted(), std::pair(kTestNow + 1, kTestNow + 1));
    static_cast<void>(claim_ids(device.address(), 1, kTestNow + kMinuteMs));
    EXPECT_EQ(noted(), std::pair(kTestNow + 1, kTestNow + 1));
    static_cast<void>(claim_ids(device.address(), 1, kTestNow + kMinuteMs + 1));
    EXPECT_EQ(noted(), std::pair(kTestNow + kMinuteMs + 1, kTestNow + kMinuteMs + 1));
    set_policy({.touch_on_fetch = false});
    static_cast<void>(claim_ids(device.address(), 1, kTestNow + kHourMs));
    EXPECT_EQ(noted(), std::pair(kTestNow + kHourMs, kTestNow + kMinuteMs + 1))
        << "seen, but not kept alive by strangers";
}

TEST_P(StoreClaim, LastResortUseIsNotedHoweverSoonAfterAnotherFetch) {
    set_policy(kNoReserve);
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device, {.one_time = 1}));
    EXPECT_FALSE((*claim(device.address(), kTestNow))->first_last_resort_use);
    EXPECT_TRUE((*claim(device.address(), kTestNow + 1))->first_last_resort_use);
    EXPECT_FALSE((*claim(device.address(), kTestNow + 2))->first_last_resort_use);
    EXPECT_EQ(number("select used_alone_at from shade_server_signed_prekeys"), kTestNow + 1);
    EXPECT_EQ(number("select last_fetch_at from shade_server_identities"), kTestNow);
}

}  // namespace
}  // namespace nave::prekeys
