#include "prekeys/kt/leaf.h"

#include "base/encoding.h"

#include <gtest/gtest.h>

#include <set>

namespace nave::prekeys::kt {
namespace {

Leaf sample() {
    Leaf leaf;
    leaf.kind = EventKind::rotate_identity;
    leaf.counter = 2;
    leaf.previous = 0x0102030405;
    leaf.time = 1'700'000'000'123;
    leaf.address_index.fill(0xaa);
    leaf.commitment.fill(0xbb);
    return leaf;
}

CommittedIdentity alice() {
    return {.address = "alice:1",
            .suite = "x3dh-ed25519",
            .identity_key = Bytes(32, 1),
            .dh_key = Bytes(32, 2),
            .dh_key_signature = Bytes(64, 3),
            .signed_prekey_digest = std::nullopt};
}

std::string leaf_problem(Bytes bytes) {
    const auto result = decode_leaf(bytes);
    return result ? "" : result.error().id;
}

TEST(Leaf, LayoutIsFixed) {
    const Bytes bytes = encode_leaf(sample());
    EXPECT_EQ(hex(bytes),
              "0102"
              "0000000000000002"
              "0000000102030405"
              "0000018bcfe5687b" +
                  hex(Bytes(32, 0xaa)) + hex(Bytes(32, 0xbb)));
    EXPECT_EQ(bytes.size(), kLeafBytes);
    EXPECT_EQ(decode_leaf(bytes).value(), sample());
}

TEST(Leaf, MalformedLeavesAreRefused) {
    const Bytes good = encode_leaf(sample());
    EXPECT_EQ(leaf_problem(good), "");
    EXPECT_EQ(leaf_problem({}), "kt.leaf");
    EXPECT_EQ(leaf_problem(Bytes(good.begin(), good.end() - 1)), "kt.leaf");
    Bytes longer = good;
    longer.push_back(0);
    EXPECT_EQ(leaf_problem(longer), "kt.leaf");
    for (const auto& [at, value] : std::initializer_list<std::pair<std::size_t, std::uint8_t>>{
             {0, 0},      // version
             {0, 2},      //
             {1, 0},      // kind
             {1, 6},      //
             {9, 0},      // counter 0
             {9, 1},      // first event with a predecessor
             {10, 0xff},  // predecessor beyond any tree
             {18, 0x80},  // time before the epoch
         }) {
        Bytes bad = good;
        bad[at] = value;
        EXPECT_EQ(leaf_problem(bad), "kt.leaf") << "byte " << at;
    }
    Leaf orphan = sample();
    orphan.previous = 0;
    EXPECT_EQ(leaf_problem(encode_leaf(orphan)), "kt.leaf") << "second event without a first";
}

TEST(Leaf, CommitmentBindsEveryPart) {
    const Opening opening{7};
    std::set<std::string> seen;
    const auto add = [&](const Opening& with, const CommittedIdentity& identity) {
        EXPECT_TRUE(seen.insert(hex(commit(with, identity))).second);
    };
    add(opening, alice());
    add(Opening{8}, alice());
    auto changed = alice();
    changed.address = "alice:2";
    add(opening, changed);
    changed = alice();
    changed.suite = "pqxdh-ed25519";
    add(opening, changed);
    changed = alice();
    changed.identity_key[31] ^= 1;
    add(opening, changed);
    changed = alice();
    changed.dh_key[0] ^= 1;
    add(opening, changed);
    changed = alice();
    changed.dh_key_signature.clear();
    add(opening, changed);
    changed = alice();
    changed.signed_prekey_digest = Hash{};
    add(opening, changed);
    EXPECT_EQ(commit(opening, alice()), commit(opening, alice()));
}

// Without lengths in the hashed message these two would collide.
TEST(Leaf, CommitmentFieldsCannotShift) {
    const Opening opening{};
    auto a = alice();
    auto b = alice();
    a.address = "ab";
    a.suite = "c";
    b.address = "a";
    b.suite = "bc";
    EXPECT_NE(commit(opening, a), commit(opening, b));
    a = alice();
    b = alice();
    a.dh_key_signature = a.dh_key;
    a.dh_key.clear();
    b.dh_key_signature.clear();
    EXPECT_NE(commit(opening, a), commit(opening, b));
}

// Pins the format: logs outlive programs.
TEST(Leaf, KnownCommitments) {
    EXPECT_EQ(hex(commit(Opening{7}, alice())),
              "028b3cd8cf10f42169ef01ce5aac9e1530fd1660410e73f37cc0a9018455f73a");
    EXPECT_EQ(hex(signed_prekey_digest(5, 1'700'000'000'000, Bytes(32, 9))),
              "3c69575f4f621b9336376f10bcb06d760abff6a994d01c024933621c9fc52ab9");
}

TEST(Leaf, SignedPrekeyDigestBindsEveryPart) {
    const Hash digest = signed_prekey_digest(5, 1000, Bytes(32, 9));
    EXPECT_NE(digest, signed_prekey_digest(6, 1000, Bytes(32, 9)));
    EXPECT_NE(digest, signed_prekey_digest(5, 1001, Bytes(32, 9)));
    EXPECT_NE(digest, signed_prekey_digest(5, 1000, Bytes(32, 8)));
}

TEST(Leaf, OpeningsAreRandom) {
    SeededEntropy entropy(1);
    EXPECT_NE(random_opening(entropy), random_opening(entropy));
}

TEST(Leaf, AddressIndexIsTheFirstHalfOfTheVrfOutput) {
    crypto::VrfOutput output{};
    for (std::size_t i = 0; i < output.size(); ++i) {
        output[i] = static_cast<std::uint8_t>(i);
    }
    EXPECT_EQ(address_index(output)[0], 0);
    EXPECT_EQ(address_index(output)[31], 31);
}

TEST(Leaf, KindsHaveNames) {
    EXPECT_EQ(event_name(EventKind::register_identity), "register");
    EXPECT_EQ(event_name(EventKind::purge), "purge");
    EXPECT_TRUE(ends_identity(EventKind::delete_identity));
    EXPECT_TRUE(ends_identity(EventKind::purge));
    EXPECT_FALSE(ends_identity(EventKind::rotate_identity));
}

}  // namespace
}  // namespace nave::prekeys::kt
