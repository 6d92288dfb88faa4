// The service's Prometheus series (docs/metrics.md is generated from a running server).
#pragma once

#include "net/request.h"
#include "prekeys/events.h"
#include "prekeys/store.h"
#include "runtime/metrics.h"

#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace nave::prekeys {

class ServiceMetrics final : public EventSink {
  public:
    ServiceMetrics(Metrics& metrics, std::string_view version, std::string_view commit);

    void on_event(const Event& event) override;
    void on_request(std::string_view route, int status, std::chrono::nanoseconds took);
    void on_upload(const UploadOutcome& outcome);
    void on_store_error(std::string_view operation);
    void on_cleanup(UnixMillis at);
    void set_totals(const StoreTotals& totals);
    void set_observer_clients(std::size_t clients);
    void set_key_transparency(std::int64_t tree_size, double checkpoint_age_seconds);

  private:
    struct Route {
        Histogram duration;
        std::map<int, Counter> by_status;
    };
    Metrics& metrics_;
    std::map<std::string, Route, std::less<>> routes_;
    std::map<std::string, Counter, std::less<>> rate_limited_;
    std::map<std::string, Counter, std::less<>> auth_failures_;
    std::map<std::string, Counter, std::less<>> store_errors_;
    Counter issued_[5][3][3];
    Gauge one_time_[2];
    Gauge identities_[5];
    Gauge below_low_, exhausted_, cleanup_last_run_, observer_clients_;
    Gauge tree_size_, checkpoint_age_, witness_cosignatures_;
    Histogram signed_prekey_age_;
    Counter replays_, conflicts_, key_reuse_, depletion_, purged_;
    std::map<std::string, Counter, std::less<>> uploads_;
};

}  // namespace nave::prekeys
