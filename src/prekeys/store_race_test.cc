// Requests that meet in the database: whatever their order, the promises hold.
#include "prekeys/test_store.h"

#include <gtest/gtest.h>

#include <set>

namespace nave::prekeys {
namespace {

constexpr StorePolicy kNoReserve{.reserve_percent = 0};

class StoreRace : public StoreTest {
  protected:
    void SetUp() override { use_store(GetParam(), kNoReserve); }

    [[nodiscard]] Task<Result<ClaimOutcome>> claim_task(const Address& address,
                                                        std::optional<Bytes> hash = {},
                                                        TestDevice* requester = nullptr) {
        std::vector<ClaimTarget> targets;
        targets.push_back({address, true, std::move(hash)});
        std::optional<Store::Requester> who;
        if (requester != nullptr) {
            who = Store::Requester{requester->address(), requester->accepted()};
        }
        return store().claim(std::move(targets), std::move(who), kTestNow);
    }
    std::int64_t reserved(const TestDevice& device) {
        return number(
            "select count(*) from shade_server_one_time_prekeys where reserved = 1 "
            "and issued_at is null and address = '" +
            device.address().text() + "'");
    }
};
PREKEYS_ON_EVERY_STORE(StoreRace);

TEST_P(StoreRace, ParallelClaimsHandOutEachKeyOnce) {
    TestDevice device("alice:1", Suite::pqxdh_ed25519);
    ASSERT_TRUE(enrol(device, {.one_time = 40, .kem_one_time = 20}));
    std::vector<Task<Result<ClaimOutcome>>> tasks;
    for (int i = 0; i < 32; ++i) {
        tasks.push_back(claim_task(device.address()));
    }
    std::set<KeyId> curve;
    std::set<KeyId> kem;
    std::size_t last_resort = 0;
    for (const auto& outcome : run_all(std::move(tasks))) {
        ASSERT_TRUE(outcome) << outcome.error().id << outcome.error().detail;
        const ClaimedBundle& bundle = *outcome->front();
        EXPECT_EQ(bundle.one_time, OneTimeStatus::issued);
        EXPECT_TRUE(curve.insert(one_time_id(bundle)).second) << "handed out twice";
        if (kem_is_last_resort(bundle)) {
            ++last_resort;
        } else {
            EXPECT_TRUE(kem.insert(kem_id(bundle)).second) << "handed out twice";
        }
    }
    EXPECT_EQ(curve.size(), 32U);
    EXPECT_EQ(kem.size(), 20U) << "every one of them";
    EXPECT_EQ(last_resort, 12U);
    EXPECT_EQ(run(store().profile(device.address())).value()->stock.one_time, 8);
}

TEST_P(StoreRace, ParallelClaimsOfTheLastKeys) {
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device, {.one_time = 5}));
    std::vector<Task<Result<ClaimOutcome>>> tasks;
    for (int i = 0; i < 32; ++i) {
        tasks.push_back(claim_task(device.address()));
    }
    std::multiset<KeyId> issued;
    for (const auto& outcome : run_all(std::move(tasks))) {
        ASSERT_TRUE(outcome) << outcome.error().id << outcome.error().detail;
        issued.insert(one_time_id(*outcome->front()));
    }
    EXPECT_EQ(issued, (std::multiset<KeyId>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5}));
}

// However many anonymous callers come at once, what is kept for others stays: of both kinds.
TEST_P(StoreRace, ParallelClaimsLeaveTheReserve) {
    set_policy({.reserve_percent = 20});
    for (int round = 0; round < 10; ++round) {
        TestDevice device("alice:" + std::to_string(round), Suite::pqxdh_ed25519);
        ASSERT_TRUE(enrol(device, {.one_time = 20, .kem_one_time = 20}));
        static_cast<void>(claim_ids(device.address(), 14));
        std::vector<Task<Result<ClaimOutcome>>> tasks;
        for (int i = 0; i < 16; ++i) {
            tasks.push_back(claim_task(device.address()));
        }
        std::size_t issued = 0;
        std::size_t kem_issued = 0;
        for (const auto& outcome : run_all(std::move(tasks))) {
            ASSERT_TRUE(outcome) << outcome.error().id << outcome.error().detail;
            const ClaimedBundle& bundle = *outcome->front();
            issued += bundle.one_time == OneTimeStatus::issued ? 1 : 0;
            kem_issued += bundle.kem == KemStatus::one_time ? 1 : 0;
            EXPECT_NE(bundle.one_time, OneTimeStatus::exhausted) << "there is the reserve";
            EXPECT_FALSE(bundle.first_last_resort_use);
        }
        EXPECT_EQ(issued, 2U);
        EXPECT_EQ(kem_issued, 2U);
        EXPECT_EQ(reserved(device), 8);
        EXPECT_EQ(run(store().profile(device.address())).value()->stock.one_time, 4);
        EXPECT_EQ(run(store().profile(device.address())).value()->stock.kem_one_time, 4);
    }
}

