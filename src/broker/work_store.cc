#include "broker/work_store.h"

namespace nave::broker {

using storage::Row;
using storage::Transaction;

namespace {

Result<bool> has_room(Transaction& tx, const std::string& mesh_id) {
    TRY(const auto count,
        tx.query_one("select count(*) from mesh_task where mesh_id = $1", {mesh_id}));
    if (count->integer(0) < WorkStore::kTasksMax) {
        return true;
    }
    TRY(const std::int64_t removed,
        tx.execute("delete from mesh_task where id = (select id from mesh_task where mesh_id = $1 "
                   "and status = 'done' order by completed_at, id limit 1)",
                   {mesh_id}));
    return removed == 1;
}

Result<WorkStore::Move> why_not(Transaction& tx, const std::string& mesh_id,
                                const std::string& id) {
    TRY(const auto row,
        tx.query_one("select 1 from mesh_task where mesh_id = $1 and id = $2", {mesh_id, id}));
    return row ? WorkStore::Move::refused : WorkStore::Move::not_found;
}

WorkItem read_item(const Row& row) {
    WorkItem item;
    item.id = row.text(0);
    item.title = row.text(1);
    item.assignee = row.text(2);
    item.priority = row.text(3);
    item.tags = row.text(4);
    item.status = row.text(5);
    item.created_by_name = row.text(6);
    item.claimed_by_name = row.text(7);
    if (!row.is_null(8)) {
        item.result = row.text(8);
    }
    item.created_at = row.integer(9);
    item.claimed_at = row.integer_or_null(10);
    item.completed_at = row.integer_or_null(11);
    return item;
}

}  // namespace

Task<Result<bool>> WorkStore::create(std::string mesh_id, WorkItem item) {
    auto write = [mesh_id = std::move(mesh_id),
                  item = std::move(item)](Transaction& tx) -> Result<bool> {
        TRY(const bool room, has_room(tx, mesh_id));
        if (!room) {
            return false;
        }
        TRY_VOID(
            tx.execute("insert into mesh_task (id, mesh_id, title, assignee, priority, tags, "
                       "status, created_by_name, created_at) "
                       "values ($1, $2, $3, $4, $5, $6, 'open', $7, $8)",
                       {item.id, mesh_id, item.title, item.assignee, item.priority, item.tags,
                        item.created_by_name, item.created_at}));
        return true;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<WorkStore::Move>> WorkStore::claim(std::string mesh_id, std::string id,
                                               std::string member_id, std::string member_name,
                                               UnixMillis now) {
    auto write = [mesh_id = std::move(mesh_id), id = std::move(id),
                  member_id = std::move(member_id), member_name = std::move(member_name),
                  now](Transaction& tx) -> Result<Move> {
        TRY(const std::int64_t updated,
            tx.execute("update mesh_task set status = 'claimed', claimed_by = $3, "
                       "claimed_by_name = $4, claimed_at = $5 "
                       "where mesh_id = $1 and id = $2 and status = 'open'",
                       {mesh_id, id, member_id, member_name, now}));
        return updated == 1 ? Result<Move>(Move::made) : why_not(tx, mesh_id, id);
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<WorkStore::Move>> WorkStore::complete(std::string mesh_id, std::string id,
                                                  std::string member_id,
                                                  std::optional<std::string> result,
                                                  UnixMillis now) {
    auto write = [mesh_id = std::move(mesh_id), id = std::move(id),
                  member_id = std::move(member_id), result = std::move(result),
                  now](Transaction& tx) -> Result<Move> {
        TRY(const std::int64_t updated,
            tx.execute("update mesh_task set status = 'done', result = $4, completed_at = $5 "
                       "where mesh_id = $1 and id = $2 and status = 'claimed' and claimed_by = $3",
                       {mesh_id, id, member_id,
                        result ? storage::Param(*result) : storage::Param(nullptr), now}));
        return updated == 1 ? Result<Move>(Move::made) : why_not(tx, mesh_id, id);
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::vector<WorkItem>>> WorkStore::list(std::string mesh_id, WorkFilter filter) {
    auto read = [mesh_id = std::move(mesh_id),
                 filter = std::move(filter)](Transaction& tx) -> Result<std::vector<WorkItem>> {
        std::vector<WorkItem> items;
        TRY_VOID(tx.each(
            "select id, title, assignee, priority, tags, status, created_by_name, claimed_by_name, "
            "result, created_at, claimed_at, completed_at from mesh_task where mesh_id = $1 "
            "and ($2 = '' or status = $2) and ($3 = '' or assignee = $3) "
            "order by created_at desc, id desc limit $4",
            {mesh_id, filter.status, filter.assignee, kListMax},
            [&](const Row& row) -> Result<void> {
                items.push_back(read_item(row));
                return ok();
            }));
        return items;
    };
    co_return co_await database_.read(std::move(read));
}

}  // namespace nave::broker
