#include "broker/schedule_store.h"

#include "base/check.h"

#include <algorithm>

namespace nave::broker {

using storage::Row;
using storage::Transaction;

namespace {

#define SCHEDULE_COLUMNS                                                                      \
    "id, mesh_id, member_id, sender_key, target_spec, priority, message, nonce, ciphertext, " \
    "cron, due_at, fired_count, created_at"

Scheduled read_scheduled(const Row& row) {
    Scheduled scheduled;
    scheduled.id = row.text(0);
    scheduled.mesh_id = row.text(1);
    scheduled.member_id = row.text(2);
    const Bytes& key = row.bytes(3);
    CHECK(key.size() == scheduled.sender_key.size(), "a key in the store has another length");
    std::ranges::copy(key, scheduled.sender_key.begin());
    scheduled.target_spec = row.text(4);
    scheduled.priority = static_cast<Priority>(row.integer(5));
    if (!row.is_null(6)) {
        scheduled.message = row.text(6);
    }
    scheduled.nonce = row.text(7);
    scheduled.ciphertext = row.text(8);
    scheduled.cron = row.is_null(9) ? std::string() : row.text(9);
    scheduled.due_at = row.integer(10);
    scheduled.fired_count = row.integer(11);
    scheduled.created_at = row.integer(12);
    return scheduled;
}

Result<std::vector<Scheduled>> due(Transaction& tx, UnixMillis now, std::int64_t count_max) {
    static const std::string sqlite =
        "select " SCHEDULE_COLUMNS
        " from mesh_schedule where due_at <= $1 and (claimed_until is null or claimed_until <= $1) "
        "order by due_at, id limit $2";
    static const std::string postgres =
        sqlite + std::string(storage::for_update_skip_locked(storage::Dialect::postgres));
    std::vector<Scheduled> found;
    TRY_VOID(tx.each(tx.dialect() == storage::Dialect::sqlite ? sqlite : postgres, {now, count_max},
                     [&](const Row& row) -> Result<void> {
                         found.push_back(read_scheduled(row));
                         return ok();
                     }));
    return found;
}

}  // namespace

Task<Result<bool>> ScheduleStore::add(Scheduled scheduled) {
    auto write = [scheduled = std::move(scheduled)](Transaction& tx) -> Result<bool> {
        TRY(const auto count, tx.query_one("select count(*) from mesh_schedule "
                                           "where mesh_id = $1 and member_id = $2",
                                           {scheduled.mesh_id, scheduled.member_id}));
        if (count->integer(0) >= kScheduledMax) {
            return false;
        }
        TRY_VOID(tx.execute(
            "insert into mesh_schedule (" SCHEDULE_COLUMNS
            ") values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, $12)",
            {scheduled.id, scheduled.mesh_id, scheduled.member_id, ByteView(scheduled.sender_key),
             scheduled.target_spec, static_cast<std::int64_t>(scheduled.priority),
             scheduled.message ? storage::Param(*scheduled.message) : storage::Param(nullptr),
             scheduled.nonce, scheduled.ciphertext,
             scheduled.cron.empty() ? storage::Param(nullptr) : storage::Param(scheduled.cron),
             scheduled.due_at, scheduled.created_at}));
        return true;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::vector<Scheduled>>> ScheduleStore::list(std::string mesh_id,
                                                         std::string member_id) {
    auto read = [mesh_id = std::move(mesh_id), member_id = std::move(member_id)](
                    Transaction& tx) -> Result<std::vector<Scheduled>> {
        std::vector<Scheduled> found;
        TRY_VOID(tx.each("select " SCHEDULE_COLUMNS
                         " from mesh_schedule where mesh_id = $1 and member_id = $2 "
                         "order by due_at, id",
                         {mesh_id, member_id}, [&](const Row& row) -> Result<void> {
                             found.push_back(read_scheduled(row));
                             return ok();
                         }));
        return found;
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<bool>> ScheduleStore::cancel(std::string mesh_id, std::string member_id,
                                         std::string id) {
    auto write = [mesh_id = std::move(mesh_id), member_id = std::move(member_id),
                  id = std::move(id)](Transaction& tx) -> Result<bool> {
        TRY(const std::int64_t removed,
            tx.execute(
                "delete from mesh_schedule where mesh_id = $1 and member_id = $2 and id = $3",
                {mesh_id, member_id, id}));
        return removed == 1;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::vector<Scheduled>>> ScheduleStore::claim_due(UnixMillis now, UnixMillis until,
                                                              std::int64_t count_max) {
    // Mostly nothing is, and then nothing is written.
    auto look = [now](Transaction& tx) -> Result<bool> {
        TRY(const auto row,
            tx.query_one("select 1 from mesh_schedule where due_at <= $1 "
                         "and (claimed_until is null or claimed_until <= $1) limit 1",
                         {now}));
        return row.has_value();
    };
    CO_TRY(const bool any, co_await database_.read(std::move(look)));
    if (!any) {
        co_return std::vector<Scheduled>();
    }
    auto write = [now, until, count_max](Transaction& tx) -> Result<std::vector<Scheduled>> {
        TRY(auto found, due(tx, now, count_max));
        for (const Scheduled& scheduled : found) {
            TRY_VOID(tx.execute("update mesh_schedule set claimed_until = $2 where id = $1",
                                {scheduled.id, until}));
        }
        return found;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<void>> ScheduleStore::advance(std::string id, UnixMillis due_at,
                                          std::optional<UnixMillis> next) {
    auto write = [id = std::move(id), due_at, next](Transaction& tx) -> Result<void> {
        if (next) {
            TRY_VOID(
                tx.execute("update mesh_schedule set due_at = $3, claimed_until = null, "
                           "fired_count = fired_count + 1 where id = $1 and due_at = $2",
                           {id, due_at, *next}));
        } else {
            TRY_VOID(tx.execute("delete from mesh_schedule where id = $1 and due_at = $2",
                                {id, due_at}));
        }
        return ok();
    };
    co_return co_await database_.write(std::move(write));
}

}  // namespace nave::broker
