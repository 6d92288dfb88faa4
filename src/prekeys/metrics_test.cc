#include "prekeys/metrics.h"

#include "prekeys/test_keys.h"

#include <gtest/gtest.h>

#include <string>

namespace nave::prekeys {
namespace {

class ServiceMetricsTest : public testing::Test {
  protected:
    // The value of one series, as its line in the exposition says; "" when there is none.
    std::string value(const std::string& series) {
        const std::string text = "\n" + registry_.exposition();
        const auto at = text.find("\n" + series + " ");
        if (at == std::string::npos) {
            return "";
        }
        const auto from = at + series.size() + 2;
        return text.substr(from, text.find('\n', from) - from);
    }
    static Event event(EventType type) {
        Event e;
        e.type = type;
        return e;
    }

    Metrics registry_;
    ServiceMetrics metrics_{registry_, "1.2.3", "abc"};
};

// A rate over a counter that appears with its first increment misses that increment.
TEST_F(ServiceMetricsTest, SeriesExistFromTheStart) {
    for (
        const char* series :
        {R"(shade_bundles_issued_total{kem="none",one_time="issued",suite="x3dh-ed25519"})",
         R"(shade_bundles_issued_total{kem="last_resort",one_time="withheld",suite="pqxdh-xeddsa"})",
         R"(shade_one_time_prekeys{kind="ec"})",
         R"(shade_one_time_prekeys{kind="kem"})",
         R"(shade_identities{suite="pqxdh-ed25519"})",
         "shade_identities_below_low_threshold",
         "shade_identities_exhausted",
         "shade_signed_prekey_age_seconds_count",
         R"(shade_prekey_uploads_total{kind="kem",result="conflict"})",
         R"(shade_rate_limited_total{limit="target"})",
         R"(shade_auth_failures_total{code="SHADE_TIMESTAMP_SKEW"})",
         "shade_replays_rejected_total",
         "shade_identity_conflicts_total",
         "shade_identity_key_reuse_total",
         "shade_depletion_suspected_total",
         "shade_purged_total",
         "shade_cleanup_last_run_timestamp_seconds",
         "shade_observer_clients",
         "shade_kt_tree_size",
         "shade_kt_checkpoint_age_seconds",
         "shade_kt_witness_cosignatures"}) {
        EXPECT_EQ(value(series), "0") << series;
    }
    EXPECT_EQ(value(R"(shade_build_info{commit="abc",version="1.2.3"})"), "1");
}

TEST_F(ServiceMetricsTest, EventsAreCounted) {
    Event fetched = event(EventType::fetched);
    fetched.suite = Suite::pqxdh_xeddsa;
    fetched.one_time = OneTimeStatus::withheld;
    fetched.kem = KemStatus::last_resort;
    fetched.signed_prekey_age_ms = 2'000;
    metrics_.on_event(fetched);
    EXPECT_EQ(
        value(
            R"(shade_bundles_issued_total{kem="last_resort",one_time="withheld",suite="pqxdh-xeddsa"})"),
        "1");
    EXPECT_EQ(value("shade_signed_prekey_age_seconds_sum"), "2");
    for (const EventType type : {EventType::rate_limited, EventType::key_withheld}) {
        Event limited = event(type);
        limited.limit = "pair";
        metrics_.on_event(limited);
    }
    EXPECT_EQ(value(R"(shade_rate_limited_total{limit="pair"})"), "2");
    Event failed = event(EventType::auth_failed);
    failed.limit = "SHADE_UNAUTHORIZED";
    metrics_.on_event(failed);
    failed.limit = "made up";
    metrics_.on_event(failed);
    EXPECT_EQ(value(R"(shade_auth_failures_total{code="SHADE_UNAUTHORIZED"})"), "1");
    EXPECT_FALSE(registry_.exposition().contains("made up")) << "labels come from fixed sets";
    for (const EventType type : {EventType::replay_rejected, EventType::identity_conflict,
                                 EventType::identity_key_reused, EventType::depletion_suspected}) {
        metrics_.on_event(event(type));
    }
    EXPECT_EQ(value("shade_replays_rejected_total"), "1");
    EXPECT_EQ(value("shade_identity_conflicts_total"), "1");
    EXPECT_EQ(value("shade_identity_key_reuse_total"), "1");
    EXPECT_EQ(value("shade_depletion_suspected_total"), "1");
    Event purged = event(EventType::purged);
    purged.count = 505;
    metrics_.on_event(purged);
    EXPECT_EQ(value("shade_purged_total"), "505");
}

TEST_F(ServiceMetricsTest, UploadsByOutcome) {
    UploadOutcome outcome;
    outcome.one_time = {{1, 2, 3}, {4}, {5, 6}, {}};
    outcome.kem_one_time.conflict = {9};
    metrics_.on_upload(outcome);
    metrics_.on_upload(outcome);
    EXPECT_EQ(value(R"(shade_prekey_uploads_total{kind="ec",result="accepted"})"), "6");
    EXPECT_EQ(value(R"(shade_prekey_uploads_total{kind="ec",result="duplicate"})"), "2");
    EXPECT_EQ(value(R"(shade_prekey_uploads_total{kind="ec",result="consumed"})"), "4");
    EXPECT_EQ(value(R"(shade_prekey_uploads_total{kind="ec",result="conflict"})"), "0");
    EXPECT_EQ(value(R"(shade_prekey_uploads_total{kind="kem",result="conflict"})"), "2");
}

TEST_F(ServiceMetricsTest, RequestsByRouteAndStatus) {
    metrics_.on_request("/v1/keys/bundle/{address}", 200, std::chrono::milliseconds(2));
    metrics_.on_request("/v1/keys/bundle/{address}", 200, std::chrono::milliseconds(2));
    metrics_.on_request("/v1/keys/bundle/{address}", 429, std::chrono::milliseconds(2));
    metrics_.on_store_error("claim");
    EXPECT_EQ(value(R"(shade_requests_total{route="/v1/keys/bundle/{address}",status="200"})"),
              "2");
    EXPECT_EQ(value(R"(shade_requests_total{route="/v1/keys/bundle/{address}",status="429"})"),
              "1");
    EXPECT_EQ(value(R"(shade_request_duration_seconds_count{route="/v1/keys/bundle/{address}"})"),
              "3");
    EXPECT_EQ(value(R"(shade_store_errors_total{op="claim"})"), "1");
}

TEST_F(ServiceMetricsTest, GaugesMirrorTheDirectory) {
    StoreTotals totals;
    totals.identities_by_suite = {0, 1, 2, 3, 4};
    totals.one_time = 50;
    totals.kem_one_time = 5;
    totals.below_low_threshold = 6;
    totals.exhausted = 2;
    metrics_.set_totals(totals);
    metrics_.on_cleanup(1'700'000'000'000);
    metrics_.set_observer_clients(3);
    metrics_.set_key_transparency(9, 1.5);
    EXPECT_EQ(value(R"(shade_identities{suite="x3dh-xeddsa"})"), "4");
    EXPECT_EQ(value(R"(shade_one_time_prekeys{kind="ec"})"), "50");
    EXPECT_EQ(value(R"(shade_one_time_prekeys{kind="kem"})"), "5");
    EXPECT_EQ(value("shade_identities_below_low_threshold"), "6");
    EXPECT_EQ(value("shade_identities_exhausted"), "2");
    EXPECT_EQ(value("shade_cleanup_last_run_timestamp_seconds"), "1700000000");
    EXPECT_EQ(value("shade_observer_clients"), "3");
    EXPECT_EQ(value("shade_kt_tree_size"), "9");
    EXPECT_EQ(value("shade_kt_checkpoint_age_seconds"), "1.5");
}

}  // namespace
}  // namespace nave::prekeys
