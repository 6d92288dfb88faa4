// What the metrics have counted, for those who show it otherwise than Prometheus.
#include "broker/metrics.h"

namespace nave::broker {
namespace {

std::int64_t value_of(const Counter& counter) {
    return static_cast<std::int64_t>(counter.value());
}

ReasonCounts counts_of(const std::map<std::string, Counter, std::less<>>& counters) {
    ReasonCounts counts;
    for (const auto& [reason, counter] : counters) {
        counts.emplace_back(reason, value_of(counter));
    }
    return counts;
}

}  // namespace

ServiceTotals ServiceMetrics::totals() const {
    ServiceTotals totals;
    totals.sockets = value_of(connections_);
    for (const Counter& routed : routed_) {
        totals.pushed += value_of(routed);
    }
    totals.settled = value_of(settled_);
    totals.redelivered = value_of(redelivered_);
    totals.rejected = counts_of(rejected_);
    totals.refused = counts_of(refused_);
    return totals;
}

}  // namespace nave::broker
