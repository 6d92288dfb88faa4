// ContextStore: what each member is working on, told by itself: one snapshot per member, the last
// one said.
#pragma once

#include "base/result.h"
#include "broker/types.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nave::broker {

struct WorkingContext {
    std::string member_id;
    std::string member_name;  // as it was called then
    std::string summary;
    std::string files_read = "[]";  // JSON arrays of strings
    std::string key_findings = "[]";
    std::string tags = "[]";
    UnixMillis updated_at = 0;
};

class ContextStore {
  public:
    static constexpr std::size_t kResultsMax = 20;
    static constexpr std::int64_t kListMax = 500;

    explicit ContextStore(storage::Database& database) : database_(database) {}

    // In the place of the member's former one.
    Task<Result<void>> share(std::string mesh_id, WorkingContext context);
    // The youngest first: those whose summary or tags hold every word of the query.
    Task<Result<std::vector<WorkingContext>>> find(std::string mesh_id, std::string query);
    // The youngest first, without files and findings.
    Task<Result<std::vector<WorkingContext>>> list(std::string mesh_id);

  private:
    storage::Database& database_;
};

}  // namespace nave::broker
