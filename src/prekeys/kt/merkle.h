// The Merkle tree of the key-transparency log: RFC 6962 section 2.1 hashing (SHA-256), proofs as in
// RFC 9162 sections 2.1.3 and 2.1.4.
//
// The tree is described by its *complete* subtrees only: node (level, index) covers the leaves
// [index << level, (index + 1) << level) and never changes once it exists, so storage inserts each
// node once (two rows per leaf in the long run) and every root and proof is folded from such nodes.
// All functions are pure; those that need stored nodes take a reader and ask it once.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <compare>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace nave::prekeys::kt {

using Hash = ByteArray<32>;

// Above any real log, low enough that sizes and indexes never overflow when shifted or summed.
inline constexpr std::uint64_t kTreeSizeMax = std::uint64_t{1} << 56;

struct NodeId {
    unsigned level = 0;
    std::uint64_t index = 0;
    friend auto operator<=>(const NodeId&, const NodeId&) = default;
};

struct Node {
    NodeId id;
    Hash hash;
};

// Returns the hashes of the named nodes, in that order. It is asked only for nodes complete at the
// tree size in question, all at once, so that it can be one query.
using NodeReader = std::function<Result<std::vector<Hash>>(std::span<const NodeId>)>;

[[nodiscard]] Hash leaf_hash(ByteView leaf);
[[nodiscard]] Hash node_hash(const Hash& left, const Hash& right);
[[nodiscard]] Hash empty_root();

// The right edge of a tree: what is needed to append to it and to name its root.
class Frontier {
  public:
    Frontier() = default;
    // Errors: whatever the reader returns; Code::internal "kt.nodes" when it returns too few.
    [[nodiscard]] static Result<Frontier> load(std::uint64_t size, const NodeReader& reader);

    // From peaks() of an earlier one. Error Code::internal "kt.nodes" when their number does not
    // fit the size.
    [[nodiscard]] static Result<Frontier> from_peaks(std::uint64_t size, std::vector<Hash> peaks);
    // The nodes that become complete: the leaf itself, then upwards.
    [[nodiscard]] std::vector<Node> append(const Hash& leaf);
    [[nodiscard]] Hash root() const;
    [[nodiscard]] std::uint64_t size() const { return size_; }
    // Roots of the maximal complete subtrees, left to right: all that an append needs.
    [[nodiscard]] const std::vector<Hash>& peaks() const { return peaks_; }

  private:
    std::uint64_t size_ = 0;
    std::vector<Hash> peaks_;
};

// Errors of both: Code::invalid "kt.range" when the arguments name no proof, and those of load().
[[nodiscard]] Result<std::vector<Hash>> inclusion_proof(std::uint64_t index, std::uint64_t size,
                                                        const NodeReader& reader);
// From an old size of 0 the proof is empty: every tree extends the empty one.
[[nodiscard]] Result<std::vector<Hash>> consistency_proof(std::uint64_t old_size,
                                                          std::uint64_t new_size,
                                                          const NodeReader& reader);

[[nodiscard]] bool verify_inclusion(const Hash& leaf, std::uint64_t index, std::uint64_t size,
                                    std::span<const Hash> proof, const Hash& root);
[[nodiscard]] bool verify_consistency(std::uint64_t old_size, const Hash& old_root,
                                      std::uint64_t new_size, const Hash& new_root,
                                      std::span<const Hash> proof);

}  // namespace nave::prekeys::kt
