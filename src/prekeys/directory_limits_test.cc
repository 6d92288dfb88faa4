// Budgets: who pays for what, what is given back, and how a drained target degrades.
#include "prekeys/test_directory.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace nave::prekeys {
namespace {

using namespace std::chrono_literals;

class DirectoryLimits : public DirectoryTest {
  protected:
    TestDevice alice_{"alice:1"};
    const Address nobody_ = Address::parse("nobody").value();
};

TEST_F(DirectoryLimits, RegistrationsPerClient) {
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(register_as(TestDevice(fmt::format("user:{}", i))));
    }
    static_cast<void>(events_.take());
    const auto refused = register_as(alice_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().id, "SHADE_RATE_LIMITED");
    EXPECT_EQ(refused.error().retry_after, 12min);
    EXPECT_EQ(events_.last(EventType::rate_limited).limit, "register");
    EXPECT_EQ(events_.last(EventType::rate_limited).client_key, "198.51.100.1");
    EXPECT_EQ(events_.take(), "rate_limited");
    EXPECT_EQ(outcome_id(register_as(alice_, {}, "198.51.100.2")), "ok");
    clock_.advance(12min - 1ms);
    EXPECT_EQ(outcome_id(register_as(alice_)), "SHADE_RATE_LIMITED");
    clock_.advance(1ms);
    EXPECT_EQ(outcome_id(register_as(alice_)), "ok");
}

TEST_F(DirectoryLimits, FetchesOfAllKindsPerClient) {
    ASSERT_TRUE(enrol(alice_, {.one_time = 5}));
    std::vector<ClaimItem> items(50, {nobody_, std::nullopt});
    EXPECT_TRUE(claim_as(items, "client")) << "each target of a batch counts";
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(fetch(nobody_, "client"), "absent");
        EXPECT_EQ(
            outcome_id(run(directory().profile(alice_.address(), std::nullopt, Caller{"client"}))),
            "ok");
        EXPECT_EQ(
            outcome_id(run(directory().exists(alice_.address(), std::nullopt, Caller{"client"}))),
            "ok");
        EXPECT_EQ(outcome_id(run(directory().check(alice_.address(), Bytes(32), std::nullopt,
                                                   Caller{"client"}))),
                  "SHADE_DIGEST_MISMATCH");
        EXPECT_TRUE(directory().admit_fetch(Caller{"client"}));
    }
    EXPECT_EQ(fetch(alice_.address(), "client"), "SHADE_RATE_LIMITED");
    EXPECT_EQ(
        outcome_id(run(directory().profile(alice_.address(), std::nullopt, Caller{"client"}))),
        "SHADE_RATE_LIMITED");
    config_.public_count = true;
    EXPECT_EQ(outcome_id(run(directory().count(alice_.address(), std::nullopt, Caller{"client"}))),
              "SHADE_RATE_LIMITED");
    EXPECT_EQ(events_.last(EventType::rate_limited).limit, "fetch");
    EXPECT_EQ(run(store().profile(alice_.address())).value()->stock.one_time, 5);
    EXPECT_EQ(fetch(alice_.address(), "another"), "issued");
    clock_.advance(1s);
    EXPECT_EQ(fetch(alice_.address(), "client"), "issued");
}

TEST_F(DirectoryLimits, UploadsPerIdentityAndOnlyByItsOwner) {
    const TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(alice_));
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(outcome_id(replenish_as(stranger, {.one_time = 1})),
                  "SHADE_BAD_REQUEST_SIGNATURE");
    }
    for (int i = 0; i < 9; ++i) {
        EXPECT_EQ(outcome_id(replenish_as(alice_, {.one_time = 1})), "ok") << i;
    }
    const auto rotate = [&] {
        return outcome_id(
            run(directory().rotate_signed_prekey({alice_.address(), alice_.signed_prekey(2), {}},
                                                 authenticate(alice_).value(), Caller{"c"})));
    };
    clock_.advance(1ms);
    EXPECT_EQ(rotate(), "ok");
    EXPECT_EQ(rotate(), "SHADE_RATE_LIMITED") << "uploads of all kinds share the budget";
    EXPECT_EQ(outcome_id(replenish_as(alice_, {.one_time = 1})), "SHADE_RATE_LIMITED");
    EXPECT_EQ(events_.last(EventType::rate_limited).limit, "replenish");
    clock_.advance(6s);
    EXPECT_EQ(outcome_id(replenish_as(alice_, {.one_time = 1})), "ok");
}

