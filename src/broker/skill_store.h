// SkillStore: instructions that members share by name. Others act on them, so only who shared one,
// or an admin of the mesh, may replace or remove it.
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

struct Skill {
    std::string name;
    std::string description;
    std::string instructions;
    std::string tags = "[]";  // JSON array of strings
    std::string shared_by_name;
    UnixMillis created_at = 0;
    UnixMillis updated_at = 0;
};

// Who asks.
struct SkillAuthor {
    std::string member_id;
    bool is_admin = false;
};

class SkillStore {
  public:
    static constexpr std::int64_t kSkillsMax = 1'000;  // of one mesh

    enum class Outcome : std::uint8_t { done, not_found, forbidden, full };

    explicit SkillStore(storage::Database& database) : database_(database) {}

    // Adds or replaces: done, forbidden or full. `updated_at` is the time of it.
    Task<Result<Outcome>> share(std::string mesh_id, Skill skill, SkillAuthor author);
    // done, not_found or forbidden.
    Task<Result<Outcome>> remove(std::string mesh_id, std::string name, SkillAuthor author);
    Task<Result<std::optional<Skill>>> get(std::string mesh_id, std::string name);
    // By name, without their instructions: those whose name, description or tags hold every word.
    Task<Result<std::vector<Skill>>> list(std::string mesh_id, std::string query);

  private:
    storage::Database& database_;
};

}  // namespace nave::broker
