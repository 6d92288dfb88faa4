// The JSON in which the log answers: the history of one address, and the `kt` member of a bundle.
// Builder and parser side by side, so that what the server writes is what the verifier reads. Bytes
// are standard base64, hashes 32 bytes of it; unknown members are ignored.
//
// History, GET /v1/kt/proof/{address}?since=n:
//   { "address": "alice:1",
//     "vrfProof": b64(80),              ties the address to the address index in its leaves
//     "leaves": [ {                     every event of the address, oldest first, at least one
//         "leafIndex": 5,
//         "leaf": b64(90),              leaf.h
//         "inclusion": [hash, ...],     in the tree of the checkpoint, from the leaf upwards
//         "opening": {                  or null once the identity has been erased
//           "salt": b64(16),
//           "suite": "x3dh-ed25519",
//           "identitySigningKey": b64(32), "identityDhKey": b64(32),
//           "identityDhKeySignature": b64(64) or null,
//           "identityKey": b64(33),     instead of the three, for suites with one key
//           "signedPreKeyDigest": b64(32) or null } } ],
//     "since": n,                       with "consistency", both or neither
//     "consistency": [hash, ...],       from a tree of size n to that of the checkpoint
//     "checkpoint": "signed note" }
//
// Bundle, the member "kt" beside the identity keys it proves:
//   { "leafIndex": 5, "treeSize": 8,
//     "leaf": b64(90), "salt": b64(16), "vrfProof": b64(80),
//     "signedPreKeyDigest": b64(32) or null,
//     "inclusion": [hash, ...], "checkpoint": "signed note" }
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "crypto/ecvrf.h"
#include "prekeys/kt/leaf.h"
#include "prekeys/kt/merkle.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nave::prekeys::kt {

inline constexpr std::size_t kProofBytesMax = 4 * 1024 * 1024;

struct OpenedIdentity {
    Opening opening{};
    CommittedIdentity identity;
    friend bool operator==(const OpenedIdentity&, const OpenedIdentity&) = default;
};

struct ProvedLeaf {
    std::uint64_t leaf_index = 0;
    Bytes leaf;
    std::vector<Hash> inclusion;
    std::optional<OpenedIdentity> opened;
    friend bool operator==(const ProvedLeaf&, const ProvedLeaf&) = default;
};

struct ConsistencyFrom {
    std::uint64_t old_size = 0;
    std::vector<Hash> proof;
    friend bool operator==(const ConsistencyFrom&, const ConsistencyFrom&) = default;
};

struct HistoryProof {
    std::string address;
    crypto::VrfProof vrf_proof{};
    std::vector<ProvedLeaf> leaves;
    std::optional<ConsistencyFrom> consistency;
    std::string checkpoint;
    friend bool operator==(const HistoryProof&, const HistoryProof&) = default;
};

struct BundleProof {
    std::uint64_t tree_size = 0;
    crypto::VrfProof vrf_proof{};
    ProvedLeaf leaf;  // its identity is that of the bundle, plus the digest
    std::string checkpoint;
    friend bool operator==(const BundleProof&, const BundleProof&) = default;
};

[[nodiscard]] json::Object to_json(const HistoryProof& proof);
// The `kt` member; proof.leaf.opened must be set.
[[nodiscard]] json::Object to_json(const BundleProof& proof);

// Shape only, save that a bundle's digest must be that of its own signed prekey. Errors:
// Code::invalid "kt.document", Code::too_large "kt.document" above kProofBytesMax, and those of
// json::parse.
[[nodiscard]] Result<HistoryProof> parse_history(std::string_view text);
// `text` is a whole bundle with its "kt" member.
[[nodiscard]] Result<BundleProof> parse_bundle(std::string_view text);

}  // namespace nave::prekeys::kt