TEST_F(DirectoryLimits, OneCallerGetsSixKeysOfATargetThenOneInTenMinutes) {
    ASSERT_TRUE(enrol(alice_, {.one_time = 40}));
    EXPECT_EQ(issued(alice_.address(), 6), 6);
    EXPECT_EQ(fetch(alice_.address()), "withheld") << "never refused";
    EXPECT_EQ(events_.last(EventType::key_withheld).limit, "pair");
    EXPECT_EQ(events_.last(EventType::key_withheld).address, alice_.address());
    EXPECT_EQ(events_.count(EventType::depletion_suspected), 0U);
    EXPECT_EQ(issued(alice_.address(), 3, "another"), 3);
    clock_.advance(10min);
    EXPECT_EQ(issued(alice_.address(), 3), 1);
}

TEST_F(DirectoryLimits, StrangersTogetherGetTwentyKeysOfATarget) {
    TestDevice friend_of_hers("bob:1", Suite::x3dh_ed25519, 2);
    TestDevice carol("carol:1", Suite::x3dh_ed25519, 3);
    ASSERT_TRUE(enrol(friend_of_hers));
    ASSERT_TRUE(enrol(carol, {.one_time = 1}));
    ASSERT_TRUE(enrol(alice_, {.one_time = 60}));
    int handed_out = 0;
    for (int client = 0; client < 30; ++client) {
        handed_out += issued(alice_.address(), 1, fmt::format("client {}", client));
    }
    EXPECT_EQ(handed_out, 20);
    EXPECT_EQ(events_.count(EventType::key_withheld), 10U);
    EXPECT_EQ(events_.last(EventType::key_withheld).limit, "target");
    EXPECT_EQ(events_.count(EventType::depletion_suspected), 1U) << "once, not ten times";
    EXPECT_EQ(events_.last(EventType::depletion_suspected).address, alice_.address());
    // Strangers drain neither other targets nor what callers get who say who they are.
    EXPECT_EQ(fetch(carol.address(), "client 1"), "issued");
    EXPECT_EQ(issued(alice_.address(), 8, "client 1", &friend_of_hers), 5)
        << "the client has had one as a stranger";
    EXPECT_EQ(issued(alice_.address(), 3, "client 2", &friend_of_hers), 1)
        << "an identified caller counts by name, wherever it comes from";
    // Twelve minutes bring six keys back; who was refused before has its own six still.
    EXPECT_EQ(issued(alice_.address(), 10, "late"), 0);
    clock_.advance(12min);
    EXPECT_EQ(issued(alice_.address(), 8, "late"), 6);
    EXPECT_EQ(events_.count(EventType::depletion_suspected), 1U);
    clock_.advance(1h);
    for (int client = 0; client < 25; ++client) {
        static_cast<void>(fetch(alice_.address(), fmt::format("later {}", client)));
    }
    EXPECT_EQ(events_.count(EventType::depletion_suspected), 2U) << "and again after an hour";
}

// Registering is free, so a name must not buy more than the client address has.
TEST_F(DirectoryLimits, NamesDoNotMultiplyTheBudgetOfAClient) {
    ASSERT_TRUE(enrol(alice_, {.one_time = 60}));
    std::vector<TestDevice> sybils;
    for (std::uint64_t i = 0; i < 4; ++i) {
        sybils.emplace_back(fmt::format("sybil:{}", i), Suite::x3dh_ed25519, 100 + i);
        ASSERT_TRUE(enrol(sybils.back()));
    }
    int handed_out = issued(alice_.address(), 3, "attacker");
    for (const TestDevice& sybil : sybils) {
        handed_out += issued(alice_.address(), 8, "attacker", &sybil);
        EXPECT_EQ(fetch(alice_.address(), "attacker", &sybil), "withheld") << "never refused";
    }
    EXPECT_EQ(handed_out, 6);
    EXPECT_EQ(events_.last(EventType::key_withheld).limit, "pair");
    EXPECT_EQ(fetch(alice_.address(), "honest", &sybils[0]), "issued")
        << "what the address was refused, the name was not charged for";
}

