#include "prekeys/kt/merkle.h"

#include "base/check.h"
#include "crypto/hash.h"

#include <algorithm>
#include <bit>

namespace nave::prekeys::kt {
namespace {

// A subtree of the RFC 6962 recursion. At the right edge it may be incomplete.
struct Range {
    std::uint64_t begin;
    std::uint64_t end;
    [[nodiscard]] std::uint64_t leaves() const { return end - begin; }
};

// RFC 6962's k: the largest power of two below the number of leaves (at least two).
std::uint64_t split_point(std::uint64_t leaves) {
    return std::bit_floor(leaves - 1);
}

// The complete subtrees that make up a range, left to right. The ranges of the recursion begin at a
// multiple of the power of two that covers them, so the sizes are simply the set bits.
void append_cover(std::vector<NodeId>& out, Range range) {
    while (range.begin < range.end) {
        const std::uint64_t width = std::bit_floor(range.leaves());
        const auto level = static_cast<unsigned>(std::countr_zero(width));
        out.push_back({.level = level, .index = range.begin >> level});
        range.begin += width;
    }
}

Hash fold(std::span<const Hash> left_to_right) {
    Hash hash = left_to_right.back();
    for (std::size_t i = left_to_right.size() - 1; i > 0; --i) {
        hash = node_hash(left_to_right[i - 1], hash);
    }
    return hash;
}

Result<std::vector<Hash>> read_nodes(std::span<const NodeId> ids, const NodeReader& reader) {
    if (ids.empty()) {
        return std::vector<Hash>();
    }
    TRY(std::vector<Hash> hashes, reader(ids));
    if (hashes.size() != ids.size()) {
        return fail(Code::internal, "kt.nodes", "The transparency log is incomplete.",
                    "stored tree nodes are missing");
    }
    return hashes;
}

Result<std::vector<Hash>> subtree_hashes(std::span<const Range> ranges, const NodeReader& reader) {
    std::vector<NodeId> ids;
    std::vector<std::size_t> ends;
    for (const Range range : ranges) {
        append_cover(ids, range);
        ends.push_back(ids.size());
    }
    TRY(const std::vector<Hash> hashes, read_nodes(ids, reader));
    std::vector<Hash> out;
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
        out.push_back(fold(std::span(hashes).subspan(begin, end - begin)));
        begin = end;
    }
    return out;
}

std::unexpected<Error> bad_range() {
    return fail(Code::invalid, "kt.range", "The log has no such leaf or tree size.");
}

}  // namespace

Hash leaf_hash(ByteView leaf) {
    crypto::Sha256 hasher;
    const ByteArray<1> prefix = {0x00};
    hasher.update(prefix);
    hasher.update(leaf);
    return hasher.finish();
}

Hash node_hash(const Hash& left, const Hash& right) {
    ByteArray<65> joined{};
    joined[0] = 0x01;
    std::ranges::copy(left, joined.begin() + 1);
    std::ranges::copy(right, joined.begin() + 33);
    return crypto::sha256(joined);
}

Hash empty_root() {
    return crypto::sha256({});
}

Result<Frontier> Frontier::load(std::uint64_t size, const NodeReader& reader) {
    if (size > kTreeSizeMax) {
        return bad_range();
    }
    std::vector<NodeId> ids;
    append_cover(ids, {.begin = 0, .end = size});
    Frontier frontier;
    TRY(frontier.peaks_, read_nodes(ids, reader));
    frontier.size_ = size;
    return frontier;
}

Result<Frontier> Frontier::from_peaks(std::uint64_t size, std::vector<Hash> peaks) {
    if (size > kTreeSizeMax) {
        return bad_range();
    }
    if (peaks.size() != static_cast<std::size_t>(std::popcount(size))) {
        return fail(Code::internal, "kt.nodes", "The stored tree is damaged.");
    }
    Frontier frontier;
    frontier.peaks_ = std::move(peaks);
    frontier.size_ = size;
    return frontier;
}

