// AuditStore: the audit chains of all meshes (audit.h), appended, read, verified and trimmed. One
// method is one transaction, but for verify(), which reads a chain page by page.
//
// A chain's end and length are kept apart from its records, so that records missing at the end are
// noticed too. Trimming removes records from the beginning and remembers the hash the rest follows.
#pragma once

#include "base/result.h"
#include "broker/audit.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nave::broker {

// What is to become a record.
struct AuditEntry {
    std::string mesh_id;
    std::string actor_member_id;  // empty: nobody of the mesh
    AuditEvent event;
    UnixMillis at = 0;
};

// Appends within the transaction of what the entries are about. Entries of one mesh keep their
// order. The locks of their meshes are taken in order of the ids.
[[nodiscard]] Result<void> append_audit(storage::Transaction& tx,
                                        std::span<const AuditEntry> entries);

struct AuditVerdict {
    std::int64_t records = 0;  // that hold, one after the other
    std::int64_t trimmed = 0;  // that were removed from the beginning, as too old
    std::string head;          // the last one's hash; worth keeping elsewhere
    std::optional<AuditBreak> broken;
};

struct AuditTrim {
    std::string mesh_id;
    std::int64_t removed = 0;
};

class AuditStore {
  public:
    static constexpr std::int64_t kTrimBatch = 1'000;

    explicit AuditStore(storage::Database& database) : database_(database) {}

    Task<Result<void>> append(std::vector<AuditEntry> entries);
    // Records with ids below `before` (none: the last), the newest first.
    Task<Result<std::vector<AuditRecord>>> latest(std::string mesh_id,
                                                  std::optional<std::int64_t> before,
                                                  std::int64_t limit);
    // Records with ids above `after`, the oldest first.
    Task<Result<std::vector<AuditRecord>>> following(std::string mesh_id, std::int64_t after,
                                                     std::int64_t limit);
    // One at a time, for it reads a whole chain; error "busy".
    Task<Result<AuditVerdict>> verify(std::string mesh_id);
    // Of the first mesh with an id above `after_mesh_id`: a batch of the oldest records that are
    // older than `before`. Nullopt when there is no such mesh.
    Task<Result<std::optional<AuditTrim>>> trim(std::string after_mesh_id, UnixMillis before);

  private:
    storage::Database& database_;
    bool verifies_ = false;
};

}  // namespace nave::broker
