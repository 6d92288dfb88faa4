#include "broker/metrics.h"

#include "broker/handshake.h"

#include <algorithm>

namespace nave::broker {
namespace {

constexpr std::array kRejections{"parse_or_handler", "rate_limit", "too_large",
                                 "no_recipient",     "busy",       "queue_full"};

}  // namespace

ServiceMetrics::ServiceMetrics(Metrics& metrics, const std::string& version,
                               const std::string& commit) {
    // Every series exists from the start: a rate over a counter that appears late misses its first
    // increment.
    connections_ = metrics.counter("broker_connections_total", "Sockets accepted.");
    std::vector<std::string> reasons{"no_hello"};
    for (int i = 0; i <= static_cast<int>(HelloRefusal::session_bad_signature); ++i) {
        reasons.emplace_back(refusal_form(static_cast<HelloRefusal>(i)).metric_reason);
    }
    for (const std::string& reason : reasons) {
        refused_[reason] = metrics.counter("broker_connections_rejected_total",
                                           "Hellos refused, by reason.", {{"reason", reason}});
    }
    active_ = metrics.gauge("broker_connections_active", "Connected peers.");
    for (const Priority priority : {Priority::now, Priority::next, Priority::low}) {
        routed_[static_cast<std::size_t>(priority)] =
            metrics.counter("broker_messages_routed_total", "Envelopes pushed to a peer.",
                            {{"priority", std::string(priority_name(priority))}});
    }
    for (const char* reason : kRejections) {
        rejected_[reason] = metrics.counter("broker_messages_rejected_total",
                                            "Messages refused, by reason.", {{"reason", reason}});
    }
    depth_ = metrics.gauge("broker_queue_depth", "Envelopes not delivered yet.");
    for (std::size_t i = 0; i < sweeps_.size(); ++i) {
        const std::string flipped = i + 1 < sweeps_.size() ? std::to_string(i) : "10+";
        sweeps_[i] = metrics.counter("broker_ttl_sweeps_total",
                                     "Status sweeps, by the number of peers they made idle.",
                                     {{"flipped", flipped}});
    }
    hooks_ = metrics.counter("broker_hook_requests_total", "Hook calls.");
    hooks_limited_ =
        metrics.counter("broker_hook_requests_rate_limited_total", "Hook calls over the limit.");
    database_ = metrics.gauge("broker_db_healthy", "1 while the database can be used.");
    settled_ = metrics.counter("broker_messages_settled_total",
                               "Pushes known to have arrived at their peer.");
    redelivered_ = metrics.counter("broker_messages_redelivered_total",
                                   "Envelopes pushed again to a peer that acknowledges.");
    audit_recorded_ = metrics.counter("broker_audit_recorded_total",
                                      "Audit records stored apart from what they are about.");
    audit_dropped_ =
        metrics.counter("broker_audit_dropped_total", "Audit records that could not be stored.");
    metrics
        .gauge("broker_build_info", "Version and commit; always 1.",
               {{"version", version}, {"commit", commit}})
        .set(1);
}

void ServiceMetrics::on_refused(std::string_view reason) const {
    const auto found = refused_.find(reason);
    if (found != refused_.end()) {
        found->second.add();
    }
}

void ServiceMetrics::on_rejected(std::string_view reason) const {
    const auto found = rejected_.find(reason);
    if (found != rejected_.end()) {
        found->second.add();
    }
}

void ServiceMetrics::on_send_refused(const Error& error) const {
    const bool counted_by_id = rejected_.contains(error.id);
    on_rejected(counted_by_id ? std::string_view(error.id) : "parse_or_handler");
}

void ServiceMetrics::on_ttl_sweep(std::int64_t flipped) const {
    const auto index = std::min(static_cast<std::size_t>(flipped), sweeps_.size() - 1);
    sweeps_[index].add();
}

void ServiceMetrics::on_pushed(Priority priority, std::size_t peers) {
    routed_[static_cast<std::size_t>(priority)].add(static_cast<double>(peers));
}

void ServiceMetrics::on_settled(std::size_t pushes) {
    settled_.add(static_cast<double>(pushes));
}

void ServiceMetrics::on_redelivered() {
    redelivered_.add();
}

}  // namespace nave::broker
