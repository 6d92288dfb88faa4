#include "prekeys/kt/proof.h"

#include "base/check.h"
#include "base/encoding.h"

#include <fmt/format.h>

#include <algorithm>

namespace nave::prekeys::kt {
namespace {

// A tree of kTreeSizeMax leaves has proofs of 57 hashes; consistency needs at most one more level.
constexpr std::size_t kProofHashesMax = 64;
constexpr std::size_t kKeyBytesMax = 4096;

std::unexpected<Error> bad_document(std::string_view member) {
    return fail(Code::invalid, "kt.document",
                fmt::format("The proof document is malformed at \"{}\".", member));
}

// Absent and null are one.
const json::Value* find(const json::Object& object, std::string_view name) {
    const json::Value* value = object.if_contains(name);
    return value != nullptr && !value->is_null() ? value : nullptr;
}

Result<std::uint64_t> read_number(const json::Object& object, std::string_view name) {
    const json::Value* value = find(object, name);
    const std::int64_t* number = value != nullptr ? value->if_int64() : nullptr;
    if (number == nullptr || *number < 0) {
        return bad_document(name);
    }
    return static_cast<std::uint64_t>(*number);
}

Result<std::string> read_text(const json::Object& object, std::string_view name) {
    const json::Value* value = find(object, name);
    if (value == nullptr || !value->is_string()) {
        return bad_document(name);
    }
    return std::string(value->get_string());
}

Result<Bytes> read_bytes(const json::Object& object, std::string_view name) {
    TRY(const std::string text, read_text(object, name));
    auto bytes = base64_decode(text);
    if (!bytes) {
        return bad_document(name);
    }
    return std::move(*bytes);
}

// Keys of any suite: their lengths are the commitment's business.
Result<Bytes> read_key(const json::Object& object, std::string_view name) {
    TRY(Bytes key, read_bytes(object, name));
    if (key.empty() || key.size() > kKeyBytesMax) {
        return bad_document(name);
    }
    return key;
}

template <std::size_t N>
Result<ByteArray<N>> read_array(const json::Object& object, std::string_view name) {
    TRY(const Bytes bytes, read_bytes(object, name));
    if (bytes.size() != N) {
        return bad_document(name);
    }
    ByteArray<N> out{};
    std::ranges::copy(bytes, out.begin());
    return out;
}

Result<std::vector<Hash>> read_hashes(const json::Object& object, std::string_view name) {
    const json::Value* value = find(object, name);
    if (value == nullptr || !value->is_array() || value->get_array().size() > kProofHashesMax) {
        return bad_document(name);
    }
    std::vector<Hash> hashes;
    for (const json::Value& item : value->get_array()) {
        const auto bytes = item.is_string() ? base64_decode(item.get_string()) : std::nullopt;
        Hash hash{};
        if (!bytes || bytes->size() != hash.size()) {
            return bad_document(name);
        }
        std::ranges::copy(*bytes, hash.begin());
        hashes.push_back(hash);
    }
    return hashes;
}

// The keys of an identity, under the names bundles use as well.
Result<CommittedIdentity> read_identity(const json::Object& object, std::string address) {
    CommittedIdentity identity;
    identity.address = std::move(address);
    TRY(identity.suite, read_text(object, "suite"));
    if (find(object, "identityKey") != nullptr) {
        TRY(identity.identity_key, read_key(object, "identityKey"));
        return identity;
    }
    TRY(identity.identity_key, read_key(object, "identitySigningKey"));
    TRY(identity.dh_key, read_key(object, "identityDhKey"));
    if (find(object, "identityDhKeySignature") != nullptr) {
        TRY(identity.dh_key_signature, read_key(object, "identityDhKeySignature"));
    }
    return identity;
}

Result<std::optional<Hash>> read_digest(const json::Object& object) {
    if (find(object, "signedPreKeyDigest") == nullptr) {
        return std::optional<Hash>();
    }
    TRY(const Hash digest, read_array<32>(object, "signedPreKeyDigest"));
    return std::optional(digest);
}

Result<ProvedLeaf> read_leaf(const json::Object& object) {
    ProvedLeaf leaf;
    TRY(leaf.leaf_index, read_number(object, "leafIndex"));
    TRY(leaf.leaf, read_bytes(object, "leaf"));
    TRY(leaf.inclusion, read_hashes(object, "inclusion"));
    return leaf;
}

Result<ProvedLeaf> read_history_leaf(const json::Value& value, const std::string& address) {
    if (!value.is_object()) {
        return bad_document("leaves");
    }
    const json::Object& object = value.get_object();
    TRY(ProvedLeaf leaf, read_leaf(object));
    const json::Value* opening = find(object, "opening");
    if (opening == nullptr) {
        return leaf;
    }
    if (!opening->is_object()) {
        return bad_document("opening");
    }
    const json::Object& opened = opening->get_object();
    OpenedIdentity identity;
    TRY(identity.opening, read_array<16>(opened, "salt"));
    TRY(identity.identity, read_identity(opened, address));
    TRY(identity.identity.signed_prekey_digest, read_digest(opened));
    leaf.opened = std::move(identity);
    return leaf;
}

Result<json::Object> parse_object(std::string_view text) {
    if (text.size() > kProofBytesMax) {
        return fail(Code::too_large, "kt.document", "The proof document is too large.");
    }
    TRY(json::Value value, json::parse(text));
    if (!value.is_object()) {
        return bad_document("");
    }
    return std::move(value.get_object());
}

json::Array hashes_json(const std::vector<Hash>& hashes) {
    json::Array out;
    out.reserve(hashes.size());
    for (const Hash& hash : hashes) {
        out.emplace_back(base64(hash));
    }
    return out;
}

json::Value digest_json(const CommittedIdentity& identity) {
    return identity.signed_prekey_digest ? json::Value(base64(*identity.signed_prekey_digest))
                                         : json::Value(nullptr);
}

json::Object opening_json(const OpenedIdentity& opened) {
    const CommittedIdentity& identity = opened.identity;
    json::Object out;
    out["salt"] = base64(opened.opening);
    out["suite"] = identity.suite;
    if (identity.dh_key.empty()) {
        out["identityKey"] = base64(identity.identity_key);
    } else {
        out["identitySigningKey"] = base64(identity.identity_key);
        out["identityDhKey"] = base64(identity.dh_key);
        out["identityDhKeySignature"] = identity.dh_key_signature.empty()
                                            ? json::Value(nullptr)
                                            : json::Value(base64(identity.dh_key_signature));
    }
    out["signedPreKeyDigest"] = digest_json(identity);
    return out;
}

}  // namespace

json::Object to_json(const HistoryProof& proof) {
    json::Array leaves;
    leaves.reserve(proof.leaves.size());
    for (const ProvedLeaf& leaf : proof.leaves) {
        json::Object item;
        item["leafIndex"] = leaf.leaf_index;
        item["leaf"] = base64(leaf.leaf);
        item["inclusion"] = hashes_json(leaf.inclusion);
        item["opening"] =
            leaf.opened ? json::Value(opening_json(*leaf.opened)) : json::Value(nullptr);
        leaves.emplace_back(std::move(item));
    }
    json::Object out;
    out["address"] = proof.address;
    out["vrfProof"] = base64(proof.vrf_proof);
    out["leaves"] = std::move(leaves);
    if (proof.consistency) {
        out["since"] = proof.consistency->old_size;
        out["consistency"] = hashes_json(proof.consistency->proof);
    }
    out["checkpoint"] = proof.checkpoint;
    return out;
}

json::Object to_json(const BundleProof& proof) {
    CHECK(proof.leaf.opened.has_value(), "a bundle proves the identity it shows");
    json::Object out;
    out["leafIndex"] = proof.leaf.leaf_index;
    out["treeSize"] = proof.tree_size;
    out["leaf"] = base64(proof.leaf.leaf);
    out["salt"] = base64(proof.leaf.opened->opening);
    out["vrfProof"] = base64(proof.vrf_proof);
    out["signedPreKeyDigest"] = digest_json(proof.leaf.opened->identity);
    out["inclusion"] = hashes_json(proof.leaf.inclusion);
    out["checkpoint"] = proof.checkpoint;
    return out;
}

Result<HistoryProof> parse_history(std::string_view text) {
    TRY(const json::Object object, parse_object(text));
    HistoryProof proof;
    TRY(proof.address, read_text(object, "address"));
    TRY(proof.vrf_proof, read_array<80>(object, "vrfProof"));
    const json::Value* leaves = find(object, "leaves");
    if (leaves == nullptr || !leaves->is_array() || leaves->get_array().empty()) {
        return bad_document("leaves");
    }
    for (const json::Value& value : leaves->get_array()) {
        TRY(ProvedLeaf leaf, read_history_leaf(value, proof.address));
        proof.leaves.push_back(std::move(leaf));
    }
    const bool has_since = find(object, "since") != nullptr;
    if (has_since != (find(object, "consistency") != nullptr)) {
        return bad_document("consistency");
    }
    if (has_since) {
        ConsistencyFrom consistency;
        TRY(consistency.old_size, read_number(object, "since"));
        TRY(consistency.proof, read_hashes(object, "consistency"));
        proof.consistency = std::move(consistency);
    }
    TRY(proof.checkpoint, read_text(object, "checkpoint"));
    return proof;
}

Result<BundleProof> parse_bundle(std::string_view text) {
    TRY(const json::Object bundle, parse_object(text));
    const json::Value* kt = find(bundle, "kt");
    if (kt == nullptr || !kt->is_object()) {
        return bad_document("kt");
    }
    const json::Object& object = kt->get_object();
    BundleProof proof;
    TRY(proof.tree_size, read_number(object, "treeSize"));
    TRY(proof.vrf_proof, read_array<80>(object, "vrfProof"));
    TRY(proof.leaf, read_leaf(object));
    OpenedIdentity opened;
    TRY(opened.opening, read_array<16>(object, "salt"));
    TRY(std::string address, read_text(bundle, "address"));
    TRY(opened.identity, read_identity(bundle, std::move(address)));
    TRY(opened.identity.signed_prekey_digest, read_digest(object));
    if (opened.identity.signed_prekey_digest) {
        const json::Value* prekey = find(bundle, "signedPreKey");
        if (prekey == nullptr || !prekey->is_object()) {
            return bad_document("signedPreKey");
        }
        // The digest is recomputed from the prekey the bundle hands out; a differing claim in "kt"
        // is refused here, because the commitment alone would only prove the claim.
        const json::Object& key = prekey->get_object();
        TRY(const std::uint64_t key_id, read_number(key, "keyId"));
        TRY(const std::uint64_t created_at, read_number(key, "createdAt"));
        TRY(const Bytes public_key, read_key(key, "publicKey"));
        if (key_id > UINT32_MAX ||
            signed_prekey_digest(static_cast<std::uint32_t>(key_id),
                                 static_cast<UnixMillis>(created_at),
                                 public_key) != *opened.identity.signed_prekey_digest) {
            return bad_document("signedPreKeyDigest");
        }
    }
    proof.leaf.opened = std::move(opened);
    TRY(proof.checkpoint, read_text(object, "checkpoint"));
    return proof;
}

}  // namespace nave::prekeys::kt
