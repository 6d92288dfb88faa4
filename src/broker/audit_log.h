// AuditLog: records of what happens all the time (peers come and go, values are set, envelopes are
// sent), off the path of what they are about. They wait in memory and are stored together some
// hundred milliseconds later; what is recorded never waits for it and never fails by it.
//
// When the database cannot be used they are kept, up to a limit, and tried again; beyond the limit
// they are dropped and counted (broker_audit_dropped_total). A batch whose outcome is not known is
// tried again too, so after an outage records may be there twice. Those of the last moments before
// a process is killed are lost. Loop thread only.
//
// Changes of membership, meshes and invites are not recorded here but in their own transactions.
#pragma once

#include "base/clock.h"
#include "broker/audit_store.h"
#include "broker/metrics.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/task_group.h"

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace nave::broker {

struct AuditLimits {
    std::size_t waiting_max = 20'000;  // records not stored yet, a few hundred bytes each
    std::size_t batch_max = 256;
    std::chrono::milliseconds gather{100};  // how long records wait for others
    std::chrono::milliseconds retry{1'000};
};

class AuditLog {
  public:
    AuditLog(Loop& loop, const Clock& clock, AuditStore& store, TaskGroup& tasks, Logger& logger,
             const ServiceMetrics& metrics, AuditLimits limits = AuditLimits());

    void record(std::string_view mesh_id, std::string_view actor_member_id, AuditEvent event);
    // Stores what waits, at most until the deadline; nothing is recorded any more.
    Task<void> stop(std::chrono::milliseconds deadline);

  private:
    Task<void> run();
    [[nodiscard]] Task<bool> store_batch();
    void drop(std::size_t count);

    Loop& loop_;
    const Clock& clock_;
    AuditStore& store_;
    TaskGroup& tasks_;
    Logger& logger_;
    const ServiceMetrics& metrics_;
    AuditLimits limits_;
    std::vector<AuditEntry> waiting_;
    bool runs_ = false;
    bool stopping_ = false;
    bool full_ = false;
};

}  // namespace nave::broker
