#include "broker/mesh_store.h"

#include "broker/audit_store.h"
#include "broker/errors.h"
#include "broker/groups.h"
#include "broker/hex_key.h"
#include "crypto/hash.h"

#include <algorithm>

namespace nave::broker {

using storage::Row;
using storage::Transaction;

namespace {

#define MESH_COLUMNS "id, name, slug, owner_key, created_at, archived_at"

Mesh read_mesh(const Row& row) {
    return {row.text(0),          row.text(1),    row.text(2),
            key_of(row.bytes(3)), row.integer(4), row.integer_or_null(5)};
}

#define MEMBER_COLUMNS "id, mesh_id, key, display_name, role, default_groups, joined_at, revoked_at"

Result<Member> read_member(const Row& row) {
    TRY(auto groups, groups_from_text(row.text(5)));
    return Member{row.text(0),
                  row.text(1),
                  key_of(row.bytes(2)),
                  row.text(3),
                  static_cast<Role>(row.integer(4)),
                  std::move(groups),
                  row.integer(6),
                  row.integer_or_null(7)};
}

#define INVITE_COLUMNS "id, mesh_id, role, max_uses, used_count, expires_at, created_at, revoked_at"

Invite read_invite(const Row& row) {
    return {row.text(0),    row.text(1),           static_cast<Role>(row.integer(2)),
            row.integer(3), row.integer(4),        row.integer(5),
            row.integer(6), row.integer_or_null(7)};
}

// Invites are bearer secrets: only their hash is kept.
Bytes token_hash(std::string_view token) {
    return to_bytes(crypto::sha256(as_bytes(token)));
}

Result<std::vector<Member>> read_members(Transaction& tx, std::string_view sql,
                                         const std::string& mesh_id) {
    std::vector<Member> members;
    TRY_VOID(tx.each(sql, {mesh_id}, [&](const Row& row) -> Result<void> {
        TRY(auto member, read_member(row));
        members.push_back(std::move(member));
        return ok();
    }));
    return members;
}

Result<void> note_change(Transaction& tx, const std::string& mesh_id, UnixMillis now) {
    TRY_VOID(
        tx.execute("update mesh_mesh set revision = revision + 1, changed_at = $2 where id = $1",
                   {mesh_id, now}));
    return ok();
}

Result<void> note_event(Transaction& tx, const std::string& mesh_id, const std::string& by,
                        AuditEvent event, UnixMillis now) {
    const AuditEntry entry{mesh_id, by, std::move(event), now};
    return append_audit(tx, {&entry, 1});
}

// A member that is there from now on, by its own doing.
Result<void> note_joined(Transaction& tx, const Member& member) {
    TRY_VOID(note_change(tx, member.mesh_id, member.joined_at));
    return note_event(tx, member.mesh_id, member.id, AuditEvent::member_joined(member),
                      member.joined_at);
}

Result<void> insert_member(Transaction& tx, const Member& member) {
    TRY_VOID(
        tx.execute("insert into mesh_member (id, mesh_id, key, display_name, role, "
                   "default_groups, joined_at) values ($1, $2, $3, $4, $5, $6, $7)",
                   {member.id, member.mesh_id, ByteView(member.key), member.display_name,
                    static_cast<std::int64_t>(member.role), groups_to_text(member.default_groups),
                    member.joined_at}));
    return note_joined(tx, member);
}

Result<std::optional<Member>> member_with_key(Transaction& tx, const std::string& mesh_id,
                                              const Key& key) {
    TRY(const auto row,
        tx.query_one("select " MEMBER_COLUMNS " from mesh_member where mesh_id = $1 and key = $2",
                     {mesh_id, ByteView(key)}));
    if (!row) {
        return std::nullopt;
    }
    TRY(auto member, read_member(*row));
    return member;
}

// Somebody who was removed comes back under the former id, so that old envelopes find their sender.
Result<Member> take_back(Transaction& tx, Member former, const Member& wanted) {
    TRY_VOID(
        tx.execute("update mesh_member set display_name = $2, role = $3, joined_at = $4, "
                   "revoked_at = null where id = $1",
                   {former.id, wanted.display_name, static_cast<std::int64_t>(wanted.role),
                    wanted.joined_at}));
    former.display_name = wanted.display_name;
    former.role = wanted.role;
    former.joined_at = wanted.joined_at;
    former.revoked_at.reset();
    TRY_VOID(note_joined(tx, former));
    return former;
}

Result<std::optional<MemberChange>> set_revoked(Transaction& tx, const std::string& mesh_id,
                                                const std::string& member_id, bool revoked,
                                                const std::string& by, UnixMillis now) {
    const std::optional<UnixMillis> when = revoked ? std::optional(now) : std::nullopt;
    TRY(const std::int64_t changed,
        tx.execute("update mesh_member set revoked_at = $3 where mesh_id = $1 and id = $2 "
                   "and (revoked_at is null) = (cast($4 as bigint) = 1)",
                   {mesh_id, member_id, when, revoked ? 1 : 0}));
    TRY(const auto row,
        tx.query_one("select " MEMBER_COLUMNS " from mesh_member where mesh_id = $1 and id = $2",
                     {mesh_id, member_id}));
    if (!row) {
        return std::nullopt;
    }
    TRY(auto member, read_member(*row));
    if (changed == 1) {
        TRY_VOID(note_change(tx, mesh_id, now));
        TRY_VOID(note_event(
            tx, mesh_id, by,
            revoked ? AuditEvent::member_banned(member) : AuditEvent::member_unbanned(member),
            now));
    }
    return MemberChange{std::move(member), changed == 1};
}

// Joins of one mesh are one after the other: two of the same key must not both find it unknown.
Result<void> check_mesh(Transaction& tx, const JoinRequest& request) {
    TRY_VOID(
        tx.execute("update mesh_mesh set revision = revision where id = $1", {request.mesh_id}));
    TRY(const auto row,
        tx.query_one("select owner_key from mesh_mesh where id = $1 and archived_at is null",
                     {request.mesh_id}));
    if (!row) {
        return errors::mesh_not_found();
    }
    if (key_of(row->bytes(0)) != request.owner_key) {
        return errors::invite_owner_mismatch();
    }
    return ok();
}

Result<Invite> usable_invite(Transaction& tx, const JoinRequest& request) {
    TRY(const auto row,
        tx.query_one("select " INVITE_COLUMNS " from mesh_invite where token_hash = $1",
                     {token_hash(request.token)}));
    if (!row) {
        return errors::invite_not_found();
    }
    Invite invite = read_invite(*row);
    if (invite.mesh_id != request.mesh_id) {
        return errors::invite_mesh_mismatch();
    }
    if (invite.revoked_at) {
        return errors::invite_revoked();
    }
    if (invite.expires_at <= request.now) {
        return errors::invite_expired();
    }
    return invite;
}

Result<JoinOutcome> join_in(Transaction& tx, const JoinRequest& request) {
    TRY_VOID(check_mesh(tx, request));
    TRY(const Invite invite, usable_invite(tx, request));
    TRY(auto known, member_with_key(tx, request.mesh_id, request.peer_key));
    if (known && !known->revoked_at) {
        return JoinOutcome{std::move(*known), true};
    }
    TRY(const std::int64_t used, tx.execute("update mesh_invite set used_count = used_count + 1 "
                                            "where id = $1 and used_count < max_uses",
                                            {invite.id}));
    if (used == 0) {
        return errors::invite_exhausted();
    }
    Member member{request.new_member_id, request.mesh_id, request.peer_key,
                  request.display_name,  request.role,    {},
                  request.now,           std::nullopt};
    if (known) {
        TRY(auto restored, take_back(tx, std::move(*known), member));
        return JoinOutcome{std::move(restored), false};
    }
    TRY_VOID(insert_member(tx, member));
    return JoinOutcome{std::move(member), false};
}

}  // namespace

// ---- meshes ----

Task<Result<void>> MeshStore::create(NewMesh mesh) {
    auto write = [mesh = std::move(mesh)](Transaction& tx) -> Result<void> {
        TRY(const std::int64_t made,
            tx.execute("insert into mesh_mesh (id, name, slug, owner_key, owner_secret, root_key, "
                       "created_at) values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
                       {mesh.mesh.id, mesh.mesh.name, mesh.mesh.slug, ByteView(mesh.mesh.owner_key),
                        mesh.owner_secret, mesh.root_key, mesh.mesh.created_at}));
        if (made == 0) {
            return errors::mesh_exists();
        }
        return note_event(tx, mesh.mesh.id, {}, AuditEvent::mesh_created(mesh.mesh.slug),
                          mesh.mesh.created_at);
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::vector<Mesh>>> MeshStore::list() {
    auto read = [](Transaction& tx) -> Result<std::vector<Mesh>> {
        std::vector<Mesh> meshes;
        TRY_VOID(tx.each("select " MESH_COLUMNS " from mesh_mesh order by created_at, id", {},
                         [&](const Row& row) -> Result<void> {
                             meshes.push_back(read_mesh(row));
                             return ok();
                         }));
        return meshes;
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::optional<NewMesh>>> MeshStore::find(std::string id_or_slug) {
    auto read = [wanted =
                     std::move(id_or_slug)](Transaction& tx) -> Result<std::optional<NewMesh>> {
        TRY(const auto row, tx.query_one("select " MESH_COLUMNS ", owner_secret, root_key "
                                         "from mesh_mesh where id = $1 or slug = $1 "
                                         "order by id = $1 desc limit 1",
                                         {wanted}));
        if (!row) {
            return std::nullopt;
        }
        return NewMesh{read_mesh(*row), row->bytes(6), row->bytes(7)};
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<bool>> MeshStore::archive(std::string mesh_id, UnixMillis now) {
    auto write = [mesh_id = std::move(mesh_id), now](Transaction& tx) -> Result<bool> {
        TRY(const std::int64_t archived, tx.execute("update mesh_mesh set archived_at = $2 "
                                                    "where id = $1 and archived_at is null",
                                                    {mesh_id, now}));
        if (archived == 1) {
            TRY_VOID(note_change(tx, mesh_id, now));
            TRY_VOID(note_event(tx, mesh_id, {}, AuditEvent::mesh_archived(), now));
            return true;
        }
        TRY(const auto row, tx.query_one("select 1 from mesh_mesh where id = $1", {mesh_id}));
        return row.has_value();
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::optional<LoadedMesh>>> MeshStore::load(std::string mesh_id) {
    auto read = [mesh_id =
                     std::move(mesh_id)](Transaction& tx) -> Result<std::optional<LoadedMesh>> {
        TRY(const auto row, tx.query_one("select " MESH_COLUMNS " from mesh_mesh "
                                         "where id = $1 and archived_at is null",
                                         {mesh_id}));
        if (!row) {
            return std::nullopt;
        }
        TRY(auto members,
            read_members(tx, "select " MEMBER_COLUMNS " from mesh_member where mesh_id = $1",
                         mesh_id));
        return LoadedMesh{read_mesh(*row), std::move(members)};
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::vector<MeshChange>>> MeshStore::changes(UnixMillis since) {
    auto read = [since](Transaction& tx) -> Result<std::vector<MeshChange>> {
        std::vector<MeshChange> changes;
        TRY_VOID(tx.each("select id, revision from mesh_mesh where changed_at >= $1", {since},
                         [&](const Row& row) -> Result<void> {
                             changes.push_back({row.text(0), row.integer(1)});
                             return ok();
                         }));
        return changes;
    };
    co_return co_await database_.read(std::move(read));
}

// ---- members ----

Task<Result<std::vector<Member>>> MeshStore::members(std::string mesh_id) {
    auto read = [mesh_id = std::move(mesh_id)](Transaction& tx) {
        return read_members(tx,
                            "select " MEMBER_COLUMNS
                            " from mesh_member where mesh_id = $1 "
                            "order by joined_at, id",
                            mesh_id);
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<Member>> MeshStore::add_member(Member member) {
    auto write = [member = std::move(member)](Transaction& tx) -> Result<Member> {
        TRY(auto known, member_with_key(tx, member.mesh_id, member.key));
        if (known && !known->revoked_at) {
            return errors::member_exists();
        }
        if (known) {
            return take_back(tx, std::move(*known), member);
        }
        TRY_VOID(insert_member(tx, member));
        return member;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::optional<MemberChange>>> MeshStore::revoke_member(std::string mesh_id,
                                                                   std::string member_id,
                                                                   std::string by, UnixMillis now) {
    auto write = [mesh_id = std::move(mesh_id), member_id = std::move(member_id),
                  by = std::move(by), now](Transaction& tx) {
        return set_revoked(tx, mesh_id, member_id, true, by, now);
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::optional<MemberChange>>> MeshStore::restore_member(std::string mesh_id,
                                                                    std::string member_id,
                                                                    std::string by,
                                                                    UnixMillis now) {
    auto write = [mesh_id = std::move(mesh_id), member_id = std::move(member_id),
                  by = std::move(by), now](Transaction& tx) {
        return set_revoked(tx, mesh_id, member_id, false, by, now);
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<void>> MeshStore::remember_groups(std::string member_id, std::vector<Group> groups,
                                              UnixMillis now) {
    auto write = [member_id = std::move(member_id), groups = groups_to_text(groups),
                  now](Transaction& tx) -> Result<void> {
        TRY_VOID(tx.execute(
            "update mesh_member set default_groups = $2, last_seen_at = $3 where id = $1",
            {member_id, groups, now}));
        return ok();
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<bool>> MeshStore::take_session_key(std::string mesh_id, Key session_key,
                                               std::string member_id, UnixMillis now) {
    auto write = [mesh_id = std::move(mesh_id), session_key, member_id = std::move(member_id),
                  now](Transaction& tx) -> Result<bool> {
        TRY(const std::int64_t taken,
            tx.execute("insert into mesh_session_key (mesh_id, key, member_id, used_at) "
                       "values ($1, $2, $3, $4) on conflict (mesh_id, key) do update "
                       "set used_at = excluded.used_at "
                       "where mesh_session_key.member_id = excluded.member_id",
                       {mesh_id, ByteView(session_key), member_id, now}));
        return taken == 1;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<bool>> MeshStore::forget_session_keys(UnixMillis unused_since) {
    auto write = [unused_since](Transaction& tx) -> Result<bool> {
        TRY(const std::int64_t forgotten,
            tx.execute("delete from mesh_session_key where (mesh_id, key) in (select mesh_id, key "
                       "from mesh_session_key where used_at < $1 limit 1000)",
                       {unused_since}));
        return forgotten > 0;
    };
    co_return co_await database_.write(std::move(write));
}

// ---- invites ----

Task<Result<bool>> MeshStore::create_invite(Invite invite, std::string token) {
    auto write = [invite = std::move(invite),
                  hash = token_hash(token)](Transaction& tx) -> Result<bool> {
        TRY(const std::int64_t made,
            tx.execute("insert into mesh_invite (id, mesh_id, token_hash, role, max_uses, "
                       "expires_at, created_at) values ($1, $2, $3, $4, $5, $6, $7) on conflict do "
                       "nothing",
                       {invite.id, invite.mesh_id, hash, static_cast<std::int64_t>(invite.role),
                        invite.max_uses, invite.expires_at, invite.created_at}));
        if (made == 1) {
            TRY_VOID(note_event(tx, invite.mesh_id, {},
                                AuditEvent::invite_created(invite.id, invite.role, invite.max_uses,
                                                           invite.expires_at),
                                invite.created_at));
        }
        return made == 1;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::vector<Invite>>> MeshStore::invites(std::string mesh_id) {
    auto read = [mesh_id = std::move(mesh_id)](Transaction& tx) -> Result<std::vector<Invite>> {
        std::vector<Invite> invites;
        TRY_VOID(tx.each("select " INVITE_COLUMNS
                         " from mesh_invite where mesh_id = $1 order by created_at, id",
                         {mesh_id}, [&](const Row& row) -> Result<void> {
                             invites.push_back(read_invite(row));
                             return ok();
                         }));
        return invites;
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::optional<Invite>>> MeshStore::revoke_invite(std::string mesh_id,
                                                             std::string invite_id,
                                                             UnixMillis now) {
    auto write = [mesh_id = std::move(mesh_id), invite_id = std::move(invite_id),
                  now](Transaction& tx) -> Result<std::optional<Invite>> {
        TRY(const std::int64_t revoked,
            tx.execute("update mesh_invite set revoked_at = $3 "
                       "where mesh_id = $1 and id = $2 and revoked_at is null",
                       {mesh_id, invite_id, now}));
        if (revoked == 1) {
            TRY_VOID(note_event(tx, mesh_id, {}, AuditEvent::invite_revoked(invite_id), now));
        }
        TRY(const auto row, tx.query_one("select " INVITE_COLUMNS
                                         " from mesh_invite where mesh_id = $1 and id = $2",
                                         {mesh_id, invite_id}));
        if (!row) {
            return std::nullopt;
        }
        return read_invite(*row);
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::optional<Member>>> MeshStore::member_by_key(std::string mesh_id, Key key) {
    auto read = [mesh_id = std::move(mesh_id), key](Transaction& tx) {
        return member_with_key(tx, mesh_id, key);
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<JoinOutcome>> MeshStore::join(JoinRequest request) {
    auto write = [request = std::move(request)](Transaction& tx) { return join_in(tx, request); };
    co_return co_await database_.write(std::move(write));
}

Result<void> MeshStore::after_restore(Transaction& tx, UnixMillis now) {
    TRY_VOID(tx.execute("update mesh_invite set revoked_at = $1 where revoked_at is null", {now}));
    return ok();
}

}  // namespace nave::broker
