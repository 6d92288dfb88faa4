#include "broker/queue_census.h"

#include <algorithm>

namespace nave::broker {

Task<Result<std::map<std::string, MeshQueue>>> count_waiting(storage::Database& database,
                                                             UnixMillis now) {
    auto read = [now](storage::Transaction& tx) -> Result<std::map<std::string, MeshQueue>> {
        std::map<std::string, MeshQueue> meshes;
        const auto add = [&](const storage::Row& row) -> Result<void> {
            const auto [place, is_new] = meshes.try_emplace(row.text(0));
            MeshQueue& queue = place->second;
            queue.envelopes += row.integer(1);
            queue.oldest_at = is_new ? row.integer(2) : std::min(queue.oldest_at, row.integer(2));
            return ok();
        };
        TRY_VOID(
            tx.each("select mesh_id, count(*), min(created_at) from mesh_message "
                    "where recipient is not null and delivered_at is null and claimed_by is null "
                    "and expires_at > $1 group by mesh_id",
                    {now}, add));
        TRY_VOID(
            tx.each("select mesh_id, count(*), min(created_at) from mesh_message "
                    "where claimed_by is not null and delivered_at is null "
                    "and expires_at > $1 group by mesh_id",
                    {now}, add));
        TRY_VOID(
            tx.each("select d.mesh_id, count(*), min(m.created_at) from mesh_delivery d "
                    "join mesh_message m on m.seq = d.seq where m.expires_at > $1 "
                    "group by d.mesh_id",
                    {now}, add));
        return meshes;
    };
    co_return co_await database.read(std::move(read));
}

}  // namespace nave::broker
