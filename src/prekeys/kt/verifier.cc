#include "prekeys/kt/verifier.h"

#include "crypto/ecvrf.h"

#include <utility>

namespace nave::prekeys::kt {
namespace {

std::unexpected<Error> refuse(std::string id, std::string message) {
    return fail(Code::unprocessable, std::move(id), std::move(message));
}

Result<AddressIndex> verify_address(std::string_view shown, std::string_view wanted,
                                    const crypto::VrfProof& proof, const LogKeys& keys) {
    if (shown != wanted) {
        return refuse("kt.address", "The proof is about another address.");
    }
    const auto output = crypto::vrf_verify(keys.vrf, as_bytes(wanted), proof);
    if (!output) {
        return refuse("kt.vrf", "The proof of the address index is wrong.");
    }
    return address_index(*output);
}

Result<VerifiedEvent> verify_leaf(const ProvedLeaf& proved, const AddressIndex& index,
                                  const Checkpoint& checkpoint) {
    VerifiedEvent event;
    event.leaf_index = proved.leaf_index;
    TRY(event.leaf, decode_leaf(proved.leaf));
    if (event.leaf.address_index != index) {
        return refuse("kt.vrf", "A log entry belongs to another address.");
    }
    if (!verify_inclusion(leaf_hash(proved.leaf), proved.leaf_index, checkpoint.size,
                          proved.inclusion, checkpoint.root)) {
        return refuse("kt.inclusion", "A log entry is not in the signed tree.");
    }
    if (proved.opened) {
        if (commit(proved.opened->opening, proved.opened->identity) != event.leaf.commitment) {
            return refuse("kt.commitment", "The identity shown is not the one that was logged.");
        }
        event.identity = proved.opened->identity;
    }
    return event;
}

bool same_keys(const CommittedIdentity& a, const CommittedIdentity& b) {
    return a.suite == b.suite && a.identity_key == b.identity_key && a.dh_key == b.dh_key;
}

// Whether `next` may follow a live identity. Keys are compared where both are shown.
bool may_follow(const VerifiedEvent& before, const VerifiedEvent& next) {
    if (!before.identity || !next.identity) {
        return true;
    }
    const bool same = same_keys(*before.identity, *next.identity);
    return next.leaf.kind == EventKind::rotate_identity ? !same : same;
}

Result<void> verify_chain(const std::vector<VerifiedEvent>& events) {
    bool live = false;
    for (std::size_t i = 0; i < events.size(); ++i) {
        const Leaf& leaf = events[i].leaf;
        const std::uint64_t previous = i == 0 ? 0 : events[i - 1].leaf_index + 1;
        if (leaf.counter != i + 1 || leaf.previous != previous || events[i].leaf_index < previous) {
            return refuse("kt.chain", "The log entries do not follow one another.");
        }
        const bool starts = leaf.kind == EventKind::register_identity;
        if ((!live && !starts) || (live && !may_follow(events[i - 1], events[i]))) {
            return refuse("kt.chain", "An event contradicts the one before it.");
        }
        live = !ends_identity(leaf.kind);
    }
    // An erased identity is one that has ended: whatever came after must show its keys.
    for (std::size_t i = events.size(); i > 0 && !ends_identity(events[i - 1].leaf.kind); --i) {
        if (!events[i - 1].identity) {
            return refuse("kt.commitment", "The keys of a live identity are withheld.");
        }
    }
    return ok();
}

Result<void> verify_extends(const Checkpoint& known, const Checkpoint& now,
                            const std::optional<ConsistencyFrom>& shown) {
    const bool same_size = known.size == now.size;
    if (!same_size && (!shown || shown->old_size != known.size)) {
        return refuse("kt.consistency",
                      "The proof does not start from the checkpoint that is known.");
    }
    const std::vector<Hash> none;
    if (known.origin != now.origin ||
        !verify_consistency(known.size, known.root, now.size, now.root,
                            same_size ? none : shown->proof)) {
        return refuse("kt.consistency", "The log does not extend the checkpoint that is known.");
    }
    return ok();
}

}  // namespace

Result<VerifiedHistory> verify_history(std::string_view document, std::string_view address,
                                       const LogKeys& keys,
                                       const std::optional<Checkpoint>& known) {
    TRY(const HistoryProof proof, parse_history(document));
    VerifiedHistory history;
    TRY(history.checkpoint, open_checkpoint(proof.checkpoint, keys.log));
    if (known) {
        TRY_VOID(verify_extends(*known, history.checkpoint, proof.consistency));
        history.extends_known = true;
    }
    TRY(history.address_index, verify_address(proof.address, address, proof.vrf_proof, keys));
    for (const ProvedLeaf& proved : proof.leaves) {
        TRY(VerifiedEvent event, verify_leaf(proved, history.address_index, history.checkpoint));
        history.events.push_back(std::move(event));
    }
    TRY_VOID(verify_chain(history.events));
    return history;
}

Result<VerifiedBundle> verify_bundle(std::string_view bundle, std::string_view address,
                                     const LogKeys& keys) {
    TRY(const BundleProof proof, parse_bundle(bundle));
    VerifiedBundle verified;
    TRY(verified.checkpoint, open_checkpoint(proof.checkpoint, keys.log));
    if (verified.checkpoint.size != proof.tree_size) {
        return refuse("kt.inclusion", "The checkpoint is of another tree.");
    }
    TRY(const AddressIndex index,
        verify_address(proof.leaf.opened->identity.address, address, proof.vrf_proof, keys));
    TRY(verified.event, verify_leaf(proof.leaf, index, verified.checkpoint));
    if (ends_identity(verified.event.leaf.kind)) {
        return refuse("kt.chain", "The log says that this identity has ended.");
    }
    return verified;
}

}  // namespace nave::prekeys::kt
