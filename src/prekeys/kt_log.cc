#include "prekeys/kt_log.h"

#include "base/entropy.h"
#include "prekeys/kt_identity.h"

#include <algorithm>

namespace nave::prekeys::sql {

using storage::Row;
using storage::Transaction;

namespace {

std::unexpected<Error> damaged(std::string_view what) {
    return fail(Code::internal, "kt.damaged", "The stored transparency log is damaged.",
                std::string(what));
}

Result<LogHead> parse_head(const Row& row) {
    LogHead head;
    head.tree_size = static_cast<std::uint64_t>(row.integer(0));
    const Bytes& packed = row.bytes(1);
    if (packed.size() % sizeof(kt::Hash) != 0) {
        return damaged("peaks");
    }
    head.peaks.resize(packed.size() / sizeof(kt::Hash));
    for (std::size_t i = 0; i < head.peaks.size(); ++i) {
        std::copy_n(packed.begin() + static_cast<std::ptrdiff_t>(i * sizeof(kt::Hash)),
                    sizeof(kt::Hash), head.peaks[i].begin());
    }
    head.log_key = row.bytes_or_null(2);
    return head;
}

// The head, locked against other writers until the transaction ends.
Result<LogHead> lock_head(Transaction& tx) {
    TRY(const auto row,
        tx.query_one("update shade_server_kt_head set tree_size = tree_size where id = 1 "
                     "returning tree_size, peaks, log_key"));
    if (!row) {
        return damaged("no head");
    }
    return parse_head(*row);
}

struct Predecessor {
    std::uint64_t leaf_index = 0;
    kt::Leaf leaf;
};

Result<std::optional<Predecessor>> last_leaf_of(Transaction& tx, const Address& address) {
    TRY(const auto row,
        tx.query_one("select leaf_index, leaf from shade_server_kt_leaves where address = $1 "
                     "order by leaf_index desc limit 1",
                     {address.text()}));
    if (!row) {
        return std::nullopt;
    }
    TRY(const kt::Leaf leaf, kt::decode_leaf(row->bytes(1)));
    return Predecessor{static_cast<std::uint64_t>(row->integer(0)), leaf};
}

Result<void> append(Transaction& tx, const Bytes& leaf, LogHead head) {
    TRY(kt::Frontier frontier, kt::Frontier::from_peaks(head.tree_size, std::move(head.peaks)));
    for (const kt::Node& node : frontier.append(kt::leaf_hash(leaf))) {
        TRY_VOID(
            tx.execute("insert into shade_server_kt_nodes (level, idx, hash) "
                       "values ($1, $2, $3)",
                       {static_cast<std::int64_t>(node.id.level),
                        static_cast<std::int64_t>(node.id.index), ByteView(node.hash)}));
    }
    Bytes packed;
    for (const kt::Hash& peak : frontier.peaks()) {
        nave::append(packed, peak);
    }
    TRY_VOID(tx.execute("update shade_server_kt_head set tree_size = $1, peaks = $2 where id = 1",
                        {static_cast<std::int64_t>(frontier.size()), packed}));
    return ok();
}

}  // namespace

Result<void> log_event(Transaction& tx, kt::EventKind kind, const Address& address,
                       const IdentityKeys& keys,
                       const std::optional<kt::AddressIndex>& index_if_new, UnixMillis now) {
    TRY(const auto previous, last_leaf_of(tx, address));
    if (!previous && !index_if_new) {
        // The log cannot take back what it never said: rows put in by hand leave without a trace.
        if (kt::ends_identity(kind)) {
            return ok();
        }
        return damaged("an identity without a leaf");
    }
    // The operating system's generator: the salt hides the keys from readers of the log.
    SystemEntropy entropy;
    const kt::Opening salt = kt::random_opening(entropy);
    kt::Leaf leaf;
    leaf.kind = kind;
    leaf.counter = previous ? previous->leaf.counter + 1 : 1;
    leaf.previous = previous ? previous->leaf_index + 1 : 0;
    leaf.time = now;
    leaf.address_index = previous ? previous->leaf.address_index : *index_if_new;
    leaf.commitment = kt::commit(salt, committed_identity(address, keys));
    const Bytes encoded = kt::encode_leaf(leaf);
    // Locked last, so that writers of other addresses wait as briefly as can be.
    TRY(LogHead head, lock_head(tx));
    TRY_VOID(tx.execute(
        "insert into shade_server_kt_leaves (leaf_index, leaf, address, salt, suite, signing_key, "
        "dh_key, dh_signature) values ($1, $2, $3, $4, $5, $6, $7, $8)",
        {static_cast<std::int64_t>(head.tree_size), encoded, address.text(), ByteView(salt),
         static_cast<std::int64_t>(keys.suite), keys.signing_key, keys.dh_key, keys.dh_signature}));
    return append(tx, encoded, std::move(head));
}

Result<void> erase_openings(Transaction& tx, const Address& address) {
    TRY_VOID(
        tx.execute("update shade_server_kt_leaves set salt = null, signing_key = null, "
                   "dh_key = null, dh_signature = null where address = $1",
                   {address.text()}));
    return ok();
}

kt::NodeReader node_reader(Transaction& tx) {
    return [&tx](std::span<const kt::NodeId> ids) -> Result<std::vector<kt::Hash>> {
        std::vector<kt::Hash> hashes;
        hashes.reserve(ids.size());
        for (const kt::NodeId& id : ids) {
            TRY(const auto row,
                tx.query_one(
                    "select hash from shade_server_kt_nodes where level = $1 and idx = $2",
                    {static_cast<std::int64_t>(id.level), static_cast<std::int64_t>(id.index)}));
            if (!row || row->bytes(0).size() != sizeof(kt::Hash)) {
                return damaged("a node is missing");
            }
            std::copy_n(row->bytes(0).begin(), sizeof(kt::Hash), hashes.emplace_back().begin());
        }
        return hashes;
    };
}

Result<LogHead> log_head(Transaction& tx) {
    TRY(const auto row,
        tx.query_one("select tree_size, peaks, log_key from shade_server_kt_head where id = 1"));
    if (!row) {
        return damaged("no head");
    }
    return parse_head(*row);
}

Result<std::vector<StoredLeaf>> leaves_of(Transaction& tx, const Address& address,
                                          std::uint64_t tree_size) {
    TRY(const auto rows,
        tx.query("select leaf_index, leaf, salt, suite, signing_key, dh_key, dh_signature "
                 "from shade_server_kt_leaves where address = $1 and leaf_index < $2 "
                 "order by leaf_index",
                 {address.text(), static_cast<std::int64_t>(tree_size)}));
    std::vector<StoredLeaf> leaves;
    for (const Row& row : rows) {
        StoredLeaf& leaf = leaves.emplace_back();
        leaf.leaf_index = static_cast<std::uint64_t>(row.integer(0));
        leaf.leaf = row.bytes(1);
        leaf.keys.suite = static_cast<Suite>(row.integer(3));
        if (row.is_null(2)) {
            continue;
        }
        if (row.bytes(2).size() != sizeof(kt::Opening)) {
            return damaged("a salt");
        }
        std::copy_n(row.bytes(2).begin(), sizeof(kt::Opening), leaf.salt.emplace().begin());
        leaf.keys.signing_key = row.bytes(4);
        leaf.keys.dh_key = row.bytes(5);
        leaf.keys.dh_signature = row.bytes_or_null(6);
    }
    return leaves;
}

Result<std::vector<Bytes>> leaf_range(Transaction& tx, std::uint64_t first, std::uint64_t count) {
    TRY(const auto rows,
        tx.query("select leaf from shade_server_kt_leaves "
                 "where leaf_index >= $1 and leaf_index < $2 order by leaf_index",
                 {static_cast<std::int64_t>(first), static_cast<std::int64_t>(first + count)}));
    std::vector<Bytes> leaves;
    leaves.reserve(rows.size());
    for (const Row& row : rows) {
        leaves.push_back(row.bytes(0));
    }
    return leaves;
}

}  // namespace nave::prekeys::sql
