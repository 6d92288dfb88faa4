#include "prekeys/errors.h"
#include "prekeys/store.h"
#include "prekeys/store_sql.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>

namespace nave::prekeys {

using storage::Row;
using storage::Transaction;

namespace {

constexpr UnixMillis kDayMs = 24LL * 3600 * 1000;
constexpr UnixMillis kIssuedMemoryMs = 90 * kDayMs;
constexpr UnixMillis kRetiredMemoryMs = 30 * kDayMs;
// Deletions per transaction: bounds how long one holds the write lock.
constexpr std::int64_t kBatch = 2'000;

// What expires, and when; $1 is the time before which it has.
struct Expiring {
    std::string_view table;
    std::string_view key;
    std::string_view condition;
};
constexpr std::array<Expiring, 6> kExpiring{{
    {"shade_server_replay", "hash", "expires_at < $1"},
    {"shade_server_claims", "claim_hash", "expires_at < $1"},
    {"shade_server_one_time_prekeys", "seq", "issued_at < $1"},
    {"shade_server_former_prekeys", "address, signing_key_hash, kind, key_id", "issued_at < $1"},
    {"shade_server_signed_prekeys", "address, kind, key_id", "retired_at < $1"},
    // A tombstone also says whose issued ids the address remembers, so it outlives those.
    {"shade_server_tombstones", "address",
     "at < $1 and not exists (select 1 from shade_server_one_time_prekeys o "
     "where o.address = shade_server_tombstones.address)"},
}};

// Two nodes that forget at once share the work instead of waiting for each other.
const std::string& forget_statement(storage::Dialect dialect, std::size_t table) {
    static const auto make = [](storage::Dialect d) {
        std::array<std::string, kExpiring.size()> texts;
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const Expiring& what = kExpiring.at(i);
            texts.at(i) = fmt::format(
                "delete from {0} where ({1}) in (select {1} from {0} where {2} limit $2{3})",
                what.table, what.key, what.condition, storage::for_update_skip_locked(d));
        }
        return texts;
    };
    static const auto sqlite = make(storage::Dialect::sqlite);
    static const auto postgres = make(storage::Dialect::postgres);
    return (dialect == storage::Dialect::sqlite ? sqlite : postgres).at(table);
}

// Two nodes that clean at once share the work instead of waiting for each other.
const std::string& stale_statement(storage::Dialect dialect) {
    static const auto make = [](storage::Dialect d) {
        return "select address, suite, signing_key, dh_key, dh_signature from "
               "shade_server_identities "
               "where last_activity_at < $1 order by last_activity_at limit $2" +
               std::string(storage::for_update_skip_locked(d));
    };
    static const std::string sqlite = make(storage::Dialect::sqlite);
    static const std::string postgres = make(storage::Dialect::postgres);
    return dialect == storage::Dialect::sqlite ? sqlite : postgres;
}

}  // namespace

Task<Result<std::vector<PurgedIdentity>>> Store::purge_stale_identities(UnixMillis cutoff,
                                                                        std::int64_t limit,
                                                                        UnixMillis now) {
    auto write = [cutoff, limit, now](Transaction& tx) -> Result<std::vector<PurgedIdentity>> {
        TRY(const auto rows, tx.query(stale_statement(tx.dialect()), {cutoff, limit}));
        std::vector<PurgedIdentity> purged;
        for (const Row& row : rows) {
            PurgedIdentity identity{Address::stored(row.text(0)), sql::identity_keys(row, 1)};
            // Its row is locked already, so waiting could be for ever; who is in use is not stale.
            TRY(const bool unused, sql::try_owner_turn(tx, identity.address));
            if (!unused) {
                continue;
            }
            TRY_VOID(sql::erase_identity(tx, identity.address, identity.keys, kt::EventKind::purge,
                                         now));
            purged.push_back(std::move(identity));
        }
        return purged;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::int64_t>> Store::count_stale_identities(UnixMillis cutoff) {
    auto read = [cutoff](Transaction& tx) -> Result<std::int64_t> {
        TRY(const auto row,
            tx.query_one("select count(*) from shade_server_identities where last_activity_at < $1",
                         {cutoff}));
        return row->integer(0);
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<void>> Store::forget_expired(UnixMillis now) {
    const std::array<UnixMillis, kExpiring.size()> before{now,
                                                          now,
                                                          now - kIssuedMemoryMs,
                                                          now - kIssuedMemoryMs,
                                                          now - kRetiredMemoryMs,
                                                          now - policy_.tombstone_ms};
    for (std::size_t table = 0; table < kExpiring.size(); ++table) {
        for (std::int64_t removed = kBatch; removed == kBatch;) {
            auto write = [table, cutoff = before.at(table)](Transaction& tx) {
                return tx.execute(forget_statement(tx.dialect(), table), {cutoff, kBatch});
            };
            CO_TRY(removed, co_await database_.write(std::move(write)));
        }
    }
    co_return ok();
}

Task<Result<bool>> Store::release_tombstone(Address address) {
    auto write = [address](Transaction& tx) -> Result<bool> {
        TRY(const std::int64_t removed,
            tx.execute("update shade_server_tombstones set released = 1 "
                       "where address = $1 and released = 0",
                       {address.text()}));
        return removed > 0;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::optional<std::int64_t>>> Store::announce_restore() {
    auto write = [](Transaction& tx) -> Result<std::optional<std::int64_t>> {
        TRY(const std::int64_t epoch, sql::restore_epoch(tx));
        if (epoch == 0) {
            return std::nullopt;
        }
        TRY(const std::int64_t first,
            tx.execute("insert into shade_server_state (name, value) "
                       "values ('restore_epoch_announced', $1) on conflict (name) do update "
                       "set value = excluded.value "
                       "where shade_server_state.value <> excluded.value",
                       {epoch}));
        return first == 1 ? std::optional(epoch) : std::nullopt;
    };
    co_return co_await database_.write(std::move(write));
}

Result<void> Store::after_restore(Transaction& tx, UnixMillis now) {
    TRY_VOID(tx.execute(
        "update shade_server_one_time_prekeys set issued_at = $1 where issued_at is null", {now}));
    TRY_VOID(tx.execute("delete from shade_server_claims"));
    // The time of the restore, so that one backup restored twice gives two epochs.
    TRY_VOID(
        tx.execute("update shade_server_state set value = case when value >= $1 "
                   "then value + 1 else $1 end where name = 'restore_epoch'",
                   {now}));
    return ok();
}

}  // namespace nave::prekeys
