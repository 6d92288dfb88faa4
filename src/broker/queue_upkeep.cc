#include "broker/hex_key.h"
#include "broker/live_lists.h"
#include "broker/queue_store.h"

#include <algorithm>

// Looking after the queue: what is in it, what becomes of claims and lists whose process is gone,
// and what is old.
namespace nave::broker {

using storage::Row;
using storage::Transaction;

namespace {

constexpr std::int64_t kTrimBatch = 2'000;
constexpr std::int64_t kStatusRecipients = 1'000;

}  // namespace

Task<Result<std::optional<EnvelopeStatus>>> QueueStore::status(std::string mesh_id,
                                                               std::string id) {
    auto read = [mesh_id = std::move(mesh_id),
                 id = std::move(id)](Transaction& tx) -> Result<std::optional<EnvelopeStatus>> {
        TRY(const auto row, tx.query_one("select seq, target_spec, sender_member_id, created_at, "
                                         "delivered_at, recipient, live_recipients "
                                         "from mesh_message where mesh_id = $1 and id = $2",
                                         {mesh_id, id}));
        if (!row) {
            return std::nullopt;
        }
        EnvelopeStatus status{
            id, row->text(1), row->text(2), row->integer(3), row->integer_or_null(4), {}};
        if (!row->is_null(5)) {
            status.recipients.push_back({key_of(row->bytes(5)), status.delivered_at.has_value()});
            return status;
        }
        if (!row->is_null(6)) {
            TRY(const auto live, live_recipients(tx, row->bytes(6)));
            for (const Key& key : live) {
                status.recipients.push_back({key, false});
            }
        }
        TRY_VOID(tx.each("select recipient from mesh_delivery where seq = $1 limit $2",
                         {row->integer(0), kStatusRecipients},
                         [&](const Row& part) -> Result<void> {
                             status.recipients.push_back({key_of(part.bytes(0)), false});
                             return ok();
                         }));
        return status;
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::int64_t>> QueueStore::depth(UnixMillis now) {
    auto read = [now](Transaction& tx) -> Result<std::int64_t> {
        TRY(const auto waiting,
            tx.query_one("select count(*) from mesh_message where recipient is not null "
                         "and delivered_at is null and claimed_by is null and expires_at > $1",
                         {now}));
        TRY(const auto claimed,
            tx.query_one("select count(*) from mesh_message where claimed_by is not null "
                         "and delivered_at is null and expires_at > $1",
                         {now}));
        TRY(const auto stored,
            tx.query_one("select count(*) from mesh_delivery d join mesh_message m "
                         "on m.seq = d.seq where m.expires_at > $1",
                         {now}));
        return waiting->integer(0) + claimed->integer(0) + stored->integer(0);
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::vector<Backlog>>> QueueStore::backlogs(std::int64_t limit) {
    auto read = [limit](Transaction& tx) -> Result<std::vector<Backlog>> {
        std::vector<Backlog> found;
        TRY_VOID(
            tx.each("select mesh_id, recipient from mesh_message "
                    "where recipient is not null and delivered_at is null "
                    "group by mesh_id, recipient having count(*) > $1",
                    {limit}, [&](const Row& row) -> Result<void> {
                        found.push_back({row.text(0), key_of(row.bytes(1))});
                        return ok();
                    }));
        return found;
    };
    co_return co_await database_.read(std::move(read));
}

namespace {

Result<void> requeue_one(Transaction& tx, const std::string& id, std::vector<Backlog>& keys) {
    TRY(const auto row, tx.query_one("select seq, mesh_id, urgent, recipient, live_recipients "
                                     "from mesh_message where id = $1 and delivered_at is null",
                                     {id}));
    if (!row) {
        return ok();
    }
    const Sequence sequence = row->integer(0);
    if (!row->is_null(3)) {
        keys.push_back({row->text(1), key_of(row->bytes(3))});
    }
    if (!row->is_null(4)) {
        TRY(const auto live, live_recipients(tx, row->bytes(4)));
        for (const Key& key : live) {
            TRY_VOID(add_delivery(tx, row->text(1), key, row->integer(2) != 0, sequence));
        }
    }
    TRY_VOID(
        tx.execute("update mesh_message set claimed_by = null, claimed_until = null, "
                   "live_recipients = null where seq = $1",
                   {sequence}));
    TRY_VOID(tx.each("select recipient from mesh_delivery where seq = $1", {sequence},
                     [&](const Row& part) -> Result<void> {
                         keys.push_back({row->text(1), key_of(part.bytes(0))});
                         return ok();
                     }));
    return ok();
}

}  // namespace

Task<Result<std::vector<Backlog>>> QueueStore::requeue(std::vector<std::string> ids) {
    auto write = [ids = std::move(ids)](Transaction& tx) -> Result<std::vector<Backlog>> {
        std::vector<Backlog> keys;
        for (const std::string& id : ids) {
            TRY_VOID(requeue_one(tx, id, keys));
        }
        return keys;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::vector<Backlog>>> QueueStore::release_overdue(UnixMillis now) {
    auto write = [now](Transaction& tx) -> Result<std::vector<Backlog>> {
        std::vector<Backlog> released;
        TRY_VOID(
            tx.each("update mesh_message set claimed_by = null, claimed_until = null "
                    "where claimed_by is not null and delivered_at is null "
                    "and claimed_until <= $1 returning mesh_id, recipient",
                    {now}, [&](const Row& row) -> Result<void> {
                        released.push_back({row.text(0), key_of(row.bytes(1))});
                        return ok();
                    }));
        return released;
    };
    co_return co_await database_.write(std::move(write));
}

namespace {

// Delivery rows instead of lists, for the messages that `sql` finds. Returns how many rows.
Result<std::int64_t> requeue_lists(Transaction& tx, std::string_view sql, storage::Params params) {
    TRY(const auto rows, tx.query(sql, params));
    std::int64_t parts = 0;
    for (const Row& row : rows) {
        TRY(const auto live, live_recipients(tx, row.bytes(3)));
        for (const Key& key : live) {
            TRY_VOID(add_delivery(tx, row.text(1), key, row.integer(2) != 0, row.integer(0)));
            parts += 1;
        }
        TRY_VOID(tx.execute("update mesh_message set live_recipients = null where seq = $1",
                            {row.integer(0)}));
    }
    return parts;
}

}  // namespace

Task<Result<std::int64_t>> QueueStore::requeue_unsettled() {
    auto write = [](Transaction& tx) -> Result<std::int64_t> {
        TRY(const std::int64_t parts,
            requeue_lists(tx,
                          "select seq, mesh_id, urgent, live_recipients from mesh_message "
                          "where live_recipients is not null",
                          {}));
        TRY_VOID(tx.execute("delete from mesh_live_list"));
        TRY_VOID(
            tx.execute("update mesh_message set claimed_by = null, claimed_until = null "
                       "where delivered_at is null and recipient is not null "
                       "and claimed_until is not null"));
        TRY_VOID(
            tx.execute("update mesh_delivery set claimed_by = null, claimed_until = null "
                       "where claimed_until is not null"));
        return parts;
    };
    co_return co_await database_.write(std::move(write));
}

Result<void> QueueStore::requeue_of_node(Transaction& tx, const std::string& node) {
    TRY_VOID(requeue_lists(tx,
                           "select seq, mesh_id, urgent, live_recipients from mesh_message "
                           "where live_recipients is not null and (live_node is null "
                           "or live_node = $1 or live_node not in (select id from mesh_node))",
                           {node}));
    TRY_VOID(
        tx.execute("update mesh_message set claimed_by = null, claimed_until = null "
                   "where claimed_by is not null and delivered_at is null "
                   "and claimed_by in (select id from mesh_presence where node_id = $1)",
                   {node}));
    TRY_VOID(
        tx.execute("update mesh_delivery set claimed_by = null, claimed_until = null "
                   "where claimed_by in (select id from mesh_presence where node_id = $1)",
                   {node}));
    return ok();
}

Task<Result<Sequence>> QueueStore::trim(Sequence after, UnixMillis now) {
    auto write = [after, now, remember = policy_.remember_ms](Transaction& tx) -> Result<Sequence> {
        TRY(const auto last,
            tx.query_one("select cast(max(seq) as bigint), cast(count(*) as bigint) from "
                         "(select seq from mesh_message where seq > $1 order by seq limit $2) "
                         "as batch",
                         {after, kTrimBatch}));
        if (last->is_null(0)) {
            TRY_VOID(drop_unused_lists(tx));
            return Sequence{0};
        }
        const Sequence until = last->integer(0);
        TRY_VOID(
            tx.execute("delete from mesh_delivery where seq > $1 and seq <= $2 and exists "
                       "(select 1 from mesh_message m where m.seq = mesh_delivery.seq "
                       "and m.expires_at <= $3)",
                       {after, until, now}));
        TRY_VOID(
            tx.execute("delete from mesh_message where seq > $1 and seq <= $2 "
                       "and (expires_at <= $3 or (delivered_at <= $4 and not exists "
                       "(select 1 from mesh_delivery d where d.seq = mesh_message.seq)))",
                       {after, until, now, now - remember}));
        if (last->integer(1) < kTrimBatch) {
            TRY_VOID(drop_unused_lists(tx));
            return Sequence{0};
        }
        return until;
    };
    co_return co_await database_.write(std::move(write));
}

}  // namespace nave::broker
