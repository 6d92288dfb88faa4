// The transparency log inside the store: what changes an identity is logged, what fails is not, and
// whatever happened, the log verifies as a client would verify it.
#include "base/entropy.h"
#include "prekeys/kt/verifier.h"
#include "prekeys/test_store.h"
#include "prekeys/transparency.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace nave::prekeys {
namespace {

using kt::EventKind;

struct NoEvents final : EventSink {
    void on_event(const Event&) override {}
};

class StoreLog : public StoreTest {
  protected:
    void SetUp() override {
        StoreTest::SetUp();
        if (IsSkipped() || HasFatalFailure()) {
            return;
        }
        workers_ = std::make_unique<WorkerPool>(loop_, 1, 64);
        auto made = Transparency::create({directory_ / "kt.key", directory_ / "kt.note", ""}, db(),
                                         *workers_, clock_, entropy_, events_, logger_);
        ASSERT_TRUE(made) << made.error().message;
        log_ = std::move(*made);
        ASSERT_TRUE(run(log_->open()));
    }

    Result<EnrolOutcome> enrol_indexed(const TestDevice& device, Registration upload,
                                       UnixMillis at) {
        return run(store().enrol(std::move(upload), device.accepted(at),
                                 log_->indexer()(device.address()), at, 1));
    }
    Result<EnrolOutcome> rotate(const TestDevice& from, const TestDevice& to, UnixMillis at) {
        return run(store().rotate_identity(to.registration(), from.accepted(at), at, 1));
    }
    [[nodiscard]] kt::LogKeys keys() const {
        return {kt::NoteKey::parse(log_->vkey()).value(), log_->vrf_public_key()};
    }
    kt::VerifiedHistory history(const Address& address,
                                const std::optional<kt::Checkpoint>& known = std::nullopt) {
        std::optional<std::uint64_t> since;
        if (known) {
            since = known->size;
        }
        const auto text = run(log_->history(address, since));
        EXPECT_TRUE(text) << text.error().id;
        auto verified = kt::verify_history(text.value(), address.text(), keys(), known);
        EXPECT_TRUE(verified) << address.text() << ": " << verified.error().id;
        return std::move(verified).value();
    }
    std::vector<EventKind> kinds(const Address& address) {
        std::vector<EventKind> all;
        for (const kt::VerifiedEvent& event : history(address).events) {
            all.push_back(event.leaf.kind);
        }
        return all;
    }

