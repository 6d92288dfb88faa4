// WorkStore: the task list of a mesh ("task" on the wire; a Task is a coroutine here). A task is
// open, then claimed by one member, then done by the member that claimed it; there is no way back.
#pragma once

#include "base/result.h"
#include "broker/types.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nave::broker {

struct WorkItem {
    std::string id;
    std::string title;
    std::string assignee;  // whom its creator had in mind; empty: nobody. Anybody may claim it
    std::string priority;
    std::string tags = "[]";      // JSON array of strings
    std::string status = "open";  // "claimed", "done"
    std::string created_by_name;  // as the member was called then; likewise the next
    std::string claimed_by_name;  // empty: not claimed
    std::optional<std::string> result;
    UnixMillis created_at = 0;
    std::optional<UnixMillis> claimed_at;
    std::optional<UnixMillis> completed_at;
};

struct WorkFilter {
    std::string status;  // empty: any; likewise the next
    std::string assignee;
};

class WorkStore {
  public:
    static constexpr std::int64_t kTasksMax = 10'000;  // of one mesh
    static constexpr std::int64_t kListMax = 100;

    enum class Move : std::uint8_t {
        made,
        not_found,
        refused,  // claim: it is not open; complete: it is not claimed by this member
    };

    explicit WorkStore(storage::Database& database) : database_(database) {}

    // In a full mesh the task that was done first makes room. False when none is done; nothing was
    // stored.
    Task<Result<bool>> create(std::string mesh_id, WorkItem item);
    // Of members who claim at once, one gets it.
    Task<Result<Move>> claim(std::string mesh_id, std::string id, std::string member_id,
                             std::string member_name, UnixMillis now);
    Task<Result<Move>> complete(std::string mesh_id, std::string id, std::string member_id,
                                std::optional<std::string> result, UnixMillis now);
    // The youngest first.
    Task<Result<std::vector<WorkItem>>> list(std::string mesh_id, WorkFilter filter);

  private:
    storage::Database& database_;
};

}  // namespace nave::broker
