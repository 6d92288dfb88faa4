// Metrics: the Prometheus registry of one service, text format 0.0.4. Names and labels are
// declared at start-up and pinned by a test; label values come from fixed sets, never from input.
//
// Thin over prometheus-cpp so that services do not see its headers' weight. Counters and gauges
// are handles: cheap to copy, valid as long as the Metrics.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace nave {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Counter {
  public:
    Counter() = default;
    explicit Counter(prometheus::Counter* counter) : counter_(counter) {}
    void add(double amount = 1) const;
    [[nodiscard]] double value() const;

  private:
    prometheus::Counter* counter_ = nullptr;
};

class Gauge {
  public:
    Gauge() = default;
    explicit Gauge(prometheus::Gauge* gauge) : gauge_(gauge) {}
    void set(double value) const;
    [[nodiscard]] double value() const;

  private:
    prometheus::Gauge* gauge_ = nullptr;
};

class Histogram {
  public:
    Histogram() = default;
    explicit Histogram(prometheus::Histogram* histogram) : histogram_(histogram) {}
    void observe(double value) const;

  private:
    prometheus::Histogram* histogram_ = nullptr;
};

class Metrics {
  public:
    Metrics();
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    // Same name and labels give the same series.
    Counter counter(const std::string& name, const std::string& help, const Labels& labels = {});
    Gauge gauge(const std::string& name, const std::string& help, const Labels& labels = {});
    Histogram histogram(const std::string& name, const std::string& help,
                        const std::vector<double>& buckets, const Labels& labels = {});
    // Runs before every exposition, to refresh gauges that mirror other state.
    void before_exposition(std::function<void()> refresh);

    [[nodiscard]] std::string exposition() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace nave
