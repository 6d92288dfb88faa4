// The transparency log inside the store's transactions: an identity change and its leaf commit
// together, so the log can neither miss a change nor name one that never happened.
#pragma once

#include "base/clock.h"
#include "prekeys/kt/leaf.h"
#include "prekeys/kt/merkle.h"
#include "prekeys/types.h"
#include "storage/transaction.h"

#include <optional>
#include <vector>

namespace nave::prekeys::sql {

// Appends the event. `index_if_new` names an address the log does not know yet (its VRF output);
// later events take the index from the address's previous leaf.
[[nodiscard]] Result<void> log_event(storage::Transaction& tx, kt::EventKind kind,
                                     const Address& address, const IdentityKeys& keys,
                                     const std::optional<kt::AddressIndex>& index_if_new,
                                     UnixMillis now);
// Makes the leaves of an address mute: their commitments can no longer be opened.
[[nodiscard]] Result<void> erase_openings(storage::Transaction& tx, const Address& address);

// Reads tree nodes from the table.
[[nodiscard]] kt::NodeReader node_reader(storage::Transaction& tx);

struct LogHead {
    std::uint64_t tree_size = 0;
    std::vector<kt::Hash> peaks;
    std::optional<Bytes> log_key;
};
[[nodiscard]] Result<LogHead> log_head(storage::Transaction& tx);

struct StoredLeaf {
    std::uint64_t leaf_index = 0;
    Bytes leaf;
    std::optional<kt::Opening> salt;  // nullopt once erased
    IdentityKeys keys;
};
// Oldest first, only those inside a tree of `tree_size`.
[[nodiscard]] Result<std::vector<StoredLeaf>> leaves_of(storage::Transaction& tx,
                                                        const Address& address,
                                                        std::uint64_t tree_size);
[[nodiscard]] Result<std::vector<Bytes>> leaf_range(storage::Transaction& tx, std::uint64_t first,
                                                    std::uint64_t count);

}  // namespace nave::prekeys::sql