    ManualClock clock_{kTestNow};
    SeededEntropy entropy_{5};
    NoEvents events_;
    std::unique_ptr<WorkerPool> workers_;
    std::unique_ptr<Transparency> log_;
};
PREKEYS_ON_EVERY_STORE(StoreLog);

TEST_P(StoreLog, EachChangeOfIdentityIsOneEntry) {
    for (const Suite suite : kSuites) {
        const std::string name(suite_name(suite));
        TestDevice device(name, suite);
        TestDevice next(name, suite, 2);
        const auto before = leaf_count();
        ASSERT_TRUE(enrol_indexed(device, device.registration(), kTestNow));
        EXPECT_EQ(leaf_count(), before + 1);
        ASSERT_TRUE(enrol_indexed(device, device.registration({.one_time = 2}), kTestNow + 1));
        ASSERT_TRUE(replenish(device, {.one_time = 2, .first_id = 9}, kTestNow + 2));
        ASSERT_TRUE(claim(device.address()));
        EXPECT_EQ(leaf_count(), before + 1) << "the identity stayed what it was";
        ASSERT_TRUE(rotate(device, next, kTestNow + 3));
        EXPECT_EQ(leaf_count(), before + 2);
        const kt::VerifiedHistory shown = history(device.address());
        ASSERT_EQ(shown.events.size(), 2U);
        EXPECT_TRUE(shown.is_present());
        EXPECT_EQ(shown.events[0].identity->identity_key, device.identity().signing_key);
        EXPECT_EQ(shown.events[0].identity->dh_key, device.identity().dh_key);
        EXPECT_EQ(shown.events[1].identity->identity_key, next.identity().signing_key);
        EXPECT_EQ(shown.events[1].leaf.time, kTestNow + 3);
        EXPECT_EQ(kinds(device.address()),
                  (std::vector{EventKind::register_identity, EventKind::rotate_identity}));
    }
}

TEST_P(StoreLog, FailuresLeaveNoTrace) {
    TestDevice device("alice:1");
    TestDevice stranger("alice:1", Suite::x3dh_ed25519, 2);
    ASSERT_TRUE(enrol_indexed(device, device.registration(), kTestNow));
    ASSERT_TRUE(enrol_indexed(device, device.registration(), kTestNow + 5));
    const auto nodes = rows("kt_nodes");
    EXPECT_FALSE(enrol_indexed(stranger, stranger.registration(), kTestNow + 9));
    EXPECT_FALSE(enrol_indexed(device, device.registration(), kTestNow));
    EXPECT_FALSE(rotate(stranger, device, kTestNow + 9));
    EXPECT_FALSE(rotate(device, stranger, kTestNow));
    EXPECT_FALSE(remove(stranger));
    set_policy({.one_time_max = 1});
    TestDevice bob("bob:1", Suite::x3dh_ed25519, 3);
    EXPECT_FALSE(enrol_indexed(bob, bob.registration({.one_time = 2}), kTestNow));
    EXPECT_EQ(leaf_count(), 1);
    EXPECT_EQ(rows("kt_leaves"), 1);
    EXPECT_EQ(rows("kt_nodes"), nodes);
    EXPECT_EQ(outcome_id(run(log_->history(bob.address(), std::nullopt))), "SHADE_NOT_FOUND");
}

// A binding given later is part of what a client compares with the log.
TEST_P(StoreLog, ABindingThatComesLaterIsLogged) {
    TestDevice device("alice:1");
    Registration bare = device.registration();
    bare.identity.dh_signature.reset();
    ASSERT_TRUE(enrol_indexed(device, bare, kTestNow));
    EXPECT_TRUE(history(device.address()).events[0].identity->dh_key_signature.empty());
    ASSERT_TRUE(enrol_indexed(device, device.registration(), kTestNow + 1));
    ASSERT_TRUE(enrol_indexed(device, bare, kTestNow + 2));
    const kt::VerifiedHistory shown = history(device.address());
    ASSERT_EQ(shown.events.size(), 2U);
    EXPECT_EQ(shown.events[1].identity->dh_key_signature, device.identity().dh_signature);
}

TEST_P(StoreLog, RemovedIdentitiesAreMute) {
    TestDevice device("alice:1");
    TestDevice purged("bob:1", Suite::pqxdh_xeddsa, 2);
    ASSERT_TRUE(enrol_indexed(device, device.registration(), kTestNow + kDayMs));
    ASSERT_TRUE(enrol_indexed(purged, purged.registration(), kTestNow));
    ASSERT_TRUE(remove(device, kTestNow + kDayMs + 1));
    ASSERT_TRUE(run(store().purge_stale_identities(kTestNow + kDayMs, 10, kTestNow + 2 * kDayMs)));
    EXPECT_EQ(kinds(device.address()),
              (std::vector{EventKind::register_identity, EventKind::delete_identity}));
    EXPECT_EQ(kinds(purged.address()),
              (std::vector{EventKind::register_identity, EventKind::purge}));
    for (const TestDevice* gone : {&device, &purged}) {
        const kt::VerifiedHistory shown = history(gone->address());
        EXPECT_FALSE(shown.is_present());
        for (const kt::VerifiedEvent& event : shown.events) {
            EXPECT_FALSE(event.identity) << "forgotten, though the entry stays";
        }
        EXPECT_EQ(outcome_id(run(log_->bundle_member(gone->address()))), "SHADE_NOT_FOUND");
    }
    EXPECT_EQ(number("select count(*) from shade_server_kt_leaves where salt is not null or "
                     "signing_key is not null or dh_key is not null or dh_signature is not null"),
              0);
    ASSERT_TRUE(enrol_indexed(device, device.registration(), kTestNow + 3 * kDayMs));
    const kt::VerifiedHistory back = history(device.address());
    EXPECT_EQ(back.events.size(), 3U);
    EXPECT_TRUE(back.is_present());
    EXPECT_FALSE(back.events[0].identity);
    EXPECT_EQ(back.events[2].identity->identity_key, device.identity().signing_key);
}

TEST_P(StoreLog, ABundleProvesItsIdentity) {
    for (const Suite suite : kSuites) {
        TestDevice device("alice:" + std::to_string(static_cast<int>(suite)), suite);
        ASSERT_TRUE(enrol_indexed(device, device.registration({.one_time = 1}), kTestNow));
        const auto bundle = claim(device.address());
        ASSERT_TRUE(bundle && *bundle);
        const auto member = run(log_->bundle_member(device.address()));
        ASSERT_TRUE(member) << member.error().id;
        json::Object whole = bundle_object(**bundle);
        whole["kt"] = json::parse(*member).value();
        const auto verified = kt::verify_bundle(json::text(whole), device.address().text(), keys());
        EXPECT_TRUE(verified) << verified.error().id;
        TestDevice other("x", suite, 9);
        const std::string_view key = uses_xeddsa(suite) ? "identityKey" : "identityDhKey";
        whole[key] = register_body(other.registration()).at(key);
        EXPECT_FALSE(kt::verify_bundle(json::text(whole), device.address().text(), keys()))
            << "another key under the same proof";
    }
}

// Random work on few addresses. Each step either changes one identity and adds one entry, or
// changes none and adds none.
TEST_P(StoreLog, WhateverHappensTheLogVerifies) {
    constexpr std::uint64_t kSeed = 20'260'101;
    SCOPED_TRACE(kSeed);
    SeededEntropy random(kSeed);
    std::vector<std::vector<TestDevice>> devices;
    for (int name = 0; name < 4; ++name) {
        auto& identities = devices.emplace_back();
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            identities.emplace_back("user:" + std::to_string(name),
                                    kSuites.at(static_cast<std::size_t>(name)),
                                    seed + static_cast<std::uint64_t>(name) * 10);
        }
    }
    std::optional<kt::Checkpoint> known;
    std::int64_t entries = 0;
    std::map<std::string, std::size_t> entries_of;
    UnixMillis at = kTestNow;
    set_policy({.tombstone_ms = 20 * kMinuteMs});
    const int steps = GetParam() == storage::Store::memory ? 160 : 80;
    for (int step = 0; step < steps; ++step) {
        at += static_cast<UnixMillis>(random.below(5 * kMinuteMs));
        const auto& identities = devices[random.below(devices.size())];
        const TestDevice& other = identities[random.below(identities.size())];
        const std::string name = other.address().text();
        // Mostly the one that may write, sometimes one that may not.
        const auto owner = run(store().identity(other.address())).value();
        const auto found = std::ranges::find_if(identities, [&](const TestDevice& d) {
            return owner && d.identity().same_keys(owner->keys);
        });
        const TestDevice& device =
            found != identities.end() && random.below(4) > 0 ? *found : other;
        std::int64_t added = 0;
        switch (random.below(7)) {
            case 0: {
                const auto done = enrol_indexed(device, device.registration({.one_time = 2}), at);
                added = done && done->created ? 1 : 0;
                break;
            }
            case 1:
            case 5:
            case 6:
                added = &device != &other && rotate(device, other, at) ? 1 : 0;
                break;
            case 2:
                added = random.below(3) == 0 &&
                                run(store().remove(device.address(), device.accepted(at), at))
                            ? 1
                            : 0;
                break;
            case 3: {
                const auto purged =
                    run(store().purge_stale_identities(at - 40 * kMinuteMs, 1, at)).value();
                for (const PurgedIdentity& gone : purged) {
                    ++entries_of[gone.address.text()];
                    ++entries;
                }
                break;
            }
            default:
                static_cast<void>(claim(device.address(), at, nullptr, true, Bytes(32, 1)));
                ASSERT_TRUE(run(store().forget_expired(at)));
                break;
        }
        entries += added;
        entries_of[name] += static_cast<std::size_t>(added);
        ASSERT_EQ(leaf_count(), entries) << "step " << step;
        if (step == steps / 2) {
            known = history(device.address()).checkpoint;
        }
    }
    EXPECT_GT(entries, steps / 8) << "the run should do something";
    for (const auto& identities : devices) {
        const Address& address = identities[0].address();
        const kt::VerifiedHistory shown = history(address, known);
        EXPECT_TRUE(shown.extends_known);
        EXPECT_EQ(shown.events.size(), entries_of[address.text()]);
        const auto stored = run(store().identity(address)).value();
        EXPECT_EQ(shown.is_present(), stored.has_value());
        if (stored) {
            EXPECT_EQ(shown.events.back().identity->identity_key, stored->keys.signing_key);
        }
    }
}

}  // namespace
}  // namespace nave::prekeys
