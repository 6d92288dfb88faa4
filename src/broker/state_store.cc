#include "broker/state_store.h"

namespace nave::broker {

using storage::Row;
using storage::Transaction;

namespace {

#define STATE_COLUMNS "key, value, updated_by, updated_by_name, updated_at"

StateEntry read_entry(const Row& row) {
    return {row.text(0), row.text(1), row.text(2), row.text(3), row.integer(4)};
}

}  // namespace

Task<Result<bool>> StateStore::set(std::string mesh_id, StateEntry entry) {
    auto write = [mesh_id = std::move(mesh_id),
                  entry = std::move(entry)](Transaction& tx) -> Result<bool> {
        TRY(const std::int64_t updated,
            tx.execute("update mesh_state set value = $3, updated_by = $4, updated_by_name = $5, "
                       "updated_at = $6 where mesh_id = $1 and key = $2",
                       {mesh_id, entry.key, entry.value, entry.updated_by, entry.updated_by_name,
                        entry.updated_at}));
        if (updated == 1) {
            return true;
        }
        TRY(const std::int64_t inserted,
            tx.execute("insert into mesh_state (mesh_id, key, value, updated_by, "
                       "updated_by_name, updated_at) select $1, $2, $3, $4, $5, $6 "
                       "where (select count(*) from mesh_state where mesh_id = $1) < $7 "
                       "on conflict (mesh_id, key) do update set value = excluded.value, "
                       "updated_by = excluded.updated_by, "
                       "updated_by_name = excluded.updated_by_name, "
                       "updated_at = excluded.updated_at",
                       {mesh_id, entry.key, entry.value, entry.updated_by, entry.updated_by_name,
                        entry.updated_at, kKeysMax}));
        return inserted == 1;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::optional<StateEntry>>> StateStore::get(std::string mesh_id, std::string key) {
    auto read = [mesh_id = std::move(mesh_id),
                 key = std::move(key)](Transaction& tx) -> Result<std::optional<StateEntry>> {
        TRY(const auto row,
            tx.query_one("select " STATE_COLUMNS " from mesh_state where mesh_id = $1 and key = $2",
                         {mesh_id, key}));
        if (!row) {
            return std::nullopt;
        }
        return read_entry(*row);
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<StateStore::Page>> StateStore::list(std::string mesh_id, std::string after) {
    constexpr std::int64_t kRows = 64;
    auto read = [mesh_id = std::move(mesh_id),
                 after = std::move(after)](Transaction& tx) -> Result<Page> {
        Page page;
        std::string last = after;
        std::size_t bytes = 0;
        for (std::int64_t rows = kRows; rows == kRows && !page.more;) {
            rows = 0;
            TRY_VOID(tx.each("select " STATE_COLUMNS " from mesh_state where mesh_id = $1 "
                             "and key > $2 order by key limit $3",
                             {mesh_id, last, kRows}, [&](const Row& row) -> Result<void> {
                                 rows += 1;
                                 StateEntry entry = read_entry(row);
                                 bytes += entry.key.size() + entry.value.size();
                                 page.more = page.more || bytes > kListBytesMax;
                                 if (!page.more || page.entries.empty()) {
                                     page.entries.push_back(std::move(entry));
                                 }
                                 return ok();
                             }));
            if (!page.entries.empty()) {
                last = page.entries.back().key;
            }
        }
        return page;
    };
    co_return co_await database_.read(std::move(read));
}

}  // namespace nave::broker
