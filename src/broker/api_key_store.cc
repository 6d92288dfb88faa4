#include "broker/api_key_store.h"

#include "broker/audit_store.h"
#include "broker/errors.h"

namespace nave::broker {

using storage::Row;
using storage::Transaction;

namespace {

#define API_KEY_COLUMNS                                                                \
    "k.id, k.mesh_id, k.member_id, k.label, k.may_send, k.may_receive, k.created_at, " \
    "k.expires_at, k.revoked_at"

ApiKey read_key(const Row& row) {
    return {row.text(0),           row.text(1),         row.text(2),    row.text(3),
            row.integer(4) != 0,   row.integer(5) != 0, row.integer(6), row.integer_or_null(7),
            row.integer_or_null(8)};
}

}  // namespace

Task<Result<void>> ApiKeyStore::create(ApiKey key, TokenHash token) {
    auto write = [key = std::move(key), token](Transaction& tx) -> Result<void> {
        TRY(const auto member, tx.query_one("select id from mesh_member where mesh_id = $1 "
                                            "and id = $2 and revoked_at is null",
                                            {key.mesh_id, key.member_id}));
        if (!member) {
            return errors::not_found("No member of this mesh has this id.");
        }
        TRY_VOID(tx.execute(
            "insert into mesh_api_key (id, mesh_id, member_id, label, token_hash, may_send, "
            "may_receive, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            {key.id, key.mesh_id, key.member_id, key.label, ByteView(token),
             std::int64_t{key.may_send}, std::int64_t{key.may_receive}, key.created_at,
             key.expires_at ? storage::Param(*key.expires_at) : nullptr}));
        const AuditEntry entry{
            key.mesh_id, {}, AuditEvent::api_key_created(key.id, key.label), key.created_at};
        return append_audit(tx, {&entry, 1});
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::optional<ApiKey>>> ApiKeyStore::find(TokenHash token, UnixMillis now) {
    auto read = [token, now](Transaction& tx) -> Result<std::optional<ApiKey>> {
        TRY(const auto row,
            tx.query_one("select " API_KEY_COLUMNS
                         " from mesh_api_key k join mesh_member m on m.id = k.member_id "
                         "join mesh_mesh g on g.id = k.mesh_id where k.token_hash = $1 "
                         "and k.revoked_at is null and (k.expires_at is null or k.expires_at > $2) "
                         "and m.revoked_at is null and g.archived_at is null",
                         {ByteView(token), now}));
        return row ? std::optional(read_key(*row)) : std::nullopt;
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::vector<ApiKey>>> ApiKeyStore::list(std::string mesh_id) {
    auto read = [mesh_id = std::move(mesh_id)](Transaction& tx) -> Result<std::vector<ApiKey>> {
        std::vector<ApiKey> keys;
        TRY_VOID(tx.each("select " API_KEY_COLUMNS
                         " from mesh_api_key k where k.mesh_id = $1 order by k.created_at, k.id",
                         {mesh_id}, [&](const Row& row) -> Result<void> {
                             keys.push_back(read_key(row));
                             return ok();
                         }));
        return keys;
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::optional<ApiKey>>> ApiKeyStore::revoke(std::string mesh_id, std::string id,
                                                        UnixMillis now) {
    auto write = [mesh_id = std::move(mesh_id), id = std::move(id),
                  now](Transaction& tx) -> Result<std::optional<ApiKey>> {
        TRY(const std::int64_t revoked,
            tx.execute("update mesh_api_key set revoked_at = $3 where mesh_id = $1 "
                       "and id = $2 and revoked_at is null",
                       {mesh_id, id, now}));
        if (revoked == 1) {
            const AuditEntry entry{mesh_id, {}, AuditEvent::api_key_revoked(id), now};
            TRY_VOID(append_audit(tx, {&entry, 1}));
        }
        TRY(const auto row, tx.query_one("select " API_KEY_COLUMNS
                                         " from mesh_api_key k where k.mesh_id = $1 and k.id = $2",
                                         {mesh_id, id}));
        return row ? std::optional(read_key(*row)) : std::nullopt;
    };
    co_return co_await database_.write(std::move(write));
}

Result<void> ApiKeyStore::after_restore(Transaction& tx, UnixMillis now) {
    TRY_VOID(tx.execute("update mesh_api_key set revoked_at = $1 where revoked_at is null", {now}));
    return ok();
}

}  // namespace nave::broker
