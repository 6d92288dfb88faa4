#include "broker/queue_store.h"

#include "broker/hex_key.h"
#include "broker/live_lists.h"

#include <algorithm>

namespace nave::broker {

using storage::Row;
using storage::Transaction;

namespace {

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

Result<std::optional<Appended>> earlier(Transaction& tx, const Envelope& envelope) {
    TRY(const auto row, tx.query_one("select seq, id from mesh_message where sender_member_id = $1 "
                                     "and client_message_id = $2",
                                     {envelope.sender_member_id, envelope.client_message_id}));
    if (!row) {
        return std::nullopt;
    }
    return Appended{row->integer(0), true, row->text(1), 0};
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

Result<Appended> append_one(Transaction& tx, const Append& append, LiveLists& lists,
                            std::size_t index, const std::string& node) {
    const Envelope& envelope = append.envelope;
    if (!envelope.client_message_id.empty()) {
        TRY(auto repeated, earlier(tx, envelope));
        if (repeated) {
            return std::move(*repeated);
        }
    }
    TRY(const LiveLists::Column live, lists.column(tx, index));
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
                         storage::Param(live.value),
                         live.value ? text_or_null(node) : storage::Param(nullptr),
                         for_nobody ? storage::Param(envelope.created_at) : nullptr,
                         text_or_null(envelope.subtype)};
    TRY(const Sequence sequence, insert_message(tx, insert));
    for (const Key& recipient : append.absent) {
        TRY_VOID(add_delivery(tx, envelope.mesh_id, recipient, urgent, sequence));
    }
    return Appended{sequence, false, envelope.id, live.shared_list};
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

// All that was pushed at once has arrived or has a delivery row.
Result<void> finish(Transaction& tx, Sequence sequence, UnixMillis now) {
    TRY_VOID(
        tx.execute("update mesh_message set live_recipients = null, delivered_at = case "
                   "when delivered_at is null and recipient is null and not exists "
                   "(select 1 from mesh_delivery d where d.seq = $1) "
                   "then $2 else delivered_at end where seq = $1",
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
        LiveLists lists(appends);
        std::vector<Appended> outcome;
        outcome.reserve(appends.size());
        for (std::size_t i = 0; i < appends.size(); ++i) {
            TRY(auto one, append_one(tx, appends[i], lists, i, node));
            outcome.push_back(std::move(one));
        }
        return outcome;
    };
    auto outcome = co_await database_.write(std::move(write));
    if (outcome) {
        shared_lists_.add(*outcome);
    }
    co_return outcome;
}

Task<Result<Claimed>> QueueStore::claim(ClaimRequest request) {
    auto write = [request = std::move(request)](Transaction& tx) { return claim_in(tx, request); };
    co_return co_await database_.write(std::move(write));
}

Task<Result<void>> QueueStore::settle(std::vector<Part> parts, std::vector<Sequence> finished,
                                      UnixMillis now) {
    auto write = [parts = std::move(parts), finished, lists = shared_lists_.last_of(finished),
                  now](Transaction& tx) -> Result<void> {
        for (const Part& part : parts) {
            TRY_VOID(settle_part(tx, part, now));
        }
        for (const Sequence sequence : finished) {
            TRY_VOID(finish(tx, sequence, now));
        }
        return drop_lists(tx, lists);
    };
    const auto done = co_await database_.write(std::move(write));
    if (done) {
        shared_lists_.remove(finished);
    }
    co_return done;
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

}  // namespace nave::broker
