// OverviewStore: how much of everything a mesh has stored, for mesh_info.
#pragma once

#include "base/result.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <cstdint>
#include <string>

namespace nave::broker {

struct MeshCounts {
    std::int64_t state_keys = 0;
    std::int64_t memories = 0;
    std::int64_t tasks_open = 0;
    std::int64_t tasks_claimed = 0;
    std::int64_t tasks_done = 0;
};

class OverviewStore {
  public:
    explicit OverviewStore(storage::Database& database) : database_(database) {}

    Task<Result<MeshCounts>> count(std::string mesh_id);

  private:
    storage::Database& database_;
};

}  // namespace nave::broker
