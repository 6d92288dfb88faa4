#include "broker/live_lists.h"

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

namespace nave::broker {

using storage::Row;
using storage::Transaction;

namespace {

// Fewer keys than this are kept with each envelope.
constexpr std::size_t kSharedMin = 8;
// Different lists of one transaction that are looked at.
constexpr std::size_t kListsMax = 16;
constexpr std::int64_t kDropBatch = 100;
constexpr std::size_t kReferenceSize = sizeof(std::int64_t);
static_assert(sizeof(Key) % kReferenceSize == 0 && sizeof(Key) != kReferenceSize,
              "one key is no reference");

Bytes packed(std::span<const Key> keys) {
    Bytes bytes;
    bytes.reserve(keys.size() * sizeof(Key));
    for (const Key& key : keys) {
        append(bytes, key);
    }
    return bytes;
}

std::vector<Key> unpacked(const Bytes& bytes) {
    std::vector<Key> keys(bytes.size() / sizeof(Key));
    for (std::size_t i = 0; i < keys.size(); ++i) {
        std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(i * sizeof(Key)), sizeof(Key),
                    keys[i].begin());
    }
    return keys;
}

Bytes reference_to(std::int64_t list) {
    Bytes bytes(kReferenceSize);
    auto rest = static_cast<std::uint64_t>(list);
    for (std::size_t i = kReferenceSize; i-- > 0; rest >>= 8U) {
        bytes[i] = static_cast<std::uint8_t>(rest);
    }
    return bytes;
}

std::optional<std::int64_t> list_of(const Bytes& column) {
    if (column.size() != kReferenceSize) {
        return std::nullopt;
    }
    std::uint64_t list = 0;
    for (const std::uint8_t byte : column) {
        list = list << 8U | byte;
    }
    return static_cast<std::int64_t>(list);
}

Result<std::int64_t> store_list(Transaction& tx, const Bytes& recipients) {
    if (tx.dialect() == storage::Dialect::postgres) {
        TRY(const auto row,
            tx.query_one("insert into mesh_live_list (recipients) values ($1) returning id",
                         {recipients}));
        return row->integer(0);
    }
    TRY_VOID(tx.execute("insert into mesh_live_list (recipients) values ($1)", {recipients}));
    TRY(const auto row, tx.query_one("select last_insert_rowid()"));
    return row->integer(0);
}

}  // namespace

LiveLists::LiveLists(std::span<const Append> appends) : appends_(appends) {
    list_of_.reserve(appends.size());
    for (std::size_t i = 0; i < appends.size(); ++i) {
        const std::vector<Key>& live = appends[i].live;
        if (live.size() < kSharedMin) {
            list_of_.push_back(kListsMax);
            continue;
        }
        const auto same = std::ranges::find_if(
            lists_, [&](const List& list) { return appends[list.first].live == live; });
        list_of_.push_back(static_cast<std::size_t>(same - lists_.begin()));
        if (same != lists_.end()) {
            same->uses += 1;
        } else if (lists_.size() < kListsMax) {
            lists_.push_back({.first = i, .uses = 1});
        }
    }
}

Result<LiveLists::Column> LiveLists::column(Transaction& tx, std::size_t index) {
    const std::vector<Key>& live = appends_[index].live;
    if (live.empty()) {
        return Column();
    }
    const std::size_t at = list_of_[index];
    if (at >= lists_.size() || lists_[at].uses == 1) {
        return Column{packed(live), 0};
    }
    List& list = lists_[at];
    if (list.id == 0) {
        TRY(list.id, store_list(tx, packed(live)));
    }
    return Column{reference_to(list.id), list.id};
}

Result<std::vector<Key>> live_recipients(Transaction& tx, const Bytes& column) {
    const auto list = list_of(column);
    if (!list) {
        return unpacked(column);
    }
    TRY(const auto row,
        tx.query_one("select recipients from mesh_live_list where id = $1", {*list}));
    // On PostgreSQL the envelope may have been settled, and its list dropped, since it was read.
    return row ? unpacked(row->bytes(0)) : std::vector<Key>();
}

Result<void> drop_lists(Transaction& tx, std::span<const std::int64_t> lists) {
    for (const std::int64_t list : lists) {
        TRY_VOID(tx.execute("delete from mesh_live_list where id = $1", {list}));
    }
    return ok();
}

// The lists are read first: what refers to one of them was committed with it, so the second
// statement sees it.
Result<void> drop_unused_lists(Transaction& tx) {
    std::vector<std::int64_t> lists;
    TRY_VOID(tx.each("select id from mesh_live_list order by id limit $1", {kDropBatch},
                     [&](const Row& row) -> Result<void> {
                         lists.push_back(row.integer(0));
                         return ok();
                     }));
    if (lists.empty()) {
        return ok();
    }
    std::unordered_set<std::int64_t> used;
    TRY_VOID(tx.each("select live_recipients from mesh_message where live_recipients is not null",
                     {}, [&](const Row& row) -> Result<void> {
                         if (const auto list = list_of(row.bytes(0))) {
                             used.insert(*list);
                         }
                         return ok();
                     }));
    std::erase_if(lists, [&](std::int64_t list) { return used.contains(list); });
    return drop_lists(tx, lists);
}

Result<void> add_delivery(Transaction& tx, const std::string& mesh_id, const Key& recipient,
                          bool urgent, Sequence sequence) {
    TRY_VOID(
        tx.execute("insert into mesh_delivery (mesh_id, recipient, urgent, seq) "
                   "values ($1, $2, $3, $4) on conflict do nothing",
                   {mesh_id, ByteView(recipient), std::int64_t{urgent}, sequence}));
    return ok();
}

// ---- what this process has under way ----

void SharedListUses::add(const std::vector<Appended>& appended) {
    for (const Appended& one : appended) {
        if (one.shared_list != 0) {
            list_of_.emplace(one.sequence, one.shared_list);
            uses_[one.shared_list] += 1;
        }
    }
}

std::vector<std::int64_t> SharedListUses::last_of(std::span<const Sequence> finished) const {
    std::map<std::int64_t, std::size_t> ended;
    for (const Sequence sequence : finished) {
        if (const auto found = list_of_.find(sequence); found != list_of_.end()) {
            ended[found->second] += 1;
        }
    }
    std::vector<std::int64_t> lists;
    for (const auto& [list, uses] : ended) {
        if (uses_.at(list) == uses) {
            lists.push_back(list);
        }
    }
    return lists;
}

void SharedListUses::remove(std::span<const Sequence> finished) {
    for (const Sequence sequence : finished) {
        const auto found = list_of_.find(sequence);
        if (found == list_of_.end()) {
            continue;
        }
        const auto uses = uses_.find(found->second);
        uses->second -= 1;
        if (uses->second == 0) {
            uses_.erase(uses);
        }
        list_of_.erase(found);
    }
}

}  // namespace nave::broker
