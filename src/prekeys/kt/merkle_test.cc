#include "prekeys/kt/merkle.h"

#include "base/encoding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string_view>

namespace nave::prekeys::kt {
namespace {

constexpr std::uint64_t kSizes = 131;

Bytes leaf(std::uint64_t index) {
    Bytes bytes = {'l', 'e', 'a', 'f'};
    append_be(bytes, index);
    return bytes;
}

// RFC 6962 section 2.1, word for word.
Hash tree_hash(std::span<const Hash> leaves) {
    if (leaves.empty()) {
        return empty_root();
    }
    if (leaves.size() == 1) {
        return leaves.front();
    }
    std::size_t k = 1;
    while (k * 2 < leaves.size()) {
        k *= 2;
    }
    return node_hash(tree_hash(leaves.first(k)), tree_hash(leaves.subspan(k)));
}

// A tree grown leaf by leaf, with the nodes a database would hold.
struct Log {
    std::vector<Hash> leaves;
    std::vector<Hash> roots = {empty_root()};
    std::map<NodeId, Hash> nodes;
    Frontier frontier;

    explicit Log(std::uint64_t size) {
        for (std::uint64_t i = 0; i < size; ++i) {
            leaves.push_back(leaf_hash(leaf(i)));
            for (const Node& node : frontier.append(leaves.back())) {
                EXPECT_TRUE(nodes.emplace(node.id, node.hash).second) << "a node completed twice";
            }
            roots.push_back(frontier.root());
        }
    }
    [[nodiscard]] NodeReader reader(std::uint64_t size) const {
        return [this, size](std::span<const NodeId> ids) -> Result<std::vector<Hash>> {
            std::vector<Hash> out;
            for (const NodeId id : ids) {
                EXPECT_LE((id.index + 1) << id.level, size) << "asked for an incomplete subtree";
                out.push_back(nodes.at(id));
            }
            return out;
        };
    }
};

const Log& log() {
    static const Log built(kSizes);
    return built;
}

// The reference leaves and roots of Certificate Transparency implementations.
TEST(Merkle, KnownRoots) {
    constexpr std::string_view kLeaves[] = {
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    };
    constexpr std::string_view kRoots[] = {
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    };
    EXPECT_EQ(hex(empty_root()),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    Frontier frontier;
    EXPECT_EQ(frontier.root(), empty_root());
    for (std::size_t i = 0; i < std::size(kLeaves); ++i) {
        static_cast<void>(frontier.append(leaf_hash(hex_decode(kLeaves[i]).value())));
        EXPECT_EQ(hex(frontier.root()), kRoots[i]);
    }
}

TEST(Merkle, RootsAgreeWithTheRecursiveDefinition) {
    for (std::uint64_t size = 0; size <= kSizes; ++size) {
        EXPECT_EQ(log().roots[size], tree_hash(std::span(log().leaves).first(size))) << size;
    }
}

TEST(Merkle, CompletedNodesAreExactlyTheCompleteSubtrees) {
    std::size_t expected = 0;
    for (unsigned level = 0; (kSizes >> level) > 0; ++level) {
        for (std::uint64_t index = 0; index < kSizes >> level; ++index) {
            const auto begin = static_cast<std::size_t>(index << level);
            const auto range = std::span(log().leaves).subspan(begin, std::size_t{1} << level);
            EXPECT_EQ(log().nodes.at({.level = level, .index = index}), tree_hash(range));
            ++expected;
        }
    }
    EXPECT_EQ(log().nodes.size(), expected);
    EXPECT_LT(expected, 2 * kSizes);
}

TEST(Merkle, FrontierLoadsAndGoesOnAtEverySize) {
    for (std::uint64_t size = 0; size < kSizes; ++size) {
        auto frontier = Frontier::load(size, log().reader(size));
        ASSERT_TRUE(frontier);
        EXPECT_EQ(frontier->size(), size);
        EXPECT_EQ(frontier->root(), log().roots[size]);
        static_cast<void>(frontier->append(log().leaves[size]));
        EXPECT_EQ(frontier->root(), log().roots[size + 1]);
    }
}

TEST(Merkle, FrontierResumesFromItsPeaks) {
    Frontier frontier;
    for (std::uint64_t size = 0; size < kSizes; ++size) {
        auto resumed = Frontier::from_peaks(size, frontier.peaks());
        ASSERT_TRUE(resumed);
        EXPECT_EQ(resumed->size(), size);
        EXPECT_EQ(resumed->root(), log().roots[size]);
        static_cast<void>(resumed->append(log().leaves[size]));
        EXPECT_EQ(resumed->root(), log().roots[size + 1]);
        frontier = std::move(*resumed);
    }
    EXPECT_EQ(Frontier::from_peaks(3, std::vector<Hash>(1)).error().id, "kt.nodes");
    EXPECT_EQ(Frontier::from_peaks(0, std::vector<Hash>(1)).error().id, "kt.nodes");
    EXPECT_EQ(Frontier::from_peaks(UINT64_MAX, {}).error().id, "kt.range");
}

TEST(Merkle, EveryInclusionProofVerifiesAndOnlyForItsLeafAndTree) {
    for (std::uint64_t size = 1; size <= kSizes; ++size) {
        for (std::uint64_t index = 0; index < size; ++index) {
            const auto proof = inclusion_proof(index, size, log().reader(size)).value();
            const Hash& leaf = log().leaves[index];
            const Hash& root = log().roots[size];
            ASSERT_TRUE(verify_inclusion(leaf, index, size, proof, root)) << index << '/' << size;
            if (size == 1 || size > 40) {
                continue;  // enough shapes for the refusals
            }
            const Hash& other = log().leaves[(index + 1) % size];
            EXPECT_FALSE(verify_inclusion(other, index, size, proof, root));
            EXPECT_FALSE(verify_inclusion(leaf, index ^ 1, size, proof, root));
            EXPECT_FALSE(verify_inclusion(leaf, index, size, proof, log().roots[size - 1]));
        }
    }
}

TEST(Merkle, EveryConsistencyProofVerifies) {
    for (std::uint64_t size = 0; size <= kSizes; ++size) {
        for (std::uint64_t old_size = 0; old_size <= size; ++old_size) {
            const auto proof = consistency_proof(old_size, size, log().reader(size)).value();
            ASSERT_TRUE(
                verify_consistency(old_size, log().roots[old_size], size, log().roots[size], proof))
                << old_size << " -> " << size;
            EXPECT_LE(proof.size(), 9U);
            EXPECT_EQ(proof.empty(), old_size == 0 || old_size == size);
            if (proof.empty() || size > 40) {
                continue;  // enough shapes for the refusals
            }
            EXPECT_FALSE(verify_consistency(old_size, log().roots[old_size - 1], size,
                                            log().roots[size], proof));
            EXPECT_FALSE(verify_consistency(old_size, log().roots[old_size], size,
                                            log().roots[size - 1], proof));
            EXPECT_FALSE(verify_consistency(size, log().roots[size], old_size,
                                            log().roots[old_size], proof));
        }
    }
}

// Each proof with one bit flipped, one element removed, doubled or swapped with its neighbour.
std::vector<std::vector<Hash>> mutations(const std::vector<Hash>& proof) {
    std::vector<std::vector<Hash>> out;
    for (std::size_t i = 0; i < proof.size(); ++i) {
        for (const std::size_t bit : {0U, 77U, 255U}) {
            auto flipped = proof;
            flipped[i][bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
            out.push_back(std::move(flipped));
        }
        auto shorter = proof;
        shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
        out.push_back(std::move(shorter));
        auto longer = proof;
        longer.insert(longer.begin() + static_cast<std::ptrdiff_t>(i), proof[i]);
        out.push_back(std::move(longer));
        if (i + 1 < proof.size()) {
            auto swapped = proof;
            std::swap(swapped[i], swapped[i + 1]);
            out.push_back(std::move(swapped));
        }
    }
    auto longer = proof;
    longer.push_back(Hash{});
    out.push_back(std::move(longer));
    return out;
}

TEST(Merkle, MutatedInclusionProofsAreRejected) {
    for (const std::uint64_t size : {1U, 2U, 3U, 7U, 8U, 13U, 64U, 100U}) {
        for (std::uint64_t index = 0; index < size; ++index) {
            const auto proof = inclusion_proof(index, size, log().reader(size)).value();
            for (const auto& changed : mutations(proof)) {
                EXPECT_FALSE(
                    verify_inclusion(log().leaves[index], index, size, changed, log().roots[size]));
            }
        }
    }
}

TEST(Merkle, MutatedConsistencyProofsAreRejected) {
    for (const std::uint64_t size : {2U, 3U, 7U, 8U, 13U, 64U, 100U}) {
        for (std::uint64_t old_size = 1; old_size <= size; ++old_size) {
            const auto proof = consistency_proof(old_size, size, log().reader(size)).value();
            for (const auto& changed : mutations(proof)) {
                EXPECT_FALSE(verify_consistency(old_size, log().roots[old_size], size,
                                                log().roots[size], changed))
                    << old_size << " -> " << size;
            }
        }
    }
}

// The proof fits the root, but not the size: the depth of the tree is part of the claim.
TEST(Merkle, ProofsForAnotherSizeAreRejected) {
    const auto& roots = log().roots;
    const auto& leaves = log().leaves;
    const auto first = inclusion_proof(0, 8, log().reader(8)).value();
    EXPECT_FALSE(verify_inclusion(leaves[0], 0, 16, first, roots[8]));
    // Leaf 5 of 8 sits in the right half, where it looks like leaf 1 of 4 with one level more.
    const auto sixth = inclusion_proof(5, 8, log().reader(8)).value();
    EXPECT_FALSE(verify_inclusion(leaves[5], 1, 4, sixth, roots[8]));
    const auto growth = consistency_proof(4, 8, log().reader(8)).value();
    EXPECT_FALSE(verify_consistency(4, roots[4], 16, roots[8], growth));
    const auto last_leaf = consistency_proof(7, 8, log().reader(8)).value();
    EXPECT_FALSE(verify_consistency(3, roots[7], 4, roots[8], last_leaf));
}

// A tree that rewrote one old leaf must not pass as an extension, whatever proof it offers.
TEST(Merkle, RewrittenHistoryIsInconsistent) {
    const Log& honest = log();
    std::vector<Hash> leaves = honest.leaves;
    leaves[5] = leaf_hash(leaf(999));
    Frontier forged;
    std::map<NodeId, Hash> nodes;
    for (const Hash& hash : leaves) {
        for (const Node& node : forged.append(hash)) {
            nodes.emplace(node.id, node.hash);
        }
    }
    const NodeReader reader = [&](std::span<const NodeId> ids) -> Result<std::vector<Hash>> {
        std::vector<Hash> out;
        for (const NodeId id : ids) {
            out.push_back(nodes.at(id));
        }
        return out;
    };
    for (std::uint64_t old_size = 6; old_size < kSizes; ++old_size) {
        const auto proof = consistency_proof(old_size, kSizes, reader).value();
        EXPECT_FALSE(
            verify_consistency(old_size, honest.roots[old_size], kSizes, forged.root(), proof));
    }
}

TEST(Merkle, LeafAndNodeHashesAreDomainSeparated) {
    Bytes joined = to_bytes(log().leaves[0]);
    append(joined, log().leaves[1]);
    EXPECT_NE(leaf_hash(joined), node_hash(log().leaves[0], log().leaves[1]));
}

TEST(Merkle, ImpossibleRequestsAreRefused) {
    const auto reader = log().reader(kSizes);
    EXPECT_EQ(inclusion_proof(0, 0, reader).error().id, "kt.range");
    EXPECT_EQ(inclusion_proof(5, 5, reader).error().id, "kt.range");
    EXPECT_EQ(inclusion_proof(0, UINT64_MAX, reader).error().id, "kt.range");
    EXPECT_EQ(consistency_proof(6, 5, reader).error().id, "kt.range");
    EXPECT_EQ(consistency_proof(6, UINT64_MAX, reader).error().id, "kt.range");
    EXPECT_EQ(Frontier::load(UINT64_MAX, reader).error().id, "kt.range");
    EXPECT_FALSE(verify_inclusion({}, 0, 0, {}, empty_root()));
    EXPECT_FALSE(verify_inclusion({}, UINT64_MAX, UINT64_MAX, {}, {}));
    EXPECT_FALSE(verify_consistency(0, Hash{}, 5, log().roots[5], {}));
    EXPECT_FALSE(verify_consistency(0, empty_root(), 0, Hash{}, {}));
    EXPECT_FALSE(verify_consistency(3, log().roots[3], 5, log().roots[5], {}));
}

TEST(Merkle, ReaderFailuresArePassedOn) {
    const NodeReader down = [](std::span<const NodeId>) -> Result<std::vector<Hash>> {
        return fail(Code::unavailable, "storage.unreachable", "down");
    };
    EXPECT_EQ(inclusion_proof(0, 2, down).error().id, "storage.unreachable");
    EXPECT_EQ(consistency_proof(1, 2, down).error().id, "storage.unreachable");
    EXPECT_EQ(Frontier::load(3, down).error().id, "storage.unreachable");
    const NodeReader short_of_one = [](std::span<const NodeId> ids) -> Result<std::vector<Hash>> {
        return std::vector<Hash>(ids.size() - 1);
    };
    EXPECT_EQ(inclusion_proof(0, 2, short_of_one).error().id, "kt.nodes");
    EXPECT_EQ(Frontier::load(3, short_of_one).error().id, "kt.nodes");
}

}  // namespace
}  // namespace nave::prekeys::kt
