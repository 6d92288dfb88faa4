#include "broker/queue_store.h"

#include "broker/hex_key.h"

#include <algorithm>

namespace nave::broker {

using storage::Row;
using storage::Transaction;

namespace {

constexpr std::int64_t kTrimBatch = 2'000;
constexpr std::int64_t kStatusRecipients = 1'000;

// The columns of an envelope, in the order of read_envelope().
#define ENVELOPE_COLUMNS                                                                    \
    "m.seq, m.id, m.sender_member_id, s.key, m.sender_key, s.display_name, m.target_spec, " \
    "m.priority, m.nonce, m.ciphertext, m.client_message_id, m.request_fingerprint, "       \
    "m.reply_to, m.created_at, m.expires_at, m.subtype"

std::string text_or_empty(const Row& row, std::size_t column) {
    return row.is_null(column) ? std::string() : row.text(column);
}

Envelope read_envelope(const Row& row, const std::string& mesh_id) {
    Envelope envelope;
    envelope.id = row.text(1);
    envelope.mesh_id = mesh_id;
    envelope.sender_member_id = row.text(2);
    envelope.sender_member_key = key_of(row.bytes(3));
    envelope.sender_key = key_of(row.bytes(4));
    envelope.sender_name = row.text(5);
    envelope.target_spec = row.text(6);
    envelope.priority = static_cast<Priority>(row.integer(7));
    envelope.nonce = row.text(8);
    envelope.ciphertext = row.text(9);
    envelope.client_message_id = text_or_empty(row, 10);
    envelope.request_fingerprint = text_or_empty(row, 11);
    envelope.reply_to = text_or_empty(row, 12);
    envelope.created_at = row.integer(13);
    envelope.expires_at = row.integer(14);
    envelope.subtype = text_or_empty(row, 15);
    return envelope;
}

storage::Param text_or_null(const std::string& text) {
    return text.empty() ? storage::Param(nullptr) : storage::Param(text);
}

// Keys one after the other; null when there are none.
std::optional<Bytes> packed(std::span<const Key> keys) {
    if (keys.empty()) {
        return std::nullopt;
    }
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

Result<void> add_delivery(Transaction& tx, const std::string& mesh_id, const Key& recipient,
                          bool urgent, Sequence sequence) {
    TRY_VOID(
        tx.execute("insert into mesh_delivery (mesh_id, recipient, urgent, seq) "
                   "values ($1, $2, $3, $4) on conflict do nothing",
                   {mesh_id, ByteView(recipient), std::int64_t{urgent}, sequence}));
    return ok();
}

Result<std::optional<Appended>> earlier(Transaction& tx, const Envelope& envelope) {
    TRY(const auto row, tx.query_one("select seq, id from mesh_message where sender_member_id = $1 "
                                     "and client_message_id = $2",
                                     {envelope.sender_member_id, envelope.client_message_id}));
    if (!row) {
        return std::nullopt;
    }
    return Appended{row->integer(0), true, row->text(1)};
}

#define INSERT_MESSAGE                                                                      \
    "insert into mesh_message (id, mesh_id, sender_member_id, sender_key, "                 \
    "target_spec, priority, urgent, nonce, ciphertext, client_message_id, "                 \
    "request_fingerprint, reply_to, created_at, expires_at, recipient, "                    \
    "claimed_by, claimed_until, live_recipients, live_node, delivered_at, subtype) values " \
    "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, "    \
    "$19, $20, $21)"

// SQLite builds a table for every statement that returns what it inserts: a fifth of the time of
// this one.
Result<Sequence> insert_message(Transaction& tx, storage::Params message) {
    if (tx.dialect() == storage::Dialect::postgres) {
        TRY(const auto row, tx.query_one(INSERT_MESSAGE " returning seq", message));
        return row->integer(0);
    }
    TRY_VOID(tx.execute(INSERT_MESSAGE, message));
    TRY(const auto row, tx.query_one("select last_insert_rowid()"));
    return row->integer(0);
}

Result<Appended> append_one(Transaction& tx, const Append& append, const std::string& node) {
    const Envelope& envelope = append.envelope;
    if (!envelope.client_message_id.empty()) {
        TRY(auto repeated, earlier(tx, envelope));
        if (repeated) {
            return std::move(*repeated);
        }
    }
    const std::optional<Bytes> live = packed(append.live);
    const bool urgent = envelope.priority == Priority::now;
    const bool claimed = !append.claimed_by.empty();
    const bool for_nobody = !append.recipient && append.live.empty() && append.absent.empty();
    const auto insert = {storage::Param(envelope.id),
                         storage::Param(envelope.mesh_id),
                         storage::Param(envelope.sender_member_id),
                         storage::Param(ByteView(envelope.sender_key)),
                         storage::Param(envelope.target_spec),
                         storage::Param(static_cast<std::int64_t>(envelope.priority)),
                         storage::Param(std::int64_t{urgent}),
                         storage::Param(envelope.nonce),
                         storage::Param(envelope.ciphertext),
                         text_or_null(envelope.client_message_id),
                         text_or_null(envelope.request_fingerprint),
                         text_or_null(envelope.reply_to),
                         storage::Param(envelope.created_at),
                         storage::Param(envelope.expires_at),
                         append.recipient ? storage::Param(ByteView(*append.recipient)) : nullptr,
                         text_or_null(append.claimed_by),
                         claimed ? storage::Param(append.claimed_until) : nullptr,
                         storage::Param(live),
                         live ? text_or_null(node) : storage::Param(nullptr),
                         for_nobody ? storage::Param(envelope.created_at) : nullptr,
                         text_or_null(envelope.subtype)};
    TRY(const Sequence sequence, insert_message(tx, insert));
    for (const Key& recipient : append.absent) {
        TRY_VOID(add_delivery(tx, envelope.mesh_id, recipient, urgent, sequence));
    }
    return Appended{sequence, false, envelope.id};
}

// The rows of one key and urgency that may be claimed, oldest first.
Result<void> collect_direct(Transaction& tx, const ClaimRequest& request, const Key& recipient,
                            bool urgent, Sequence newest, std::vector<ClaimedEnvelope>& found) {
    static const auto make = [](storage::Dialect dialect) {
        return std::string("select " ENVELOPE_COLUMNS
                           " from mesh_message m join mesh_member s on s.id = m.sender_member_id "
                           "where m.mesh_id = $1 and m.recipient = $2 and m.urgent = $3 "
                           "and m.delivered_at is null and m.claimed_by is null "
                           "and m.expires_at > $4 and m.seq <= $6 order by m.seq limit $5") +
               (dialect == storage::Dialect::postgres ? " for update of m skip locked" : "");
    };
    static const std::string sqlite = make(storage::Dialect::sqlite);
    static const std::string postgres = make(storage::Dialect::postgres);
    return tx.each(tx.dialect() == storage::Dialect::sqlite ? sqlite : postgres,
                   {request.mesh_id, ByteView(recipient), std::int64_t{urgent}, request.now,
                    static_cast<std::int64_t>(request.envelopes_max), newest},
                   [&](const Row& row) -> Result<void> {
                       found.push_back({{row.integer(0), Part::Kind::direct, recipient},
                                        read_envelope(row, request.mesh_id)});
                       return ok();
                   });
}

Result<void> collect_stored(Transaction& tx, const ClaimRequest& request, const Key& recipient,
                            bool urgent, Sequence newest, std::vector<ClaimedEnvelope>& found) {
    static const auto make = [](storage::Dialect dialect) {
        return std::string("select " ENVELOPE_COLUMNS
                           " from mesh_delivery d join mesh_message m on m.seq = d.seq "
                           "join mesh_member s on s.id = m.sender_member_id "
                           "where d.mesh_id = $1 and d.recipient = $2 and d.urgent = $3 "
                           "and m.expires_at > $4 "
                           "and (d.claimed_until is null or d.claimed_until <= $4) "
                           "and d.seq <= $6 order by d.seq limit $5") +
               (dialect == storage::Dialect::postgres ? " for update of d skip locked" : "");
    };
    static const std::string sqlite = make(storage::Dialect::sqlite);
    static const std::string postgres = make(storage::Dialect::postgres);
    return tx.each(tx.dialect() == storage::Dialect::sqlite ? sqlite : postgres,
                   {request.mesh_id, ByteView(recipient), std::int64_t{urgent}, request.now,
                    static_cast<std::int64_t>(request.envelopes_max), newest},
                   [&](const Row& row) -> Result<void> {
                       found.push_back({{row.integer(0), Part::Kind::stored, recipient},
                                        read_envelope(row, request.mesh_id)});
                       return ok();
                   });
}

Result<void> mark_claimed(Transaction& tx, const ClaimRequest& request, const Part& part) {
    if (part.kind == Part::Kind::direct) {
        TRY_VOID(
            tx.execute("update mesh_message set claimed_by = $2, claimed_until = $3 where seq = $1",
                       {part.sequence, request.presence_id, request.until}));
        return ok();
    }
    TRY_VOID(
        tx.execute("update mesh_delivery set claimed_by = $3, claimed_until = $4 "
                   "where seq = $1 and recipient = $2",
                   {part.sequence, ByteView(part.recipient), request.presence_id, request.until}));
    return ok();
}

Result<void> release_claims(Transaction& tx, const ClaimRequest& request) {
    TRY_VOID(
        tx.execute("update mesh_message set claimed_by = null, claimed_until = null "
                   "where claimed_by = $1 and delivered_at is null",
                   {request.presence_id}));
    for (const Key& recipient : request.recipients) {
        TRY_VOID(
            tx.execute("update mesh_delivery set claimed_by = null, claimed_until = null "
                       "where mesh_id = $1 and recipient = $2 and claimed_by = $3",
                       {request.mesh_id, ByteView(recipient), request.presence_id}));
    }
    return ok();
}

// Leaves as many of the first as fit into the request's bounds.
bool cut_to_bounds(const ClaimRequest& request, std::vector<ClaimedEnvelope>& found) {
    std::size_t kept = 0;
    for (std::size_t bytes = 0; kept < std::min(found.size(), request.envelopes_max); ++kept) {
        bytes += found[kept].envelope.ciphertext.size() + found[kept].envelope.nonce.size();
        if (bytes > request.bytes_max && kept > 0) {
            break;
        }
    }
    const bool cut = kept < found.size() || kept == request.envelopes_max;
    found.resize(kept);
    return cut;
}

Result<Claimed> claim_in(Transaction& tx, const ClaimRequest& request) {
    // Each statement sees what was committed before it: without a common end the later ones would
    // find envelopes younger than some that the earlier ones could not see yet.
    TRY(const auto last, tx.query_one("select coalesce(max(seq), 0) from mesh_message", {}));
    const Sequence newest = last->integer(0);
    if (request.former_in_doubt) {
        TRY_VOID(release_claims(tx, request));
    }
    Claimed claimed;
    std::vector<ClaimedEnvelope>& found = claimed.envelopes;
    for (const Key& recipient : request.recipients) {
        for (const bool urgent : {true, false}) {
            if (urgent || !request.only_urgent) {
                TRY_VOID(collect_direct(tx, request, recipient, urgent, newest, found));
                TRY_VOID(collect_stored(tx, request, recipient, urgent, newest, found));
            }
        }
    }
    std::ranges::sort(found, {}, [](const ClaimedEnvelope& one) { return one.part.sequence; });
    // What lies beyond the first `envelopes_max` of all may not be complete.
    claimed.more = cut_to_bounds(request, found);
    for (const ClaimedEnvelope& one : found) {
        TRY_VOID(mark_claimed(tx, request, one.part));
    }
    return claimed;
}

// An envelope to many is delivered when nobody is left who has not got it.
Result<void> complete(Transaction& tx, Sequence sequence, UnixMillis now) {
    TRY_VOID(
        tx.execute("update mesh_message set delivered_at = $2 where seq = $1 "
                   "and recipient is null and live_recipients is null "
                   "and delivered_at is null and not exists "
                   "(select 1 from mesh_delivery d where d.seq = $1)",
                   {sequence, now}));
    return ok();
}

Result<void> settle_part(Transaction& tx, const Part& part, UnixMillis now) {
    switch (part.kind) {
        case Part::Kind::direct:
            TRY_VOID(
                tx.execute("update mesh_message set delivered_at = $2 "
                           "where seq = $1 and delivered_at is null",
                           {part.sequence, now}));
            break;
        case Part::Kind::stored:
            TRY_VOID(tx.execute("delete from mesh_delivery where seq = $1 and recipient = $2",
                                {part.sequence, ByteView(part.recipient)}));
            TRY_VOID(complete(tx, part.sequence, now));
            break;
        case Part::Kind::live:
            break;  // the list is dropped as a whole
    }
    return ok();
}

Result<void> give_back_part(Transaction& tx, const Part& part) {
    switch (part.kind) {
        case Part::Kind::direct:
            TRY_VOID(
                tx.execute("update mesh_message set claimed_by = null, claimed_until = null "
                           "where seq = $1",
                           {part.sequence}));
            break;
        case Part::Kind::stored:
            TRY_VOID(
                tx.execute("update mesh_delivery set claimed_by = null, claimed_until = null "
                           "where seq = $1 and recipient = $2",
                           {part.sequence, ByteView(part.recipient)}));
            break;
        case Part::Kind::live:
            TRY_VOID(
                tx.execute("insert into mesh_delivery (mesh_id, recipient, urgent, seq) "
                           "select mesh_id, $2, urgent, seq from mesh_message "
                           "where seq = $1 on conflict do nothing",
                           {part.sequence, ByteView(part.recipient)}));
            break;
    }
    return ok();
}

}  // namespace

Task<Result<std::vector<Appended>>> QueueStore::append(std::vector<Append> appends) {
    auto write = [appends = std::move(appends),
                  node = policy_.node](Transaction& tx) -> Result<std::vector<Appended>> {
        std::vector<Appended> outcome;
        outcome.reserve(appends.size());
        for (const Append& append : appends) {
            TRY(auto one, append_one(tx, append, node));
            outcome.push_back(std::move(one));
        }
        return outcome;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<Claimed>> QueueStore::claim(ClaimRequest request) {
    auto write = [request = std::move(request)](Transaction& tx) { return claim_in(tx, request); };
    co_return co_await database_.write(std::move(write));
}

Task<Result<void>> QueueStore::settle(std::vector<Part> parts, std::vector<Sequence> finished,
                                      UnixMillis now) {
    auto write = [parts = std::move(parts), finished = std::move(finished),
                  now](Transaction& tx) -> Result<void> {
        for (const Part& part : parts) {
            TRY_VOID(settle_part(tx, part, now));
        }
        for (const Sequence sequence : finished) {
            TRY_VOID(tx.execute("update mesh_message set live_recipients = null where seq = $1",
                                {sequence}));
            TRY_VOID(complete(tx, sequence, now));
        }
        return ok();
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<void>> QueueStore::give_back(std::vector<Part> parts) {
    auto write = [parts = std::move(parts)](Transaction& tx) -> Result<void> {
        for (const Part& part : parts) {
            TRY_VOID(give_back_part(tx, part));
        }
        return ok();
    };
    co_return co_await database_.write(std::move(write));
}

namespace {

Result<void> remove_deliveries(Transaction& tx, const Sharing& sharing) {
    std::vector<Sequence> removed;
    TRY_VOID(
        tx.each("delete from mesh_delivery where mesh_id = $1 and recipient = $2 returning seq",
                {sharing.mesh_id, ByteView(sharing.session)}, [&](const Row& row) -> Result<void> {
                    removed.push_back(row.integer(0));
                    return ok();
                }));
    for (const Sequence sequence : removed) {
        TRY_VOID(complete(tx, sequence, sharing.now));
    }
    return ok();
}

}  // namespace

Task<Result<void>> QueueStore::share(Sharing sharing) {
    auto write = [sharing = std::move(sharing)](Transaction& tx) -> Result<void> {
        std::vector<std::pair<Sequence, bool>> shared;
        TRY_VOID(tx.each(
            "select d.seq, d.urgent, m.target_spec, m.created_at from mesh_delivery d "
            "join mesh_message m on m.seq = d.seq "
            "where d.mesh_id = $1 and d.recipient = $2 and m.created_at > $3",
            {sharing.mesh_id, ByteView(sharing.session), sharing.after},
            [&](const Row& row) -> Result<void> {
                const std::string target = row.text(2);
                const UnixMillis at = row.integer(3);
                const bool seen = std::ranges::any_of(sharing.seen, [&](const Sharing::Seen& one) {
                    return one.since <= at && one.target_spec == target;
                });
                if (!seen) {
                    shared.emplace_back(row.integer(0), row.integer(1) != 0);
                }
                return ok();
            }));
        for (const auto& [sequence, urgent] : shared) {
            TRY_VOID(add_delivery(tx, sharing.mesh_id, sharing.member, urgent, sequence));
        }
        if (!sharing.keep) {
            TRY_VOID(remove_deliveries(tx, sharing));
        }
        return ok();
    };
    co_return co_await database_.write(std::move(write));
}

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
            for (const Key& key : unpacked(row->bytes(6))) {
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
        for (const Key& key : unpacked(row->bytes(4))) {
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
        for (const Key& key : unpacked(row.bytes(3))) {
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
        return last->integer(1) < kTrimBatch ? Sequence{0} : until;
    };
    co_return co_await database_.write(std::move(write));
}

}  // namespace nave::broker
