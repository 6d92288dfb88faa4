#include "runtime/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <unordered_map>

namespace nave {

struct Metrics::State {
    prometheus::Registry registry;
    std::vector<std::function<void()>> refreshers;
    // Names are exposed in the order in which they were declared.
    std::unordered_map<std::string, std::size_t> places;

    void declare(const std::string& name) { places.emplace(name, places.size()); }
};

namespace {

prometheus::Labels to_labels(const Labels& labels) {
    return {labels.begin(), labels.end()};
}

}  // namespace

void Counter::add(double amount) const {
    counter_->Increment(amount);
}
double Counter::value() const {
    return counter_->Value();
}
void Gauge::set(double value) const {
    gauge_->Set(value);
}
double Gauge::value() const {
    return gauge_->Value();
}
void Histogram::observe(double value) const {
    histogram_->Observe(value);
}

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Counter Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
    state_->declare(name);
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(state_->registry);
    return Counter(&family.Add(to_labels(labels)));
}

Gauge Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
    state_->declare(name);
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(state_->registry);
    return Gauge(&family.Add(to_labels(labels)));
}

Histogram Metrics::histogram(const std::string& name, const std::string& help,
                             const std::vector<double>& buckets, const Labels& labels) {
    state_->declare(name);
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(state_->registry);
    return Histogram(&family.Add(to_labels(labels), buckets));
}

void Metrics::before_exposition(std::function<void()> refresh) {
    state_->refreshers.push_back(std::move(refresh));
}

std::string Metrics::exposition() const {
    for (const auto& refresh : state_->refreshers) {
        refresh();
    }
    auto families = state_->registry.Collect();
    std::ranges::sort(families, {}, [&](const prometheus::MetricFamily& family) {
        return state_->places.at(family.name);
    });
    return prometheus::TextSerializer().Serialize(families);
}

}  // namespace nave