TEST_P(StoreRace, TheReserveServesIdentifiedCallersInACrowd) {
    set_policy({.reserve_percent = 20});
    TestDevice caller("bob:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(caller));
    for (int round = 0; round < 10; ++round) {
        TestDevice device("alice:" + std::to_string(round));
        ASSERT_TRUE(enrol(device, {.one_time = 20}));
        static_cast<void>(claim_ids(device.address(), 14));
        std::vector<Task<Result<ClaimOutcome>>> tasks;
        for (int i = 0; i < 16; ++i) {
            tasks.push_back(claim_task(device.address(), {}, i % 4 == 3 ? &caller : nullptr));
        }
        const auto outcomes = run_all(std::move(tasks));
        std::set<KeyId> issued;
        for (std::size_t i = 0; i < outcomes.size(); ++i) {
            ASSERT_TRUE(outcomes[i]) << outcomes[i].error().id << outcomes[i].error().detail;
            const ClaimedBundle& bundle = *outcomes[i]->front();
            const bool got_one = bundle.one_time == OneTimeStatus::issued;
            EXPECT_TRUE(got_one || i % 4 != 3) << "an identified caller went without";
            EXPECT_TRUE(!got_one || issued.insert(one_time_id(bundle)).second);
        }
        EXPECT_LE(issued.size(), 6U);
    }
}

// Who took the twentieth-last key, and who the last, is decided by the order of the keys, not by
// counts that each claim sees of the others.
TEST_P(StoreRace, LowAndExhaustedStockIsToldOnceByClaimsThatMeet) {
    set_policy({.reserve_percent = 0, .low_threshold = 20});
    const std::uint64_t retries_before = db().stats().retries;
    for (int round = 0; round < 10; ++round) {
        TestDevice device("alice:" + std::to_string(round), Suite::pqxdh_ed25519);
        ASSERT_TRUE(enrol(device, {.one_time = 22, .kem_one_time = 25}));
        std::vector<Task<Result<ClaimOutcome>>> tasks;
        for (int i = 0; i < 30; ++i) {
            tasks.push_back(claim_task(device.address()));
        }
        std::multiset<std::int64_t> low;
        std::multiset<std::int64_t> exhausted;
        std::set<std::int64_t> remaining;
        for (const auto& outcome : run_all(std::move(tasks))) {
            ASSERT_TRUE(outcome) << outcome.error().id << outcome.error().detail;
            const ClaimedBundle& bundle = *outcome->front();
            if (bundle.one_time == OneTimeStatus::issued) {
                EXPECT_TRUE(remaining.insert(bundle.remaining.one_time).second)
                    << "as if one came after the other";
            }
            if (bundle.first_low) {
                low.insert(std::min(bundle.remaining.one_time, bundle.remaining.kem_one_time));
            }
            if (bundle.first_exhausted) {
                exhausted.insert(
                    std::min(bundle.remaining.one_time, bundle.remaining.kem_one_time));
            }
        }
        // Of each kind once, or both with one claim.
        EXPECT_GE(low.size(), 1U);
        EXPECT_LE(low.size(), 2U);
        EXPECT_LT(*low.rbegin(), 20);
        EXPECT_GE(exhausted.size(), 1U);
        EXPECT_LE(exhausted.size(), 2U);
        EXPECT_EQ(*exhausted.rbegin(), 0);
        EXPECT_EQ(number("select one_time_told from shade_server_identities where address = '" +
                         device.address().text() + "'"),
                  3);
        EXPECT_EQ(number("select kem_told from shade_server_identities where address = '" +
                         device.address().text() + "'"),
                  3);
    }
    if (GetParam() == storage::Store::postgres) {
        EXPECT_EQ(db().stats().retries, retries_before);
    }
}

// A client that retries while its first attempt is still under way must not burn a second key.
TEST_P(StoreRace, OneClaimSentManyTimesAtOnceTakesOneKey) {
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device, {.one_time = 40}));
    for (std::uint8_t round = 0; round < 4; ++round) {
        std::vector<Task<Result<ClaimOutcome>>> tasks;
        for (int i = 0; i < 8; ++i) {
            tasks.push_back(claim_task(device.address(), Bytes(32, round)));
        }
        std::set<std::string> bundles;
        int first = 0;
        for (const auto& outcome : run_all(std::move(tasks))) {
            ASSERT_TRUE(outcome) << outcome.error().id << outcome.error().detail;
            bundles.insert(outcome->front()->json);
            first += outcome->front()->repeated ? 0 : 1;
        }
        EXPECT_EQ(bundles.size(), 1U);
        EXPECT_EQ(first, 1);
        EXPECT_EQ(run(store().profile(device.address())).value()->stock.one_time, 39 - round);
    }
}

