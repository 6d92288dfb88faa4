// QueueCensus: how much waits in the queue, and since when, by mesh. For people who watch; delivery
// does not use it. One method is one transaction.
#pragma once

#include "base/result.h"
#include "broker/types.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <map>
#include <string>

namespace nave::broker {

// Waiting for the members of one mesh.
struct MeshQueue {
    std::int64_t envelopes = 0;  // one to many counts once for each who waits
    UnixMillis oldest_at = 0;    // when the oldest was accepted
};

// Not settled and not expired. Reads all that waits, through the indexes of the queue.
[[nodiscard]] Task<Result<std::map<std::string, MeshQueue>>> count_waiting(
    storage::Database& database, UnixMillis now);

}  // namespace nave::broker
