#include "prekeys/kt/test_log.h"

#include <algorithm>

namespace nave::prekeys::kt {

CommittedIdentity test_identity(std::string address, std::uint8_t fill) {
    Bytes key(32);
    std::ranges::fill(key, fill);
    CommittedIdentity identity;
    identity.address = std::move(address);
    identity.suite = "x3dh-ed25519";
    identity.identity_key = key;
    identity.dh_key = key;
    return identity;
}

TestLog::TestLog()
    : signing_key_(crypto::Ed25519SigningKey::generate(entropy_)),
      vrf_key_(crypto::VrfSecretKey::generate(entropy_)) {}

std::uint64_t TestLog::add(EventKind kind, const CommittedIdentity& identity) {
    const std::vector<Entry>& before = entries_[identity.address];
    const Opening opening = random_opening(entropy_);
    Leaf leaf;
    leaf.kind = kind;
    leaf.counter = before.size() + 1;
    leaf.previous = before.empty() ? 0 : before.back().leaf_index + 1;
    leaf.time = 1'700'000'000'000 + static_cast<UnixMillis>(frontier_.size());
    leaf.address_index = index_of(identity.address);
    leaf.commitment = commit(opening, identity);
    return add_raw(leaf, identity, opening);
}

std::uint64_t TestLog::add_raw(const Leaf& leaf, const CommittedIdentity& identity,
                               const Opening& opening) {
    const std::uint64_t at = frontier_.size();
    Bytes bytes = encode_leaf(leaf);
    for (const Node& node : frontier_.append(leaf_hash(bytes))) {
        nodes_.emplace(node.id, node.hash);
    }
    entries_[identity.address].push_back(
        {.leaf_index = at, .leaf = std::move(bytes), .opened = {opening, identity}});
    return at;
}

void TestLog::add_noise(int events) {
    for (int i = 0; i < events; ++i) {
        add(EventKind::register_identity,
            test_identity("noise" + std::to_string(frontier_.size()), 9));
    }
}

NodeReader TestLog::reader() const {
    return [this](std::span<const NodeId> ids) -> Result<std::vector<Hash>> {
        std::vector<Hash> out;
        for (const NodeId id : ids) {
            out.push_back(nodes_.at(id));
        }
        return out;
    };
}

ProvedLeaf TestLog::prove(const Entry& entry) const {
    ProvedLeaf proved;
    proved.leaf_index = entry.leaf_index;
    proved.leaf = entry.leaf;
    proved.inclusion = inclusion_proof(entry.leaf_index, frontier_.size(), reader()).value();
    proved.opened = entry.opened;
    return proved;
}

HistoryProof TestLog::history(const std::string& address) const {
    HistoryProof proof;
    proof.address = address;
    proof.vrf_proof = vrf_key_.prove(as_bytes(address)).proof;
    for (const Entry& entry : entries_.at(address)) {
        proof.leaves.push_back(prove(entry));
    }
    proof.checkpoint = note();
    return proof;
}

HistoryProof TestLog::history(const std::string& address, std::uint64_t since) const {
    HistoryProof proof = history(address);
    proof.consistency = {.old_size = since,
                         .proof = consistency_proof(since, frontier_.size(), reader()).value()};
    return proof;
}

BundleProof TestLog::bundle(const std::string& address) const {
    BundleProof proof;
    proof.tree_size = frontier_.size();
    proof.vrf_proof = vrf_key_.prove(as_bytes(address)).proof;
    proof.leaf = prove(entries_.at(address).back());
    proof.checkpoint = note();
    return proof;
}

Checkpoint TestLog::checkpoint() const {
    return {.origin = "keys.example/kt",
            .size = frontier_.size(),
            .root = frontier_.root(),
            .extensions = {}};
}

std::string TestLog::note() const {
    return sign_checkpoint(checkpoint(), signing_key_);
}

LogKeys TestLog::keys() const {
    return {.log = {.name = "keys.example/kt",
                    .type = NoteKeyType::ed25519,
                    .public_key = signing_key_.public_key()},
            .vrf = vrf_key_.public_key()};
}

AddressIndex TestLog::index_of(const std::string& address) const {
    return address_index(vrf_key_.output(as_bytes(address)));
}

}  // namespace nave::prekeys::kt