// A name that looks like a client's key must not use up that client's budget.
TEST_F(DirectoryLimits, ANameCannotPassForAClient) {
    TestDevice device("ip:198.51.100.7", Suite::x3dh_ed25519, 5);
    ASSERT_TRUE(enrol(device));
    ASSERT_TRUE(enrol(alice_, {.one_time = 60}));
    EXPECT_EQ(issued(alice_.address(), 6, "elsewhere", &device), 6);
    EXPECT_EQ(issued(alice_.address(), 7, "198.51.100.7"), 6);
}

TEST_F(DirectoryLimits, IdentifiedCallersTogetherHaveATargetBudgetToo) {
    ASSERT_TRUE(enrol(alice_, {.one_time = 60}));
    int handed_out = 0;
    for (int i = 0; i < 20; ++i) {
        TestDevice device(fmt::format("caller:{}", i), Suite::x3dh_ed25519,
                          static_cast<std::uint64_t>(200 + i));
        ASSERT_TRUE(enrol(device));
        handed_out += issued(alice_.address(), 1, fmt::format("client {}", i), &device);
    }
    EXPECT_EQ(handed_out, 12);
    EXPECT_EQ(events_.last(EventType::key_withheld).limit, "target");
    EXPECT_EQ(events_.count(EventType::depletion_suspected), 1U);
    EXPECT_EQ(fetch(alice_.address(), "a stranger"), "issued")
        << "anonymous callers have their own";
}

TEST_F(DirectoryLimits, WhatUsedNoKeyCostsNoBudget) {
    ASSERT_TRUE(enrol(alice_));
    for (int i = 0; i < 25; ++i) {
        EXPECT_EQ(fetch(alice_.address()), "exhausted");
        EXPECT_EQ(fetch(nobody_), "absent");
    }
    clock_.advance(1min);
    ASSERT_TRUE(replenish(alice_, {.one_time = 40}));
    const std::vector<ClaimItem> repeated{{alice_.address(), Bytes(16, 1)}};
    for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(claim_as(repeated, "198.51.100.7"));
    }
    EXPECT_EQ(issued(alice_.address(), 10), 5) << "the first claim took one of six";
    int handed_out = 0;
    for (int client = 0; client < 30; ++client) {
        handed_out += issued(alice_.address(), 1, fmt::format("client {}", client));
    }
    EXPECT_EQ(handed_out, 14) << "twenty less those six";
}

TEST_F(DirectoryLimits, AFailedClaimCostsNoBudget) {
    TestDevice bob("bob:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(bob));
    ASSERT_TRUE(enrol(alice_, {.one_time = 40}));
    const RequestProof proof = bob.header_proof();
    const std::vector<ClaimItem> items{{alice_.address(), std::nullopt}};
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(outcome_id(run(directory().claim(items, proof, Caller{"c"}))),
                  i == 0 ? "ok" : "SHADE_REPLAY");
    }
    EXPECT_EQ(issued(alice_.address(), 10, "c", &bob), 5);
}

// A KEM one-time key is a key too.
TEST_F(DirectoryLimits, KemKeysAloneUseTheBudget) {
    TestDevice device("kem:1", Suite::pqxdh_ed25519);
    ASSERT_TRUE(enrol(device, {.kem_one_time = 20}));
    int one_time_kem = 0;
    for (int i = 0; i < 10; ++i) {
        const auto outcome = claim_as({{device.address(), std::nullopt}}, "c");
        one_time_kem += outcome->front()->kem == KemStatus::one_time ? 1 : 0;
    }
    EXPECT_EQ(one_time_kem, 6);
}

