// The service's Prometheus series (docs/metrics.md). The names of the original first, ours after.
#pragma once

#include "base/result.h"
#include "broker/delivery.h"
#include "runtime/metrics.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nave::broker {

// By reason, in a fixed order; names last as long as the metrics.
using ReasonCounts = std::vector<std::pair<std::string_view, std::int64_t>>;

// What happened since the start.
struct ServiceTotals {
    std::int64_t sockets = 0;
    std::int64_t pushed = 0;
    std::int64_t settled = 0;
    std::int64_t redelivered = 0;
    ReasonCounts rejected;
    ReasonCounts refused;
};

class ServiceMetrics final : public DeliveryObserver {
  public:
    ServiceMetrics(Metrics& metrics, const std::string& version, const std::string& commit);

    void on_socket() const { connections_.add(); }
    // `reason` is one of the fixed ones (handshake.h, metric_reason).
    void on_refused(std::string_view reason) const;
    void set_connected(std::size_t count) const { active_.set(static_cast<double>(count)); }
    void on_rejected(std::string_view reason) const;
    void on_send_refused(const Error& error) const;
    void set_queue_depth(std::int64_t depth) const { depth_.set(static_cast<double>(depth)); }
    void on_ttl_sweep(std::int64_t flipped) const;
    void on_hook() const { hooks_.add(); }
    void on_hook_limited() const { hooks_limited_.add(); }
    void set_database_healthy(bool healthy) const { database_.set(healthy ? 1 : 0); }
    void on_audit_recorded(std::size_t count) const {
        audit_recorded_.add(static_cast<double>(count));
    }
    void on_audit_dropped(std::size_t count) const {
        audit_dropped_.add(static_cast<double>(count));
    }
    void on_pushed(Priority priority, std::size_t peers) override;
    void on_settled(std::size_t pushes) override;
    void on_redelivered() override;
    [[nodiscard]] ServiceTotals totals() const;

  private:
    Counter connections_;
    std::map<std::string, Counter, std::less<>> refused_;
    Gauge active_;
    std::array<Counter, 3> routed_;
    std::map<std::string, Counter, std::less<>> rejected_;
    Gauge depth_;
    std::array<Counter, 11> sweeps_;  // by statuses changed; the last one stands for more
    Counter hooks_;
    Counter hooks_limited_;
    Gauge database_;
    Counter settled_;
    Counter redelivered_;
    Counter audit_recorded_;
    Counter audit_dropped_;
};

}  // namespace nave::broker
