#include "broker/memory_store.h"

#include "broker/memory_search.h"

namespace nave::broker {

using storage::Row;
using storage::Transaction;

Task<Result<bool>> MemoryStore::remember(std::string mesh_id, Memory memory) {
    auto write = [mesh_id = std::move(mesh_id),
                  memory = std::move(memory)](Transaction& tx) -> Result<bool> {
        TRY(const auto row,
            tx.query_one("insert into mesh_memory (mesh_id, id, content, tags, remembered_by, "
                         "remembered_by_name, remembered_at) select $1, $2, $3, $4, $5, $6, $7 "
                         "where (select count(*) from mesh_memory where mesh_id = $1) < $8 "
                         "returning seq",
                         {mesh_id, memory.id, memory.content, memory.tags, memory.remembered_by,
                          memory.remembered_by_name, memory.remembered_at, kMemoriesMax}));
        if (!row) {
            return false;
        }
        TRY_VOID(add_words(tx, row->integer(0), mesh_id, memory.content));
        return true;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::vector<Memory>>> MemoryStore::recall(std::string mesh_id, std::string query) {
    auto read = [mesh_id = std::move(mesh_id),
                 query = std::move(query)](Transaction& tx) -> Result<std::vector<Memory>> {
        std::vector<Memory> found;
        const std::string term = search_term(tx.dialect(), mesh_id, query);
        if (term.empty()) {
            return found;
        }
        TRY_VOID(tx.each(search_sql(tx.dialect()), {mesh_id, term, kResultsMax},
                         [&](const Row& row) -> Result<void> {
                             found.push_back({row.text(0), row.text(1), row.text(2), row.text(3),
                                              row.text(4), row.integer(5)});
                             return ok();
                         }));
        return found;
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<bool>> MemoryStore::forget(std::string mesh_id, std::string id) {
    auto write = [mesh_id = std::move(mesh_id),
                  id = std::move(id)](Transaction& tx) -> Result<bool> {
        TRY(const auto row, tx.query_one("delete from mesh_memory where mesh_id = $1 and id = $2 "
                                         "returning seq, content",
                                         {mesh_id, id}));
        if (!row) {
            return false;
        }
        TRY_VOID(remove_words(tx, row->integer(0), mesh_id, row->text(1)));
        return true;
    };
    co_return co_await database_.write(std::move(write));
}

}  // namespace nave::broker
