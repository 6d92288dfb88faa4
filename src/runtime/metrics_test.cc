#include "runtime/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nave {
namespace {

TEST(Metrics, ExposesTextFormat) {
    Metrics metrics;
    const Counter hits = metrics.counter("t_hits_total", "Hits.", {{"route", "/a"}});
    hits.add();
    hits.add(2);
    const Gauge mirrored = metrics.gauge("t_mirror", "Mirrors.");
    metrics.before_exposition([mirrored] { mirrored.set(42); });
    metrics.histogram("t_seconds", "Time.", {0.1, 1}).observe(0.5);
    const std::string text = metrics.exposition();
    EXPECT_THAT(text, testing::HasSubstr("# TYPE t_hits_total counter\n"));
    EXPECT_THAT(text, testing::HasSubstr("t_hits_total{route=\"/a\"} 3\n"));
    EXPECT_THAT(text, testing::HasSubstr("t_mirror 42\n"));
    EXPECT_THAT(text, testing::HasSubstr("t_seconds_bucket{le=\"1\"} 1\n"));
}

TEST(Metrics, SameNameAndLabelsAreOneSeries) {
    Metrics metrics;
    metrics.counter("t_total", "T.", {{"a", "1"}}).add();
    metrics.counter("t_total", "T.", {{"a", "1"}}).add();
    EXPECT_THAT(metrics.exposition(), testing::HasSubstr("t_total{a=\"1\"} 2\n"));
}

TEST(Metrics, ExposesNamesInTheOrderOfTheirDeclaration) {
    Metrics metrics;
    metrics.gauge("t_b", "B.");
    metrics.counter("t_c_total", "C.", {{"a", "1"}});
    metrics.histogram("t_a", "A.", {1});
    metrics.counter("t_c_total", "C.", {{"a", "2"}});
    metrics.gauge("t_0", "0.");
    const std::string text = metrics.exposition();
    const auto at = [&](std::string_view name) {
        return text.find("# TYPE " + std::string(name) + " ");
    };
    EXPECT_LT(at("t_b"), at("t_c_total"));
    EXPECT_LT(at("t_c_total"), at("t_a"));
    EXPECT_LT(at("t_a"), at("t_0"));
    EXPECT_NE(at("t_0"), std::string::npos);
}

}  // namespace
}  // namespace nave