std::vector<Node> Frontier::append(const Hash& leaf) {
    CHECK(size_ < kTreeSizeMax, "the log is full");
    std::vector<Node> completed = {{.id = {.level = 0, .index = size_}, .hash = leaf}};
    // Each trailing one bit of the size is a peak that the new leaf turns into a left child.
    for (std::uint64_t rest = size_; (rest & 1) == 1; rest >>= 1) {
        const Node& right = completed.back();
        const NodeId parent = {.level = right.id.level + 1, .index = right.id.index >> 1};
        completed.push_back({.id = parent, .hash = node_hash(peaks_.back(), right.hash)});
        peaks_.pop_back();
    }
    peaks_.push_back(completed.back().hash);
    ++size_;
    return completed;
}

Hash Frontier::root() const {
    return peaks_.empty() ? empty_root() : fold(peaks_);
}

Result<std::vector<Hash>> inclusion_proof(std::uint64_t index, std::uint64_t size,
                                          const NodeReader& reader) {
    if (index >= size || size > kTreeSizeMax) {
        return bad_range();
    }
    std::vector<Range> siblings;
    Range tree = {.begin = 0, .end = size};
    while (tree.leaves() > 1) {
        const std::uint64_t middle = tree.begin + split_point(tree.leaves());
        if (index < middle) {
            siblings.push_back({.begin = middle, .end = tree.end});
            tree.end = middle;
        } else {
            siblings.push_back({.begin = tree.begin, .end = middle});
            tree.begin = middle;
        }
    }
    std::ranges::reverse(siblings);
    return subtree_hashes(siblings, reader);
}

Result<std::vector<Hash>> consistency_proof(std::uint64_t old_size, std::uint64_t new_size,
                                            const NodeReader& reader) {
    if (old_size > new_size || new_size > kTreeSizeMax) {
        return bad_range();
    }
    if (old_size == 0) {
        return std::vector<Hash>();
    }
    std::vector<Range> parts;
    Range tree = {.begin = 0, .end = new_size};
    while (old_size != tree.end) {
        const std::uint64_t middle = tree.begin + split_point(tree.leaves());
        if (old_size <= middle) {
            parts.push_back({.begin = middle, .end = tree.end});
            tree.end = middle;
        } else {
            parts.push_back({.begin = tree.begin, .end = middle});
            tree.begin = middle;
        }
    }
    // While the walk has gone left only, this subtree is the whole old tree: its hash is known.
    if (tree.begin != 0) {
        parts.push_back(tree);
    }
    std::ranges::reverse(parts);
    return subtree_hashes(parts, reader);
}

bool verify_inclusion(const Hash& leaf, std::uint64_t index, std::uint64_t size,
                      std::span<const Hash> proof, const Hash& root) {
    if (index >= size) {
        return false;
    }
    std::uint64_t node = index;
    std::uint64_t last = size - 1;
    Hash hash = leaf;
    for (const Hash& sibling : proof) {
        if (last == 0) {
            return false;
        }
        if ((node & 1) == 1 || node == last) {
            hash = node_hash(sibling, hash);
            while ((node & 1) == 0 && node != 0) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    return last == 0 && hash == root;
}

bool verify_consistency(std::uint64_t old_size, const Hash& old_root, std::uint64_t new_size,
                        const Hash& new_root, std::span<const Hash> proof) {
    if (old_size == 0) {
        return proof.empty() && old_root == empty_root() &&
               (new_size != 0 || new_root == empty_root());
    }
    if (old_size >= new_size) {
        return old_size == new_size && proof.empty() && old_root == new_root;
    }
    if (proof.empty()) {
        return false;
    }
    std::uint64_t node = old_size - 1;
    std::uint64_t last = new_size - 1;
    while ((node & 1) == 1) {
        node >>= 1;
        last >>= 1;
    }
    // An old tree of a power of two is a subtree of the new one, so the prover leaves its hash out.
    const bool old_is_subtree = node == 0;
    Hash old_hash = old_is_subtree ? old_root : proof.front();
    Hash new_hash = old_hash;
    for (const Hash& part : proof.subspan(old_is_subtree ? 0 : 1)) {
        if (last == 0) {
            return false;
        }
        if ((node & 1) == 1 || node == last) {
            old_hash = node_hash(part, old_hash);
            new_hash = node_hash(part, new_hash);
            while ((node & 1) == 0 && node != 0) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(new_hash, part);
        }
        node >>= 1;
        last >>= 1;
    }
    return last == 0 && old_hash == old_root && new_hash == new_root;
}

}  // namespace nave::prekeys::kt
