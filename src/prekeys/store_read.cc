#include "crypto/hash.h"
#include "prekeys/errors.h"
#include "prekeys/store.h"
#include "prekeys/store_sql.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace nave::prekeys {

using storage::Row;
using storage::Transaction;

namespace sql {
namespace {

// PostgreSQL's advisory locks are named by a number.
std::int64_t turn_name(const Address& address) {
    const auto digest = crypto::sha256(as_bytes("nave prekeys turn " + address.text()));
    std::int64_t name = 0;
    std::memcpy(&name, digest.data(), sizeof name);
    return name;
}

}  // namespace

Result<void> await_turn(Transaction& tx, const Address& address, Turn turn) {
    if (tx.dialect() == storage::Dialect::sqlite) {
        return ok();
    }
    TRY_VOID(tx.query(turn == Turn::owner
                          ? "select 1 from (select pg_advisory_xact_lock($1)) as locked"
                          : "select 1 from (select pg_advisory_xact_lock_shared($1)) as locked",
                      {turn_name(address)}));
    return ok();
}

Result<bool> try_owner_turn(Transaction& tx, const Address& address) {
    if (tx.dialect() == storage::Dialect::sqlite) {
        return true;
    }
    TRY(const auto row,
        tx.query_one("select case when pg_try_advisory_xact_lock($1) then 1::bigint "
                     "else 0::bigint end",
                     {turn_name(address)}));
    return row->integer(0) == 1;
}

IdentityKeys identity_keys(const Row& row, std::size_t column) {
    IdentityKeys keys;
    keys.suite = static_cast<Suite>(row.integer(column));
    keys.signing_key = row.bytes(column + 1);
    keys.dh_key = row.bytes(column + 2);
    keys.dh_signature = row.bytes_or_null(column + 3);
    return keys;
}

Result<void> consume(Transaction& tx, const AcceptedProof& proof, const StorePolicy& policy) {
    const UnixMillis until = proof.signed_at + policy.replay_memory_ms;
    // Two at a time: a request signed in its headers has its nonce besides its signature.
    for (std::span<const Bytes> hashes = proof.replay_hashes; !hashes.empty();) {
        const std::size_t many = std::min<std::size_t>(hashes.size(), 2);
        std::int64_t entered = 0;
        if (many == 2) {
            TRY(entered, tx.execute("insert into shade_server_replay (hash, expires_at) "
                                    "values ($1, $3), ($2, $3) on conflict do nothing",
                                    {hashes[0], hashes[1], until}));
        } else {
            TRY(entered, tx.execute("insert into shade_server_replay (hash, expires_at) "
                                    "values ($1, $2) on conflict do nothing",
                                    {hashes[0], until}));
        }
        if (entered < static_cast<std::int64_t>(many)) {
            return errors::replay();
        }
        hashes = hashes.subspan(many);
    }
    return ok();
}

Result<std::optional<StoredIdentity>> find_identity(Transaction& tx, const Address& address,
                                                    RowLock lock) {
    static const std::string plain =
        "select suite, signing_key, dh_key, dh_signature, registration_id "
        "from shade_server_identities where address = $1";
    static const std::string locking = plain + " for update";
    const bool locks = lock == RowLock::exclusive && tx.dialect() == storage::Dialect::postgres;
    TRY(const auto row, tx.query_one(locks ? locking : plain, {address.text()}));
    if (!row) {
        return std::nullopt;
    }
    return StoredIdentity{identity_keys(*row, 0), row->integer_or_null(4)};
}

Result<StoredIdentity> require_signer(Transaction& tx, const Address& address,
                                      const AcceptedProof& proof, RowLock lock) {
    TRY(auto stored, find_identity(tx, address, lock));
    if (!stored) {
        return errors::not_found("No identity is registered at this address.");
    }
    if (stored->keys.signing_key != proof.signing_key) {
        return errors::bad_request_signature();
    }
    return std::move(*stored);
}

namespace {

const std::string& profile_statement(WithStock with_stock) {
    static const auto make = [](const std::string& one_time, const std::string& kem) {
        return "select i.suite, i.signing_key, i.dh_key, i.dh_signature, i.registration_id, "
               "i.one_time_told, i.kem_told, i.last_fetch_at, "
               "s.key_id, s.public_key, s.signature, s.created_at, s.used_alone_at, "
               "k.key_id, k.algorithm, k.public_key, k.signature, k.used_alone_at, " +
               one_time + ", " + kem +
               " from shade_server_identities i "
               "join shade_server_signed_prekeys s "
               "on s.address = i.address and s.kind = 0 and s.retired_at is null "
               "left join shade_server_signed_prekeys k "
               "on k.address = i.address and k.kind = 1 and k.retired_at is null "
               "where i.address = $1";
    };
    static const std::string counted =
        "(select count(*) from shade_server_one_time_prekeys o "
        "where o.address = $1 and o.issued_at is null and o.kind = ";
    static const std::string with = make(counted + "0)", counted + "1)");
    static const std::string without = make("cast(0 as bigint)", "cast(0 as bigint)");
    return with_stock == WithStock::yes ? with : without;
}

}  // namespace

Result<std::optional<Profile>> find_profile(Transaction& tx, const Address& address,
                                            WithStock with_stock) {
    TRY(const auto row, tx.query_one(profile_statement(with_stock), {address.text()}));
    if (!row) {
        return std::nullopt;
    }
    Profile profile{
        .address = address,
        .keys = identity_keys(*row, 0),
        .registration_id = row->integer_or_null(4),
        .signed_prekey = {row->integer(8), row->bytes(9), row->bytes(10), row->integer(11)},
        .last_resort = std::nullopt,
        .signed_prekey_used_alone = !row->is_null(12),
        .last_resort_used_alone = !row->is_null(17),
        .stock = {row->integer(18), row->integer(19)},
        .one_time_told = row->integer(5),
        .kem_told = row->integer(6),
        .last_fetch_at = row->integer_or_null(7)};
    if (!row->is_null(13)) {
        profile.last_resort =
            KemPreKey{row->integer(13), row->text(14), row->bytes(15), row->bytes(16)};
    }
    return profile;
}

Result<std::int64_t> restore_epoch(Transaction& tx) {
    TRY(const auto row,
        tx.query_one("select value from shade_server_state where name = 'restore_epoch'"));
    return row ? row->integer(0) : 0;
}

}  // namespace sql