// Batches that name the same targets in opposite order must not fail each other.
TEST_P(StoreRace, BatchesInOppositeOrder) {
    TestDevice alice("alice:1");
    TestDevice bob("bob:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(alice, {.one_time = 30}));
    ASSERT_TRUE(enrol(bob, {.one_time = 30}));
    std::vector<Task<Result<ClaimOutcome>>> tasks;
    for (int i = 0; i < 24; ++i) {
        std::vector<ClaimTarget> targets;
        for (const bool alice_now : {i % 2 == 0, i % 2 == 1}) {
            targets.push_back({alice_now ? alice.address() : bob.address(), true, std::nullopt});
        }
        tasks.push_back(
            store().claim(std::move(targets), std::nullopt, kTestNow + i * 2 * kMinuteMs));
    }
    for (const auto& outcome : run_all(std::move(tasks))) {
        ASSERT_TRUE(outcome) << outcome.error().id << outcome.error().detail;
    }
    EXPECT_EQ(run(store().profile(alice.address())).value()->stock.one_time, 6);
    EXPECT_EQ(run(store().profile(bob.address())).value()->stock.one_time, 6);
}

TEST_P(StoreRace, OneProofSentManyTimesAtOnceCountsOnce) {
    TestDevice device("alice:1");
    ASSERT_TRUE(enrol(device));
    const AcceptedProof proof = device.accepted();
    std::vector<Task<Result<CountOutcome>>> tasks;
    for (int i = 0; i < 8; ++i) {
        tasks.push_back(store().count(device.address(), proof, kTestNow));
    }
    std::multiset<std::string> outcomes;
    for (const auto& outcome : run_all(std::move(tasks))) {
        outcomes.insert(outcome_id(outcome));
    }
    EXPECT_EQ(outcomes.count("ok"), 1U);
    EXPECT_EQ(outcomes.count("SHADE_REPLAY"), 7U);
}

TEST_P(StoreRace, TheFirstOfTwoIdentitiesGetsTheAddress) {
    for (int round = 0; round < 5; ++round) {
        const std::string name = "alice:" + std::to_string(round);
        std::vector<Task<Result<EnrolOutcome>>> tasks;
        for (std::uint64_t seed = 1; seed <= 4; ++seed) {
            TestDevice device(name, Suite::x3dh_ed25519, seed);
            tasks.push_back(store().enrol(device.registration({.one_time = 3}), device.accepted(),
                                          kTestIndex, kTestNow, 1));
        }
        std::multiset<std::string> outcomes;
        for (const auto& outcome : run_all(std::move(tasks))) {
            outcomes.insert(outcome_id(outcome));
        }
        EXPECT_EQ(outcomes.count("ok"), 1U);
        EXPECT_EQ(outcomes.count("SHADE_IDENTITY_CONFLICT"), 3U);
        EXPECT_EQ(rows("one_time_prekeys"), 3 * (round + 1));
        EXPECT_EQ(leaf_count(), round + 1);
    }
}

// Claims and an owner's writes lock the same rows: in one order, so that none has to be ended and
// run again, which costs a second each (PostgreSQL's deadlock_timeout).
TEST_P(StoreRace, ClaimsAndOwnerWritesNeverBlockEachOther) {
    const std::uint64_t retries_before = db().stats().retries;
    for (int round = 0; round < 30; ++round) {
        const std::string name = "alice:" + std::to_string(round);
        const auto seed = static_cast<std::uint64_t>(round);
        TestDevice device(name, Suite::x3dh_ed25519, 100 + seed);
        TestDevice next(name, Suite::x3dh_ed25519, 200 + seed);
        ASSERT_TRUE(enrol(device, {.one_time = 20}));
        const auto failed = [](auto task) -> Task<Result<bool>> {
            const auto outcome = co_await std::move(task);
            co_return Result<bool>(!outcome && outcome.error().id.starts_with("storage."));
        };
        std::vector<Task<Result<bool>>> tasks;
        for (int i = 0; i < 8; ++i) {
            // Minutes apart, so that each notes its fetch in the identity's row.
            std::vector<ClaimTarget> targets;
            targets.push_back({device.address(), true, std::nullopt});
            tasks.push_back(failed(
                store().claim(std::move(targets), std::nullopt, kTestNow + i * 2 * kMinuteMs)));
            if (i == 3 && round % 3 == 0) {
                tasks.push_back(failed(store().enrol(
                    device.registration({.one_time = 20, .mode = UploadMode::replace}),
                    device.accepted(kTestNow + 1), kTestIndex, kTestNow, 1)));
            } else if (i == 3 && round % 3 == 1) {
                tasks.push_back(failed(store().rotate_identity(
                    next.registration(), device.accepted(kTestNow + 1), kTestNow, 1)));
            } else if (i == 3) {
                tasks.push_back(
                    failed(store().replenish(device.replenishment({.one_time = 20}),
                                             device.accepted(kTestNow + 1), kTestNow, 1)));
            }
        }
        for (const auto& outcome : run_all(std::move(tasks))) {
            EXPECT_FALSE(outcome.value());
        }
    }
    if (GetParam() == storage::Store::postgres) {
        EXPECT_EQ(db().stats().retries, retries_before);
    }
}

// A claim holds its target's turn and waits for the next; the purge holds rows and must not wait.
TEST_P(StoreRace, ThePurgeDoesNotWaitForClaims) {
    const std::uint64_t retries_before = db().stats().retries;
    for (int round = 0; round < 10; ++round) {
        TestDevice alice("alice:1", Suite::x3dh_ed25519, 1);
        TestDevice bob("bob:1", Suite::x3dh_ed25519, 2);
        const UnixMillis at = kTestNow + round * kDayMs;
        ASSERT_TRUE(enrol(alice, {.one_time = 10, .first_id = 1 + round * 100}, at));
        ASSERT_TRUE(enrol(bob, {.one_time = 10, .first_id = 1 + round * 100}, at));
        const auto failed = [](auto task) -> Task<Result<bool>> {
            const auto outcome = co_await std::move(task);
            co_return Result<bool>(!outcome.has_value());
        };
        std::vector<Task<Result<bool>>> tasks;
        for (int i = 0; i < 6; ++i) {
            std::vector<ClaimTarget> targets;
            targets.push_back({alice.address(), true, std::nullopt});
            targets.push_back({bob.address(), true, std::nullopt});
            tasks.push_back(failed(
                store().claim(std::move(targets), std::nullopt, at + 1 + i * 2 * kMinuteMs)));
            if (i == 2) {
                tasks.push_back(failed(store().purge_stale_identities(at + 1, 10, at + kHourMs)));
            }
        }
        for (const auto& outcome : run_all(std::move(tasks))) {
            EXPECT_FALSE(outcome.value());
        }
    }
    if (GetParam() == storage::Store::postgres) {
        EXPECT_EQ(db().stats().retries, retries_before);
    }
}

// Owner's writes that meet: an upload authorised by an identity must not land under another, or
// under none.
TEST_P(StoreRace, UploadsDoNotOutliveTheIdentityThatSignedThem) {
    for (int round = 0; round < 8; ++round) {
        const std::string name = "alice:" + std::to_string(round);
        const bool removes = round % 2 == 0;
        TestDevice device(name, Suite::x3dh_ed25519, 10);
        TestDevice next(name, Suite::x3dh_ed25519, 20 + static_cast<std::uint64_t>(round));
        ASSERT_TRUE(enrol(device, {.one_time = 1}));
        std::vector<Task<Result<bool>>> tasks;
        const auto succeeded = [](auto task) -> Task<Result<bool>> {
            auto outcome = co_await std::move(task);
            co_return Result<bool>(outcome.has_value());
        };
        for (KeyId i = 1; i <= 6; ++i) {
            tasks.push_back(succeeded(
                store().replenish(device.replenishment({.one_time = 20, .first_id = i * 100}),
                                  device.accepted(), kTestNow, 1)));
            if (i == 3 && removes) {
                tasks.push_back(
                    succeeded(store().remove(device.address(), device.accepted(), kTestNow)));
            } else if (i == 3) {
                tasks.push_back(succeeded(store().rotate_identity(
                    next.registration(), device.accepted(kTestNow + 1), kTestNow, 1)));
            }
        }
        EXPECT_TRUE(run_all(std::move(tasks))[3].value());
        EXPECT_EQ(number("select count(*) from shade_server_one_time_prekeys where address = '" +
                         name + "'"),
                  0)
            << (removes ? "after removal" : "after rotation");
        EXPECT_EQ(number("select count(*) from shade_server_signed_prekeys where address = '" +
                         name + "' and retired_at is null"),
                  removes ? 0 : 1);
    }
}

}  // namespace
}  // namespace nave::prekeys