TEST_F(DirectoryLimits, FailedSignaturesCloseTheDoorForTheirClient) {
    const TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(alice_));
    for (int i = 0; i < 60; ++i) {
        EXPECT_EQ(outcome_id(authenticate(stranger, "bad")), "SHADE_BAD_REQUEST_SIGNATURE");
        EXPECT_EQ(outcome_id(run(directory().authenticate(
                      alice_.address(), alice_.body_proof(kTestNow - 400'000), Caller{"late"}))),
                  "SHADE_TIMESTAMP_SKEW");
    }
    const auto refused = authenticate(alice_, "bad");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().id, "SHADE_RATE_LIMITED");
    EXPECT_EQ(refused.error().retry_after, 1s);
    EXPECT_EQ(outcome_id(register_as(alice_, {}, "bad")), "SHADE_RATE_LIMITED");
    EXPECT_EQ(outcome_id(authenticate(alice_, "good")), "ok");
    EXPECT_EQ(outcome_id(authenticate(alice_, "late")), "ok") << "a wrong clock is no attack";
    EXPECT_EQ(fetch(alice_.address(), "bad"), "exhausted") << "fetches need no signature";
    clock_.advance(1s);
    EXPECT_EQ(outcome_id(authenticate(alice_, "bad")), "ok");
}

// Begun at once, so that none has failed yet when the last one begins.
TEST_F(DirectoryLimits, FailedSignaturesAreLimitedInParallelToo) {
    const TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol(alice_));
    const auto ask = [&](const TestDevice& device, int times) {
        std::vector<Task<Result<SignedIdentity>>> tasks;
        for (int i = 0; i < times; ++i) {
            tasks.push_back(directory().authenticate(
                alice_.address(), device.header_proof(clock_.now()), Caller{"many"}));
        }
        std::map<std::string, int> outcomes;
        for (const auto& outcome : run_all(std::move(tasks))) {
            ++outcomes[outcome_id(outcome)];
        }
        return outcomes;
    };
    using Outcomes = std::map<std::string, int>;
    EXPECT_EQ(ask(alice_, 60), (Outcomes{{"ok", 60}})) << "what succeeds is given back";
    EXPECT_EQ(ask(stranger, 100),
              (Outcomes{{"SHADE_BAD_REQUEST_SIGNATURE", 60}, {"SHADE_RATE_LIMITED", 40}}));
}

// The answer to a signed request says whether its address exists.
TEST_F(DirectoryLimits, AskingForUnknownAddressesCountsAsFailure) {
    const TestDevice guess("guess:1", Suite::x3dh_ed25519, 2);
    for (int i = 0; i < 60; ++i) {
        ASSERT_EQ(outcome_id(authenticate(guess, "curious")), "SHADE_NOT_FOUND");
    }
    EXPECT_EQ(outcome_id(authenticate(guess, "curious")), "SHADE_RATE_LIMITED");
    EXPECT_EQ(outcome_id(run(directory().claim(
                  {{nobody_, std::nullopt}}, guess.header_proof(clock_.now()), Caller{"curious"}))),
              "SHADE_RATE_LIMITED")
        << "nor by way of an identified fetch";
    EXPECT_EQ(outcome_id(authenticate(guess, "another")), "SHADE_NOT_FOUND");
}

TEST_F(DirectoryLimits, TheSwitchTurnsEveryLimitOff) {
    config_.limits.enabled = false;
    const TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    for (int i = 0; i < 7; ++i) {
        ASSERT_TRUE(register_as(TestDevice(fmt::format("user:{}", i))));
    }
    ASSERT_TRUE(enrol(alice_, {.one_time = 80}));
    EXPECT_EQ(issued(alice_.address(), 70), 70);
    for (int i = 0; i < 12; ++i) {
        EXPECT_EQ(outcome_id(replenish_as(alice_, {.one_time = 1, .first_id = 200})), "ok");
    }
    for (int i = 0; i < 61; ++i) {
        static_cast<void>(authenticate(stranger, "bad"));
    }
    EXPECT_EQ(outcome_id(authenticate(alice_, "bad")), "ok");
    EXPECT_EQ(events_.count(EventType::rate_limited), 0U);
    EXPECT_EQ(events_.count(EventType::key_withheld), 0U);
}

}  // namespace
}  // namespace nave::prekeys
