#include "prekeys/kt/verifier.h"

#include "base/encoding.h"
#include "prekeys/kt/test_log.h"

#include <gtest/gtest.h>

#include <utility>

namespace nave::prekeys::kt {
namespace {

using enum EventKind;

std::string text_of(const HistoryProof& proof) {
    return json::text(to_json(proof));
}

std::string problem(const HistoryProof& proof, const LogKeys& keys,
                    const std::optional<Checkpoint>& known = std::nullopt) {
    const auto verified = verify_history(text_of(proof), "alice:1", keys, known);
    return verified ? "" : verified.error().id;
}

// Alice registers, replaces her keys, leaves and comes back with others.
struct World {
    TestLog log;
    Checkpoint early;

    World() {
        log.add_noise(5);
        log.add(register_identity, test_identity("alice:1", 1));
        log.add_noise(3);
        early = log.checkpoint();
        log.add(rotate_identity, test_identity("alice:1", 2));
        log.add(rotate_signed_prekey, test_identity("alice:1", 2));
        log.add_noise(1);
        log.add(delete_identity, test_identity("alice:1", 2));
        log.add_noise(4);
        log.add(register_identity, test_identity("alice:1", 3));
        log.add_noise(2);
    }
};

const World& world() {
    static const World built;
    return built;
}

TEST(Verifier, AnHonestHistoryVerifies) {
    const TestLog& log = world().log;
    const auto verified = verify_history(text_of(log.history("alice:1")), "alice:1", log.keys());
    ASSERT_TRUE(verified) << verified.error().message;
    EXPECT_EQ(verified->checkpoint, log.checkpoint());
    EXPECT_EQ(verified->address_index, log.index_of("alice:1"));
    ASSERT_EQ(verified->events.size(), 5U);
    EXPECT_EQ(verified->events[0].leaf.kind, register_identity);
    EXPECT_EQ(verified->events[3].leaf.kind, delete_identity);
    EXPECT_EQ(verified->events[4].identity, test_identity("alice:1", 3));
    EXPECT_TRUE(verified->is_present());
    EXPECT_FALSE(verified->extends_known);
}

TEST(Verifier, ADeletedIdentityIsNotPresent) {
    TestLog log;
    log.add(register_identity, test_identity("alice:1", 1));
    log.add(purge, test_identity("alice:1", 1));
    const auto verified = verify_history(text_of(log.history("alice:1")), "alice:1", log.keys());
    ASSERT_TRUE(verified);
    EXPECT_FALSE(verified->is_present());
}

TEST(Verifier, ConsistencyWithAKnownCheckpoint) {
    const TestLog& log = world().log;
    const Checkpoint& early = world().early;
    const HistoryProof proof = log.history("alice:1", early.size);
    const auto verified = verify_history(text_of(proof), "alice:1", log.keys(), early);
    ASSERT_TRUE(verified) << verified.error().message;
    EXPECT_TRUE(verified->extends_known);
    // Same tree as before: nothing to prove.
    EXPECT_EQ(problem(log.history("alice:1"), log.keys(), log.checkpoint()), "");

    EXPECT_EQ(problem(log.history("alice:1"), log.keys(), early), "kt.consistency") << "no proof";
    EXPECT_EQ(problem(log.history("alice:1", 3), log.keys(), early), "kt.consistency");
    Checkpoint forked = early;
    forked.root[0] ^= 1;
    EXPECT_EQ(problem(proof, log.keys(), forked), "kt.consistency");
    Checkpoint ahead = log.checkpoint();
    ahead.size += 1;
    EXPECT_EQ(problem(log.history("alice:1"), log.keys(), ahead), "kt.consistency");
    Checkpoint other_log = early;
    other_log.origin = "other.example/kt";
    EXPECT_EQ(problem(proof, log.keys(), other_log), "kt.consistency");
    Checkpoint same_size_fork = log.checkpoint();
    same_size_fork.root[0] ^= 1;
    EXPECT_EQ(problem(log.history("alice:1"), log.keys(), same_size_fork), "kt.consistency");
    HistoryProof broken = proof;
    broken.consistency->proof[0][0] ^= 1;
    EXPECT_EQ(problem(broken, log.keys(), early), "kt.consistency");
}

TEST(Verifier, WrongKeysAndAddressesAreRefused) {
    const TestLog& log = world().log;
    const std::string document = text_of(log.history("alice:1"));
    LogKeys keys = log.keys();
    EXPECT_EQ(verify_history(document, "alice:2", keys).error().id, "kt.address");
    keys.vrf = keys.log.public_key;
    EXPECT_EQ(verify_history(document, "alice:1", keys).error().id, "kt.vrf");
    keys = log.keys();
    keys.log.public_key = keys.vrf;
    EXPECT_EQ(verify_history(document, "alice:1", keys).error().id, "kt.signature");
    keys = log.keys();
    keys.log.name = "other.example/kt";
    EXPECT_EQ(verify_history(document, "alice:1", keys).error().id, "kt.signature");
}

// The server renames a document: the address is right, the entries are someone else's.
TEST(Verifier, EntriesOfAnotherAddressAreRefused) {
    const TestLog& log = world().log;
    HistoryProof proof = log.history("noise0");
    proof.address = "alice:1";
    EXPECT_EQ(problem(proof, log.keys()), "kt.vrf");
    proof.vrf_proof = log.history("alice:1").vrf_proof;
    EXPECT_EQ(problem(proof, log.keys()), "kt.vrf");
}

TEST(Verifier, ShownKeysMustBeTheLoggedOnes) {
    const TestLog& log = world().log;
    const auto with = [&](auto change) {
        HistoryProof proof = log.history("alice:1");
        change(proof.leaves.back());
        return problem(proof, log.keys());
    };
    EXPECT_EQ(with([](auto& leaf) { leaf.opened->identity.identity_key[0] ^= 1; }),
              "kt.commitment");
    EXPECT_EQ(with([](auto& leaf) { leaf.opened->identity.dh_key[0] ^= 1; }), "kt.commitment");
    EXPECT_EQ(with([](auto& leaf) { leaf.opened->identity.suite = "pqxdh-ed25519"; }),
              "kt.commitment");
    EXPECT_EQ(with([](auto& leaf) { leaf.opened->opening[0] ^= 1; }), "kt.commitment");
    EXPECT_EQ(with([](auto& leaf) { leaf.opened->identity.signed_prekey_digest = Hash{}; }),
              "kt.commitment");
}

TEST(Verifier, OnlyEndedIdentitiesMayBeErased) {
    const TestLog& log = world().log;
    HistoryProof proof = log.history("alice:1");
    for (std::size_t i = 0; i < 4; ++i) {
        proof.leaves[i].opened.reset();
    }
    EXPECT_EQ(problem(proof, log.keys()), "") << "all before and at the deletion";
    proof.leaves[4].opened.reset();
    EXPECT_EQ(problem(proof, log.keys()), "kt.commitment");

    TestLog live;
    live.add(register_identity, test_identity("alice:1", 1));
    live.add(rotate_identity, test_identity("alice:1", 2));
    proof = live.history("alice:1");
    proof.leaves[0].opened.reset();
    EXPECT_EQ(problem(proof, live.keys()), "kt.commitment") << "a past key of a live identity";
}

TEST(Verifier, OmittedReorderedAndForgedEntriesAreRefused) {
    const TestLog& log = world().log;
    for (std::size_t i = 0; i + 1 < 5; ++i) {
        HistoryProof proof = log.history("alice:1");
        proof.leaves.erase(proof.leaves.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_EQ(problem(proof, log.keys()), "kt.chain") << "without " << i;
        proof = log.history("alice:1");
        std::swap(proof.leaves[i], proof.leaves[i + 1]);
        EXPECT_EQ(problem(proof, log.keys()), "kt.chain") << "swapped " << i;
        proof = log.history("alice:1");
        proof.leaves.insert(proof.leaves.begin() + static_cast<std::ptrdiff_t>(i), proof.leaves[i]);
        EXPECT_EQ(problem(proof, log.keys()), "kt.chain") << "doubled " << i;
    }
    HistoryProof proof = log.history("alice:1");
    proof.leaves[2].leaf[20] ^= 1;  // time
    EXPECT_EQ(problem(proof, log.keys()), "kt.inclusion");
    proof = log.history("alice:1");
    proof.leaves[2].leaf[0] = 2;
    EXPECT_EQ(problem(proof, log.keys()), "kt.leaf");
    proof = log.history("alice:1");
    proof.leaves[2].leaf_index += 1;
    EXPECT_EQ(problem(proof, log.keys()), "kt.inclusion");
    proof = log.history("alice:1");
    proof.leaves[2].inclusion[0][0] ^= 1;
    EXPECT_EQ(problem(proof, log.keys()), "kt.inclusion");
    // What the header says a history cannot show: that the newest entry was left out.
    proof = log.history("alice:1");
    proof.leaves.pop_back();
    EXPECT_EQ(problem(proof, log.keys()), "");
}

// Entries that really are in the tree, but tell an impossible story.
TEST(Verifier, ImpossibleStoriesAreRefused) {
    const auto story = [](std::initializer_list<std::pair<EventKind, std::uint8_t>> events) {
        TestLog log;
        for (const auto& [kind, fill] : events) {
            log.add(kind, test_identity("alice:1", fill));
        }
        return problem(log.history("alice:1"), log.keys());
    };
    EXPECT_EQ(story({{register_identity, 1}, {register_identity, 1}}), "");
    EXPECT_EQ(story({{register_identity, 1}, {purge, 1}, {register_identity, 2}}), "");
    EXPECT_EQ(story({{rotate_identity, 1}}), "kt.chain");
    EXPECT_EQ(story({{delete_identity, 1}}), "kt.chain");
    EXPECT_EQ(story({{register_identity, 1}, {register_identity, 2}}), "kt.chain");
    EXPECT_EQ(story({{register_identity, 1}, {rotate_signed_prekey, 2}}), "kt.chain");
    EXPECT_EQ(story({{register_identity, 1}, {rotate_identity, 1}}), "kt.chain");
    EXPECT_EQ(story({{register_identity, 1}, {delete_identity, 2}}), "kt.chain");
    EXPECT_EQ(story({{register_identity, 1}, {purge, 1}, {rotate_identity, 2}}), "kt.chain");
    EXPECT_EQ(story({{register_identity, 1}, {purge, 1}, {purge, 1}}), "kt.chain");
}

// Every key of an identity counts, not only the first.
TEST(Verifier, OnlyARotationMayChangeKeys) {
    const auto changes = [](EventKind kind, auto change) {
        TestLog log;
        auto identity = test_identity("alice:1", 1);
        log.add(register_identity, identity);
        change(identity);
        log.add(kind, identity);
        return problem(log.history("alice:1"), log.keys());
    };
    const auto other_suite = [](auto& identity) { identity.suite = "pqxdh-ed25519"; };
    const auto other_key = [](auto& identity) { identity.identity_key[0] ^= 1; };
    const auto other_dh_key = [](auto& identity) { identity.dh_key[0] ^= 1; };
    const auto other_binding = [](auto& identity) { identity.dh_key_signature = Bytes(64); };
    EXPECT_EQ(changes(register_identity, other_suite), "kt.chain");
    EXPECT_EQ(changes(register_identity, other_key), "kt.chain");
    EXPECT_EQ(changes(register_identity, other_dh_key), "kt.chain");
    EXPECT_EQ(changes(register_identity, other_binding), "");
    EXPECT_EQ(changes(rotate_identity, other_suite), "");
    EXPECT_EQ(changes(rotate_identity, other_key), "");
    EXPECT_EQ(changes(rotate_identity, other_dh_key), "");
    EXPECT_EQ(changes(rotate_identity, other_binding), "kt.chain");
}

TEST(Verifier, BrokenLinksAreRefused) {
    const std::pair<std::uint64_t, std::uint64_t> kWrong[] = {{2, 2}, {2, 3}, {3, 1}};
    for (const auto& [counter, previous] : kWrong) {
        TestLog log;
        log.add(register_identity, test_identity("alice:1", 1));  // leaf 0
        log.add_noise(4);
        const auto next = test_identity("alice:1", 2);
        const Leaf leaf{.kind = rotate_identity,
                        .counter = counter,
                        .previous = previous,
                        .time = 1,
                        .address_index = log.index_of("alice:1"),
                        .commitment = commit(Opening{}, next)};
        log.add_raw(leaf, next, Opening{});
        EXPECT_EQ(problem(log.history("alice:1"), log.keys()), "kt.chain");
    }
}

// Any change of the document is refused or changes nothing of what is reported.
TEST(Verifier, EveryChangedCharacterIsNoticed) {
    TestLog log;
    log.add_noise(2);
    log.add(register_identity, test_identity("alice:1", 1));
    log.add(rotate_identity, test_identity("alice:1", 2));
    const std::string document = text_of(log.history("alice:1"));
    const auto good = verify_history(document, "alice:1", log.keys()).value();
    for (std::size_t i = 0; i < document.size(); i += 2) {
        std::string changed = document;
        changed[i] = changed[i] == 'B' ? 'C' : 'B';
        const auto verified = verify_history(changed, "alice:1", log.keys());
        if (!verified) {
            continue;
        }
        // Only names of optional members can change unnoticed, and only while their value is null.
        ASSERT_EQ(verified->events.size(), good.events.size()) << changed;
        for (std::size_t event = 0; event < good.events.size(); ++event) {
            EXPECT_EQ(verified->events[event].leaf, good.events[event].leaf);
            EXPECT_EQ(verified->events[event].identity, good.events[event].identity);
        }
        EXPECT_EQ(verified->checkpoint, good.checkpoint);
    }
}

struct BundleCase {
    json::Object bundle;

    explicit BundleCase(const TestLog& log, std::uint8_t fill) {
        const CommittedIdentity identity = test_identity("alice:1", fill);
        bundle["address"] = identity.address;
        bundle["suite"] = identity.suite;
        bundle["identitySigningKey"] = base64(identity.identity_key);
        bundle["identityDhKey"] = base64(identity.dh_key);
        bundle["oneTimePreKey"] = nullptr;
        bundle["kt"] = to_json(log.bundle("alice:1"));
    }
    [[nodiscard]] std::string problem(const LogKeys& keys,
                                      std::string_view address = "alice:1") const {
        const auto verified = verify_bundle(json::text(bundle), address, keys);
        return verified ? "" : verified.error().id;
    }
};

TEST(Verifier, BundleIdentityIsTheLoggedOne) {
    const TestLog& log = world().log;
    BundleCase good(log, 3);
    ASSERT_EQ(good.problem(log.keys()), "");
    const auto verified = verify_bundle(json::text(good.bundle), "alice:1", log.keys()).value();
    EXPECT_EQ(verified.checkpoint, log.checkpoint());
    EXPECT_EQ(verified.event.identity, test_identity("alice:1", 3));

    EXPECT_EQ(good.problem(log.keys(), "alice:2"), "kt.address");
    EXPECT_EQ(BundleCase(log, 2).problem(log.keys()), "kt.commitment") << "an old key";
    BundleCase swapped = good;
    swapped.bundle["identityDhKey"] = base64(Bytes(32, 8));
    EXPECT_EQ(swapped.problem(log.keys()), "kt.commitment");
    BundleCase resized = good;
    resized.bundle["kt"].as_object()["treeSize"] = 7;
    EXPECT_EQ(resized.problem(log.keys()), "kt.inclusion");
    BundleCase unsigned_note = good;
    unsigned_note.bundle["kt"].as_object()["checkpoint"] = "x\n";
    EXPECT_EQ(unsigned_note.problem(log.keys()), "kt.note");
    BundleCase missing = good;
    missing.bundle["kt"] = nullptr;
    EXPECT_EQ(missing.problem(log.keys()), "kt.document");
}

TEST(Verifier, BundleOfAnEndedIdentityIsRefused) {
    TestLog log;
    log.add(register_identity, test_identity("alice:1", 1));
    log.add(delete_identity, test_identity("alice:1", 1));
    EXPECT_EQ(BundleCase(log, 1).problem(log.keys()), "kt.chain");
}

}  // namespace
}  // namespace nave::prekeys::kt
