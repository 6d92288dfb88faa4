#include "prekeys/metrics.h"

#include <fmt/format.h>

namespace nave::prekeys {
namespace {

constexpr std::array kStatuses{OneTimeStatus::issued, OneTimeStatus::exhausted,
                               OneTimeStatus::withheld};
constexpr std::array kKemStatuses{KemStatus::one_time, KemStatus::last_resort, KemStatus::none};
constexpr std::array kLimits{"register", "fetch", "target", "pair", "replenish"};
constexpr std::array kAuthCodes{"SHADE_UNAUTHORIZED", "SHADE_TIMESTAMP_SKEW",
                                "SHADE_BAD_REQUEST_SIGNATURE"};
constexpr std::array kUploadResults{"accepted", "duplicate", "consumed", "conflict"};
constexpr double kDay = 24 * 3600;

std::size_t index(auto value) {
    return static_cast<std::size_t>(value);
}

}  // namespace

ServiceMetrics::ServiceMetrics(Metrics& metrics, std::string_view version, std::string_view commit)
    : metrics_(metrics) {
    // Every series exists from the start: a rate over a counter that appears late misses its first
    // increment.
    for (const Suite suite : kSuites) {
        const std::string name(suite_name(suite));
        identities_[index(suite)] =
            metrics.gauge("shade_identities", "Registered identities.", {{"suite", name}});
        for (const OneTimeStatus one_time : kStatuses) {
            for (const KemStatus kem : kKemStatuses) {
                issued_[index(suite)][index(one_time)][index(kem)] =
                    metrics.counter("shade_bundles_issued_total", "Bundles handed out.",
                                    {{"suite", name},
                                     {"one_time", std::string(status_name(one_time))},
                                     {"kem", std::string(status_name(kem))}});
            }
        }
    }
    for (const std::size_t kind : {0U, 1U}) {
        const std::string name = kind == 0 ? "ec" : "kem";
        one_time_[kind] =
            metrics.gauge("shade_one_time_prekeys", "One-time prekeys in stock.", {{"kind", name}});
        for (const char* result : kUploadResults) {
            uploads_[name + "/" + result] =
                metrics.counter("shade_prekey_uploads_total", "Uploaded one-time prekeys.",
                                {{"kind", name}, {"result", result}});
        }
    }
    for (const char* name : kLimits) {
        rate_limited_[name] = metrics.counter("shade_rate_limited_total", "Requests over a limit.",
                                              {{"limit", name}});
    }
    for (const char* code : kAuthCodes) {
        auth_failures_[code] = metrics.counter("shade_auth_failures_total",
                                               "Requests whose proof failed.", {{"code", code}});
    }
    below_low_ =
        metrics.gauge("shade_identities_below_low_threshold",
                      "Identities with fewer one-time prekeys of a kind than the low threshold.");
    exhausted_ = metrics.gauge("shade_identities_exhausted",
                               "Identities without one-time prekeys of a kind.");
    signed_prekey_age_ = metrics.histogram(
        "shade_signed_prekey_age_seconds", "Age of the signed prekey of each bundle handed out.",
        {kDay, 2 * kDay, 7 * kDay, 14 * kDay, 30 * kDay, 90 * kDay});
    replays_ = metrics.counter("shade_replays_rejected_total", "Signed requests used twice.");
    conflicts_ = metrics.counter("shade_identity_conflicts_total",
                                 "Registrations of a taken address by another identity.");
    key_reuse_ = metrics.counter("shade_identity_key_reuse_total",
                                 "Registrations of one identity key under a further address.");
    depletion_ = metrics.counter("shade_depletion_suspected_total",
                                 "Targets whose one-time prekeys strangers seem to drain.");
    purged_ = metrics.counter("shade_purged_total", "Identities removed as stale.");
    cleanup_last_run_ = metrics.gauge("shade_cleanup_last_run_timestamp_seconds",
                                      "When stale cleanup last finished, 0 for never.");
    observer_clients_ = metrics.gauge("shade_observer_clients", "Open observer event streams.");
    tree_size_ = metrics.gauge("shade_kt_tree_size", "Leaves in the key transparency log.");
    checkpoint_age_ =
        metrics.gauge("shade_kt_checkpoint_age_seconds", "Age of the last signed checkpoint.");
    witness_cosignatures_ = metrics.gauge("shade_kt_witness_cosignatures",
                                          "Witness signatures on the last checkpoint.");
    metrics
        .gauge("shade_build_info", "Always 1.",
               {{"version", std::string(version)}, {"commit", std::string(commit)}})
        .set(1);
}

void ServiceMetrics::on_event(const Event& event) {
    switch (event.type) {
        case EventType::fetched:
            issued_[index(*event.suite)][index(*event.one_time)][index(*event.kem)].add();
            signed_prekey_age_.observe(static_cast<double>(*event.signed_prekey_age_ms) / 1000);
            break;
        case EventType::rate_limited:
        case EventType::key_withheld:
            if (const auto found = rate_limited_.find(event.limit); found != rate_limited_.end()) {
                found->second.add();
            }
            break;
        case EventType::auth_failed:
            if (const auto found = auth_failures_.find(event.limit);
                found != auth_failures_.end()) {
                found->second.add();
            }
            break;
        case EventType::replay_rejected:
            replays_.add();
            break;
        case EventType::identity_conflict:
            conflicts_.add();
            break;
        case EventType::identity_key_reused:
            key_reuse_.add();
            break;
        case EventType::depletion_suspected:
            depletion_.add();
            break;
        case EventType::purged:
            purged_.add(static_cast<double>(event.count.value_or(1)));
            break;
        default:
            break;
    }
}

void ServiceMetrics::on_request(std::string_view route, int status, std::chrono::nanoseconds took) {
    auto found = routes_.find(route);
    if (found == routes_.end()) {
        const std::string name(route);
        Route made;
        made.duration = metrics_.histogram(
            "shade_request_duration_seconds", "Time from a request's head to its response.",
            {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
            {{"route", name}});
        found = routes_.emplace(name, std::move(made)).first;
    }
    Route& entry = found->second;
    auto counter = entry.by_status.find(status);
    if (counter == entry.by_status.end()) {
        counter =
            entry.by_status
                .emplace(status, metrics_.counter("shade_requests_total", "Requests answered.",
                                                  {{"route", std::string(route)},
                                                   {"status", fmt::format("{}", status)}}))
                .first;
    }
    counter->second.add();
    entry.duration.observe(std::chrono::duration<double>(took).count());
}

void ServiceMetrics::on_upload(const UploadOutcome& outcome) {
    const auto add = [this](const std::string& kind, const UploadResults& results) {
        uploads_[kind + "/accepted"].add(static_cast<double>(results.accepted.size()));
        uploads_[kind + "/duplicate"].add(static_cast<double>(results.duplicate.size()));
        uploads_[kind + "/consumed"].add(static_cast<double>(results.consumed.size()));
        uploads_[kind + "/conflict"].add(static_cast<double>(results.conflict.size()));
    };
    add("ec", outcome.one_time);
    add("kem", outcome.kem_one_time);
}

void ServiceMetrics::on_store_error(std::string_view operation) {
    auto found = store_errors_.find(operation);
    if (found == store_errors_.end()) {
        const std::string name(operation);
        found =
            store_errors_
                .emplace(name, metrics_.counter("shade_store_errors_total",
                                                "Requests that storage failed.", {{"op", name}}))
                .first;
    }
    found->second.add();
}

void ServiceMetrics::on_cleanup(UnixMillis at) {
    cleanup_last_run_.set(static_cast<double>(at) / 1000);
}

void ServiceMetrics::set_totals(const StoreTotals& totals) {
    for (const Suite suite : kSuites) {
        identities_[index(suite)].set(
            static_cast<double>(totals.identities_by_suite.at(index(suite))));
    }
    one_time_[0].set(static_cast<double>(totals.one_time));
    one_time_[1].set(static_cast<double>(totals.kem_one_time));
    below_low_.set(static_cast<double>(totals.below_low_threshold));
    exhausted_.set(static_cast<double>(totals.exhausted));
}

void ServiceMetrics::set_observer_clients(std::size_t clients) {
    observer_clients_.set(static_cast<double>(clients));
}

void ServiceMetrics::set_key_transparency(std::int64_t tree_size, double checkpoint_age_seconds) {
    tree_size_.set(static_cast<double>(tree_size));
    checkpoint_age_.set(checkpoint_age_seconds);
}

}  // namespace nave::prekeys