Task<Result<std::optional<StoredIdentity>>> Store::identity(Address address) {
    auto read = [address](Transaction& tx) { return sql::find_identity(tx, address); };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::optional<Profile>>> Store::profile(Address address) {
    auto read = [address](Transaction& tx) { return sql::find_profile(tx, address); };
    co_return co_await database_.read(std::move(read));
}

namespace {

// An owner who signs is there, whether or not anything is uploaded or fetched.
Result<void> note_owner(Transaction& tx, const Address& address, UnixMillis now) {
    TRY_VOID(
        tx.execute("update shade_server_identities set last_activity_at = $2, "
                   "last_owner_activity_at = $2 where address = $1",
                   {address.text(), now}));
    return ok();
}

Result<CountOutcome> read_count(Transaction& tx, const Address& address) {
    TRY(const auto profile, sql::find_profile(tx, address));
    if (!profile) {
        return errors::not_found("No identity is registered at this address.");
    }
    TRY(const std::int64_t epoch, sql::restore_epoch(tx));
    return CountOutcome{profile->stock, profile->signed_prekey.id,
                        profile->signed_prekey.created_at, profile->last_resort_used(), epoch};
}

}  // namespace

Task<Result<CountOutcome>> Store::count(Address address, std::optional<AcceptedProof> proof,
                                        UnixMillis now) {
    if (!proof) {
        auto read = [address](Transaction& tx) { return read_count(tx, address); };
        co_return co_await database_.read(std::move(read));
    }
    auto write = [address, proof = std::move(*proof), policy = policy_,
                  now](Transaction& tx) -> Result<CountOutcome> {
        TRY_VOID(sql::require_signer(tx, address, proof));
        TRY_VOID(sql::consume(tx, proof, policy));
        TRY_VOID(note_owner(tx, address, now));
        return read_count(tx, address);
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::int64_t>> Store::consume_proof(Address address, AcceptedProof proof,
                                                UnixMillis now) {
    auto write = [address, proof = std::move(proof), policy = policy_,
                  now](Transaction& tx) -> Result<std::int64_t> {
        TRY_VOID(sql::require_signer(tx, address, proof));
        TRY_VOID(sql::consume(tx, proof, policy));
        TRY_VOID(note_owner(tx, address, now));
        return sql::restore_epoch(tx);
    };
    co_return co_await database_.write(std::move(write));
}

namespace {

// What an identity has of the one-time kind of its suite ($1, $2: those with KEM keys) that it has
// least of.
const std::string kScarcest =
    "with counted as materialized (select address, suite, last_fetch_at, last_owner_activity_at, "
    "(select count(*) from shade_server_one_time_prekeys o where o.address = i.address "
    "and o.kind = 0 and o.issued_at is null) as one_time, "
    "(select count(*) from shade_server_one_time_prekeys o where o.address = i.address "
    "and o.kind = 1 and o.issued_at is null) as kem_one_time "
    "from shade_server_identities i), "
    "stocks as (select counted.*, case when suite in ($1, $2) and kem_one_time < one_time "
    "then kem_one_time else one_time end as scarcest from counted) ";

}  // namespace

Task<Result<StoreTotals>> Store::totals(std::int64_t low_threshold) {
    static const std::string counting =
        kScarcest +
        "select count(*), count(case when scarcest = 0 then 1 end) from stocks where scarcest < $3";
    auto read = [low_threshold](Transaction& tx) -> Result<StoreTotals> {
        StoreTotals totals;
        TRY(const auto suites,
            tx.query("select suite, count(*) from shade_server_identities group by suite"));
        for (const Row& row : suites) {
            const auto suite = static_cast<std::size_t>(row.integer(0));
            if (suite < totals.identities_by_suite.size()) {
                totals.identities_by_suite.at(suite) = row.integer(1);
            }
        }
        TRY(const auto stock, tx.query("select kind, count(*) from shade_server_one_time_prekeys "
                                       "where issued_at is null group by kind"));
        for (const Row& row : stock) {
            (row.integer(0) == sql::kCurve ? totals.one_time : totals.kem_one_time) =
                row.integer(1);
        }
        TRY(const auto low, tx.query_one(counting, {static_cast<std::int64_t>(Suite::pqxdh_ed25519),
                                                    static_cast<std::int64_t>(Suite::pqxdh_xeddsa),
                                                    low_threshold}));
        totals.below_low_threshold = low->integer(0);
        totals.exhausted = low->integer(1);
        return totals;
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::vector<LowStockEntry>>> Store::lowest_stock(std::int64_t limit) {
    static const std::string lowest =
        kScarcest +
        "select address, suite, last_fetch_at, last_owner_activity_at, one_time, kem_one_time "
        "from stocks order by scarcest, address limit $3";
    auto read = [limit](Transaction& tx) -> Result<std::vector<LowStockEntry>> {
        TRY(const auto rows,
            tx.query(lowest, {static_cast<std::int64_t>(Suite::pqxdh_ed25519),
                              static_cast<std::int64_t>(Suite::pqxdh_xeddsa), limit}));
        std::vector<LowStockEntry> out;
        for (const Row& row : rows) {
            out.push_back({Address::stored(row.text(0)), static_cast<Suite>(row.integer(1)),
                           Stock{row.integer(4), row.integer(5)}, row.integer_or_null(2),
                           row.integer(3)});
        }
        return out;
    };
    co_return co_await database_.read(std::move(read));
}

}  // namespace nave::prekeys
