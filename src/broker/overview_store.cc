#include "broker/overview_store.h"

namespace nave::broker {

using storage::Transaction;

Task<Result<MeshCounts>> OverviewStore::count(std::string mesh_id) {
    auto read = [mesh_id = std::move(mesh_id)](Transaction& tx) -> Result<MeshCounts> {
        TRY(const auto row,
            tx.query_one(
                "select (select count(*) from mesh_state where mesh_id = $1), "
                "(select count(*) from mesh_memory where mesh_id = $1), "
                "(select count(*) from mesh_task where mesh_id = $1 and status = 'open'), "
                "(select count(*) from mesh_task where mesh_id = $1 and status = 'claimed'), "
                "(select count(*) from mesh_task where mesh_id = $1 and status = 'done')",
                {mesh_id}));
        return MeshCounts{row->integer(0), row->integer(1), row->integer(2), row->integer(3),
                          row->integer(4)};
    };
    co_return co_await database_.read(std::move(read));
}

}  // namespace nave::broker
