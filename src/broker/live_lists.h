// Who an envelope to many was pushed to at once (mesh_message.live_recipients): the keys one after
// the other, or the number of a list of them in mesh_live_list, eight bytes with the highest first.
// Envelopes to the same peers that are stored together share such a list: a hundred keys take
// several times as much as most envelopes do.
#pragma once

#include "broker/queue_store.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace nave::broker {

// The lists of one transaction of sends.
class LiveLists {
  public:
    explicit LiveLists(std::span<const Append> appends);

    struct Column {
        std::optional<Bytes> value;    // null: no live recipients
        std::int64_t shared_list = 0;  // 0: the keys themselves
    };
    // Of the append with this index; stores the list that it is the first to need.
    [[nodiscard]] Result<Column> column(storage::Transaction& tx, std::size_t index);

  private:
    struct List {
        std::size_t first = 0;  // append
        std::size_t uses = 0;
        std::int64_t id = 0;  // once stored
    };
    std::span<const Append> appends_;
    std::vector<List> lists_;
    std::vector<std::size_t> list_of_;  // by append; lists_.size() or more: none
};

// None when all of it has been settled meanwhile.
[[nodiscard]] Result<std::vector<Key>> live_recipients(storage::Transaction& tx,
                                                       const Bytes& column);
// Some of the lists that a process left behind. Few, for a call holds up what is to be stored.
[[nodiscard]] Result<void> drop_unused_lists(storage::Transaction& tx);
[[nodiscard]] Result<void> drop_lists(storage::Transaction& tx,
                                      std::span<const std::int64_t> lists);

// One of many waits for this key; not an error if it does already.
[[nodiscard]] Result<void> add_delivery(storage::Transaction& tx, const std::string& mesh_id,
                                        const Key& recipient, bool urgent, Sequence sequence);

}  // namespace nave::broker
