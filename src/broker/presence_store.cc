#include "broker/presence_store.h"

#include "base/check.h"
#include "base/json.h"
#include "base/json_reader.h"
#include "base/json_writer.h"
#include "broker/fields.h"
#include "broker/queue_store.h"

#include <algorithm>
#include <utility>

namespace nave::broker {

using storage::Dialect;
using storage::Param;
using storage::Row;
using storage::Transaction;

namespace {

constexpr std::size_t kTextMax = 65'536;
constexpr std::size_t kCapabilitiesMax = 1'000;

#define PRESENCE_COLUMNS                                                          \
    "id, node_id, mesh_id, member_id, member_key, session_key, profile, status, " \
    "status_source, status_at, connected_at, lease_ends_at, version, arrivals"

Key key_of(const Bytes& bytes) {
    Key key{};
    CHECK(bytes.size() == key.size(), "a key in the store has another length");
    std::ranges::copy(bytes, key.begin());
    return key;
}

Result<PresenceRow> read_row(const Row& row) {
    PresenceRow out;
    out.id = row.text(0);
    out.node = row.text(1);
    out.mesh_id = row.text(2);
    out.member_id = row.text(3);
    out.member_key = key_of(row.bytes(4));
    if (!row.is_null(5)) {
        out.session_key = key_of(row.bytes(5));
    }
    TRY(out.profile, profile_from_text(row.text(6)));
    out.status.status = static_cast<Status>(row.integer(7));
    out.status.source = static_cast<StatusSource>(row.integer(8));
    out.status.updated_at = row.integer(9);
    out.connected_at = row.integer(10);
    out.lease_ends_at = row.integer_or_null(11);
    out.version = row.integer(12);
    out.arrivals = row.integer(13);
    return out;
}

Param key_or_null(const std::optional<Key>& key) {
    return key ? Param(ByteView(*key)) : Param(nullptr);
}

Param time_or_null(const std::optional<UnixMillis>& time) {
    return time ? Param(*time) : Param(nullptr);
}

// The database's clock.
Result<UnixMillis> time_of(Transaction& tx) {
    TRY(const auto row,
        tx.query_one(tx.dialect() == Dialect::postgres
                         ? "select cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"
                         : "select cast((julianday('now') - 2440587.5) * 86400000 as integer)",
                     {}));
    return row->integer(0);
}

// False when a presence with this id is there.
Result<bool> insert(Transaction& tx, const PresenceRow& row) {
    const std::string profile = profile_to_text(row.profile);
    TRY(const std::int64_t inserted,
        tx.execute(
            "insert into mesh_presence (" PRESENCE_COLUMNS ", session_id) values "
            "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
            "on conflict do nothing",
            {row.id, row.node, row.mesh_id, row.member_id, ByteView(row.member_key),
             key_or_null(row.session_key), profile, static_cast<std::int64_t>(row.status.status),
             static_cast<std::int64_t>(row.status.source), row.status.updated_at, row.connected_at,
             time_or_null(row.lease_ends_at), row.version, row.arrivals, row.profile.session_id}));
    return inserted > 0;
}

// The presence that a peer with this introduction goes on as.
Result<std::optional<PresenceRow>> former(Transaction& tx, const PresenceRow& row) {
    TRY(const auto found,
        row.session_key
            ? tx.query_one("select " PRESENCE_COLUMNS " from mesh_presence where mesh_id = $1 "
                           "and member_id = $2 and session_key = $3 order by id limit 1",
                           {row.mesh_id, row.member_id, ByteView(*row.session_key)})
            : tx.query_one("select " PRESENCE_COLUMNS " from mesh_presence where mesh_id = $1 "
                           "and member_id = $2 and session_key is null and session_id = $3 "
                           "order by id limit 1",
                           {row.mesh_id, row.member_id, row.profile.session_id}));
    if (!found) {
        return std::nullopt;
    }
    TRY(auto read, read_row(*found));
    return std::optional(std::move(read));
}

// Deletes what the query finds and adds it to `ended`.
Result<void> end_rows(Transaction& tx, std::string_view sql, std::initializer_list<Param> params,
                      std::vector<PresenceRow>& ended) {
    TRY(const auto rows, tx.query(sql, params));
    for (const Row& row : rows) {
        TRY(auto read, read_row(row));
        TRY_VOID(tx.execute("delete from mesh_presence where id = $1", {read.id}));
        ended.push_back(std::move(read));
    }
    return ok();
}

// What was on its way to the presence is free for whoever has it now.
Result<void> release_claims(Transaction& tx, const std::string& presence_id) {
    TRY_VOID(
        tx.execute("update mesh_message set claimed_by = null, claimed_until = null "
                   "where claimed_by = $1 and delivered_at is null",
                   {presence_id}));
    TRY_VOID(
        tx.execute("update mesh_delivery set claimed_by = null, claimed_until = null "
                   "where claimed_by = $1",
                   {presence_id}));
    return ok();
}

// What was sent to many and waits for the session goes to its member, as when a lease ends.
Result<void> rehome(Transaction& tx, const PresenceRow& row) {
    if (!row.session_key) {
        return ok();
    }
    TRY_VOID(
        tx.execute("insert into mesh_delivery (mesh_id, recipient, urgent, seq) "
                   "select mesh_id, $3, urgent, seq from mesh_delivery "
                   "where mesh_id = $1 and recipient = $2 on conflict do nothing",
                   {row.mesh_id, ByteView(*row.session_key), ByteView(row.member_key)}));
    TRY_VOID(tx.execute("delete from mesh_delivery where mesh_id = $1 and recipient = $2",
                        {row.mesh_id, ByteView(*row.session_key)}));
    return ok();
}

Result<void> bury(Transaction& tx, const std::string& node) {
    std::vector<PresenceRow> presences;
    TRY_VOID(tx.each("select " PRESENCE_COLUMNS " from mesh_presence where node_id = $1", {node},
                     [&](const Row& row) -> Result<void> {
                         TRY(auto read, read_row(row));
                         presences.push_back(std::move(read));
                         return ok();
                     }));
    TRY_VOID(QueueStore::requeue_of_node(tx, node));
    for (const PresenceRow& presence : presences) {
        TRY_VOID(rehome(tx, presence));
    }
    TRY_VOID(tx.execute("delete from mesh_presence where node_id = $1", {node}));
    TRY_VOID(tx.execute("delete from mesh_node where id = $1", {node}));
    return ok();
}

}  // namespace

std::string profile_to_text(const Profile& profile) {
    std::string text;
    json::ObjectWriter writer(text);
    writer.text("displayName", profile.display_name);
    writer.text("sessionId", profile.session_id);
    writer.integer("pid", profile.pid);
    writer.text("cwd", profile.cwd);
    writer.text("hostname", profile.hostname);
    writer.text("peerType", profile.peer_type);
    writer.text("channel", profile.channel);
    writer.text("model", profile.model);
    if (profile.summary) {
        writer.text("summary", *profile.summary);
    }
    writer.raw("groups", groups_to_text(profile.groups));
    writer.boolean("visible", profile.visible);
    writer.text("avatar", profile.card.avatar);
    writer.text("title", profile.card.title);
    writer.text("bio", profile.card.bio);
    writer.raw("capabilities", texts_json(profile.card.capabilities));
    if (!profile.stats.empty()) {
        writer.raw("stats", profile.stats);
    }
    writer.close();
    return text;
}

Result<Profile> profile_from_text(std::string_view text) {
    TRY(const auto value, json::parse(text, {.depth_max = 40, .floats_allowed = true}));
    if (!value.is_object()) {
        return fail(Code::invalid, "broker.bad_profile", "This is not a profile.");
    }
    const json::Reader reader(value.get_object());
    Profile profile;
    TRY(profile.display_name, reader.text("displayName", kTextMax));
    TRY(profile.session_id, reader.text("sessionId", kTextMax));
    TRY(profile.pid, reader.integer("pid", INT64_MIN, INT64_MAX));
    TRY(profile.cwd, reader.text("cwd", kTextMax));
    TRY(profile.hostname, reader.text("hostname", kTextMax));
    TRY(profile.peer_type, reader.text("peerType", kTextMax));
    TRY(profile.channel, reader.text("channel", kTextMax));
    TRY(profile.model, reader.text("model", kTextMax));
    if (reader.has("summary")) {
        TRY(profile.summary, reader.text("summary", kTextMax));
    }
    if (const json::Value* groups = value.get_object().if_contains("groups")) {
        TRY(profile.groups, groups_from_json(*groups));
    }
    TRY(profile.visible, reader.boolean("visible", true));
    TRY(profile.card.avatar, reader.text("avatar", kTextMax));
    TRY(profile.card.title, reader.text("title", kTextMax));
    TRY(profile.card.bio, reader.text("bio", kTextMax));
    TRY(profile.card.capabilities,
        texts_field(value.get_object(), "capabilities", kCapabilitiesMax, kTextMax));
    const json::Value* stats = value.get_object().if_contains("stats");
    if (stats != nullptr && stats->is_object()) {
        profile.stats = json::text(*stats);
    }
    return profile;
}

// ---- nodes ----

Task<Result<std::vector<std::string>>> PresenceStore::register_node(std::vector<PresenceRow> rows) {
    auto write = [rows = std::move(rows),
                  node = node_](Transaction& tx) -> Result<std::vector<std::string>> {
        std::vector<std::string> lost;
        TRY(const UnixMillis now, time_of(tx));
        TRY_VOID(
            tx.execute("insert into mesh_node (id, alive_since, seen_at) values ($1, $2, $2) "
                       "on conflict (id) do update set alive_since = excluded.alive_since, "
                       "seen_at = excluded.seen_at",
                       {node, now}));
        for (const PresenceRow& row : rows) {
            TRY(const auto other, former(tx, row));
            bool kept = !other || other->id == row.id;
            if (kept) {
                TRY(kept, insert(tx, row));
            }
            if (!kept) {
                lost.push_back(row.id);
            }
        }
        return lost;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<Beat>> PresenceStore::beat(bool degraded, UnixMillis now) {
    auto write = [node = node_, degraded, now](Transaction& tx) -> Result<Beat> {
        const std::int64_t dead_after = kNodeDeadAfter.count();
        Beat beat;
        TRY(const UnixMillis here, time_of(tx));
        // A node that was away may only judge others when it has been back for as long as they get.
        TRY(const auto alive,
            tx.query("update mesh_node set seen_at = $2, degraded = $3, alive_since = case when "
                     "seen_at <= $4 then $2 else alive_since end where id = $1 "
                     "returning alive_since",
                     {node, here, std::int64_t{degraded}, here - dead_after}));
        if (alive.empty()) {
            return beat;
        }
        beat.registered = true;
        if (alive.front().integer(0) <= here - dead_after) {
            TRY(const auto dead,
                tx.query(tx.dialect() == Dialect::postgres
                             ? "select id from mesh_node where seen_at <= $1 for update skip locked"
                             : "select id from mesh_node where seen_at <= $1",
                         {here - dead_after}));
            for (const Row& row : dead) {
                TRY_VOID(bury(tx, row.text(0)));
                beat.buried.push_back(row.text(0));
            }
        }
        TRY(const auto others,
            tx.query_one("select count(*) from mesh_node where degraded <> 0 and id <> $1",
                         {node}));
        beat.others_degraded = others->integer(0) > 0;
        TRY_VOID(tx.execute("delete from mesh_replay where expires_at < $1", {now}));
        return beat;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<void>> PresenceStore::bury_self() {
    auto write = [node = node_](Transaction& tx) -> Result<void> { return bury(tx, node); };
    co_return co_await database_.write(std::move(write));
}

// ---- presences ----

Task<Result<ArrivalOutcome>> PresenceStore::arrive(ArrivalRequest request) {
    using Kind = ArrivalOutcome::Kind;
    auto write = [request = std::move(request),
                  node = node_](Transaction& tx) -> Result<ArrivalOutcome> {
        ArrivalOutcome outcome;
        PresenceRow row = request.row;
        row.node = node;
        TRY(const auto mesh,
            tx.query_one(tx.dialect() == Dialect::postgres
                             ? "select id from mesh_mesh where id = $1 and archived_at is null "
                               "for no key update"
                             : "select id from mesh_mesh where id = $1 and archived_at is null",
                         {row.mesh_id}));
        if (!mesh) {
            outcome.kind = Kind::no_mesh;
            return outcome;
        }
        if (request.hello) {
            TRY(const std::int64_t fresh,
                tx.execute("insert into mesh_replay (key, expires_at) values ($1, $2) "
                           "on conflict do nothing",
                           {ByteView(request.hello->key), request.hello->until}));
            if (fresh == 0) {
                outcome.kind = Kind::replayed;
                return outcome;
            }
        }
        TRY(auto before, former(tx, row));
        if (before) {
            TRY_VOID(
                tx.execute("update mesh_presence set node_id = $2, lease_ends_at = null, "
                           "version = version + 1, arrivals = arrivals + 1 where id = $1",
                           {before->id, node}));
            outcome.kind = Kind::resumed;
            outcome.former_node = before->node;
            if (before->node != node) {
                TRY_VOID(release_claims(tx, before->id));
            }
            outcome.row = std::move(*before);
            outcome.row.node = node;
            outcome.row.lease_ends_at.reset();
            outcome.row.version += 1;
            outcome.row.arrivals += 1;
            return outcome;
        }
        // One live connection per session id of a member; the younger wins.
        if (!row.profile.session_id.empty()) {
            TRY_VOID(end_rows(tx,
                              "select " PRESENCE_COLUMNS " from mesh_presence where mesh_id = $1 "
                              "and member_id = $2 and session_id = $3",
                              {row.mesh_id, row.member_id, row.profile.session_id}, outcome.ended));
        }
        TRY(const auto count,
            tx.query_one("select count(*) from mesh_presence where mesh_id = $1", {row.mesh_id}));
        if (count->integer(0) >= static_cast<std::int64_t>(request.capacity)) {
            const std::size_t ended = outcome.ended.size();
            TRY_VOID(end_rows(tx,
                              "select " PRESENCE_COLUMNS " from mesh_presence where mesh_id = $1 "
                              "and lease_ends_at is not null order by lease_ends_at limit 1",
                              {row.mesh_id}, outcome.ended));
            if (outcome.ended.size() == ended) {
                outcome.kind = Kind::full;
                return outcome;
            }
        }
        TRY(const bool inserted, insert(tx, row));
        CHECK(inserted, "two presences with one id");
        outcome.row = std::move(row);
        return outcome;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<ChangeOutcome>> PresenceStore::change(std::vector<PresenceRow> rows,
                                                  std::vector<Departure> gone) {
    auto write = [rows = std::move(rows), gone = std::move(gone),
                  node = node_](Transaction& tx) -> Result<ChangeOutcome> {
        ChangeOutcome outcome;
        for (const Departure& one : gone) {
            TRY(const std::int64_t deleted,
                tx.execute("delete from mesh_presence where id = $1 and node_id = $2 "
                           "and arrivals = $3",
                           {one.id, node, one.arrivals}));
            if (deleted > 0) {
                outcome.deleted.push_back(one.id);
            }
        }
        for (const PresenceRow& row : rows) {
            const std::string profile = profile_to_text(row.profile);
            TRY(const auto changed,
                tx.query_one("update mesh_presence set profile = $4, status = $5, "
                             "status_source = $6, status_at = $7, lease_ends_at = $8, "
                             "version = version + 1 where id = $1 and node_id = $2 "
                             "and arrivals = $3 returning version",
                             {row.id, node, row.arrivals, profile,
                              static_cast<std::int64_t>(row.status.status),
                              static_cast<std::int64_t>(row.status.source), row.status.updated_at,
                              time_or_null(row.lease_ends_at)}));
            outcome.versions.push_back(changed ? std::optional(changed->integer(0)) : std::nullopt);
        }
        return outcome;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::vector<PresenceRow>>> PresenceStore::all(std::string mesh_id) {
    auto read = [mesh_id =
                     std::move(mesh_id)](Transaction& tx) -> Result<std::vector<PresenceRow>> {
        std::vector<PresenceRow> rows;
        TRY_VOID(tx.each("select " PRESENCE_COLUMNS
                         " from mesh_presence where $1 = '' or mesh_id = $1 order by connected_at",
                         {mesh_id}, [&](const Row& row) -> Result<void> {
                             TRY(auto one, read_row(row));
                             rows.push_back(std::move(one));
                             return ok();
                         }));
        return rows;
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::vector<std::string>>> PresenceStore::with_work(UnixMillis now) {
    auto read = [node = node_, now](Transaction& tx) -> Result<std::vector<std::string>> {
        std::vector<std::string> ids;
        TRY_VOID(tx.each(
            "select p.id from mesh_presence p where p.node_id = $1 and p.lease_ends_at is null "
            "and (exists (select 1 from mesh_message m where m.mesh_id = p.mesh_id "
            "and m.recipient in (p.member_key, p.session_key) and m.delivered_at is null "
            "and m.claimed_by is null and m.expires_at > $2) "
            "or exists (select 1 from mesh_delivery d where d.mesh_id = p.mesh_id "
            "and d.recipient in (p.member_key, p.session_key) "
            "and (d.claimed_until is null or d.claimed_until <= $2)))",
            {node, now}, [&](const Row& row) -> Result<void> {
                ids.push_back(row.text(0));
                return ok();
            }));
        return ids;
    };
    co_return co_await database_.read(std::move(read));
}

}  // namespace nave::broker
