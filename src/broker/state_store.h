// StateStore: what the members of a mesh share as JSON values by key.
#pragma once

#include "base/result.h"
#include "broker/types.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace nave::broker {

struct StateEntry {
    std::string key;
    std::string value;       // JSON text
    std::string updated_by;  // member id
    std::string updated_by_name;
    UnixMillis updated_at = 0;
};

class StateStore {
  public:
    static constexpr std::int64_t kKeysMax = 10'000;  // of one mesh
    static constexpr std::size_t kListBytesMax = std::size_t{1} << 20;

    explicit StateStore(storage::Database& database) : database_(database) {}

    // False when the mesh has too many keys already; nothing was stored.
    Task<Result<bool>> set(std::string mesh_id, StateEntry entry);
    Task<Result<std::optional<StateEntry>>> get(std::string mesh_id, std::string key);
    // By key, those behind `after`, until their values fill kListBytesMax.
    struct Page {
        std::vector<StateEntry> entries;
        bool more = false;
    };
    Task<Result<Page>> list(std::string mesh_id, std::string after);

  private:
    storage::Database& database_;
};

}  // namespace nave::broker
