#include "broker/audit_log.h"

#include "broker/running.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace nave::broker {
namespace {

// Another try may end otherwise.
bool is_passing(const Error& error) {
    return error.code == Code::unavailable || error.code == Code::timeout ||
           error.code == Code::cancelled;
}

}  // namespace

AuditLog::AuditLog(Loop& loop, const Clock& clock, AuditStore& store, TaskGroup& tasks,
                   Logger& logger, const ServiceMetrics& metrics, AuditLimits limits)
    : loop_(loop),
      clock_(clock),
      store_(store),
      tasks_(tasks),
      logger_(logger),
      metrics_(metrics),
      limits_(limits) {}

void AuditLog::record(std::string_view mesh_id, std::string_view actor_member_id,
                      AuditEvent event) {
    if (stopping_) {
        return;
    }
    if (waiting_.size() >= limits_.waiting_max) {
        drop(1);
        if (!std::exchange(full_, true)) {
            logger_.warn("audit records are dropped", {{"waiting", waiting_.size()}});
        }
        return;
    }
    full_ = false;
    waiting_.push_back(
        {std::string(mesh_id), std::string(actor_member_id), std::move(event), clock_.now()});
    if (!runs_) {
        runs_ = true;
        tasks_.spawn("audit", run());
    }
}

void AuditLog::drop(std::size_t count) {
    metrics_.on_audit_dropped(count);
}

Task<void> AuditLog::run() {
    const Running running(runs_);
    bool stored = true;
    while (!waiting_.empty()) {
        if (!stored && stopping_) {
            co_return;
        }
        if (!stored) {
            co_await loop_.sleep(limits_.retry);
        } else if (waiting_.size() < limits_.batch_max && !stopping_) {
            co_await loop_.sleep(limits_.gather);
        }
        stored = co_await store_batch();
    }
}

// False when it is to be tried again.
Task<bool> AuditLog::store_batch() {
    const std::size_t count = std::min(waiting_.size(), limits_.batch_max);
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<AuditEntry> batch(waiting_.begin(), end);
    const auto done = co_await store_.append(std::move(batch));
    if (!done && is_passing(done.error())) {
        co_return false;
    }
    if (done) {
        metrics_.on_audit_recorded(count);
    } else {
        logger_.failure(LogLevel::error, "cannot store audit records", done.error());
        drop(count);
    }
    // Only the end has changed meanwhile.
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    co_return true;
}

Task<void> AuditLog::stop(std::chrono::milliseconds deadline) {
    constexpr std::chrono::milliseconds kStep{2};
    stopping_ = true;
    for (auto waited = std::chrono::milliseconds{0}; runs_ && waited < deadline; waited += kStep) {
        co_await loop_.sleep(kStep);
    }
    if (!waiting_.empty()) {
        logger_.warn("audit records are lost", {{"count", waiting_.size()}});
        drop(waiting_.size());
    }
}

}  // namespace nave::broker
