// Offline verification of what the transparency log says about an address, by a client, a monitor
// or `nave prekeys kt verify`. Needs nothing but the document, the log's two public keys and, to
// notice a rewritten log, a checkpoint remembered from earlier.
//
// A verified history means: the signed tree contains exactly these entries, they form one chain for
// this address from its first event on, and each identity shown is the one logged. It does not mean
// that no later entry exists: for that, scan the log for the address index or compare checkpoints
// with others (leaf.h, cosignatures).
#pragma once

#include "base/result.h"
#include "prekeys/kt/checkpoint.h"
#include "prekeys/kt/leaf.h"
#include "prekeys/kt/proof.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace nave::prekeys::kt {

// Both come from GET /v1/kt/keys, once, and are pinned; the name of `log` is the log's origin.
struct LogKeys {
    NoteKey log;
    ByteArray<32> vrf{};
};

struct VerifiedEvent {
    std::uint64_t leaf_index = 0;
    Leaf leaf;
    std::optional<CommittedIdentity> identity;  // empty when erased
};

struct VerifiedHistory {
    Checkpoint checkpoint;
    AddressIndex address_index{};
    std::vector<VerifiedEvent> events;  // oldest first, never empty
    bool extends_known = false;         // shown to extend the checkpoint the caller knew

    // Whether the address has an identity after the last event.
    [[nodiscard]] bool is_present() const { return !ends_identity(events.back().leaf.kind); }
};

struct VerifiedBundle {
    Checkpoint checkpoint;
    VerifiedEvent event;
};

// `known`: a checkpoint verified before; the new one must extend it. Errors, all but the first
// Code::unprocessable: those of parse_history and open_checkpoint; "kt.address" (the document is
// about another), "kt.vrf", "kt.inclusion", "kt.commitment", "kt.chain" (entries that do not follow
// one another), "kt.consistency".
[[nodiscard]] Result<VerifiedHistory> verify_history(
    std::string_view document, std::string_view address, const LogKeys& keys,
    const std::optional<Checkpoint>& known = std::nullopt);

// The identity in a bundle is the one logged at its leaf. Errors as above.
[[nodiscard]] Result<VerifiedBundle> verify_bundle(std::string_view bundle,
                                                   std::string_view address, const LogKeys& keys);

}  // namespace nave::prekeys::kt
