// MemoryStore: notes that the members of a mesh leave for each other, found by their words. What is
// forgotten is gone.
#pragma once

#include "base/result.h"
#include "broker/types.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nave::broker {

struct Memory {
    std::string id;
    std::string content;
    std::string tags = "[]";    // JSON array of strings
    std::string remembered_by;  // member id
    std::string remembered_by_name;
    UnixMillis remembered_at = 0;
};

class MemoryStore {
  public:
    static constexpr std::int64_t kMemoriesMax = 10'000;  // of one mesh
    static constexpr std::int64_t kResultsMax = 20;

    explicit MemoryStore(storage::Database& database) : database_(database) {}

    // False when the mesh has too many memories already; nothing was stored.
    Task<Result<bool>> remember(std::string mesh_id, Memory memory);
    // Those that hold every word of the query (memory_search.h), the best match first.
    Task<Result<std::vector<Memory>>> recall(std::string mesh_id, std::string query);
    // False when the mesh has no such memory.
    Task<Result<bool>> forget(std::string mesh_id, std::string id);

  private:
    storage::Database& database_;
};

}  // namespace nave::broker
