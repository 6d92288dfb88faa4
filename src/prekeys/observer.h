// Observer: the operator's view of the service. A live feed of events (SSE with replay), counters
// since start, and half an hour of history, without key material and, unless asked, addresses.
#pragma once

#include "base/clock.h"
#include "net/sse.h"
#include "prekeys/events.h"
#include "prekeys/privacy.h"
#include "prekeys/store.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nave::prekeys {

// Refreshed in the background, because counting a large table is no work for a request.
struct DirectorySnapshot {
    std::optional<StoreTotals> totals;
    std::vector<LowStockEntry> low_stock;
};

class Observer final : public EventSink {
  public:
    Observer(const Clock& clock, const Pseudonyms& pseudonyms, bool shows_addresses);

    void on_event(const Event& event) override;
    void set_snapshot(DirectorySnapshot snapshot);
    [[nodiscard]] const DirectorySnapshot& snapshot() const { return snapshot_; }

    [[nodiscard]] net::SseChannel& feed() { return feed_; }
    [[nodiscard]] const net::SseChannel& feed() const { return feed_; }

    // JSON members of /api/state that this class knows: totals, counters, lowStock, history.
    [[nodiscard]] std::string state_members(std::int64_t low_threshold);

  private:
    struct Bucket {
        std::int64_t number = -1;  // time / kStepMs
        std::array<std::int64_t, 6> counts{};
        std::int64_t one_time = -1;
        std::int64_t kem_one_time = -1;
    };
    static constexpr std::int64_t kStepMs = 5'000;
    static constexpr std::size_t kBuckets = 360;

    [[nodiscard]] Bucket& bucket_now();
    void count(const Event& event);
    [[nodiscard]] std::string event_json(const Event& event) const;
    void append_totals(std::string& out, std::int64_t low_threshold) const;
    void append_counters(std::string& out) const;
    void append_low_stock(std::string& out) const;
    void append_history(std::string& out) const;

    const Clock& clock_;
    const Pseudonyms& pseudonyms_;
    bool shows_addresses_;
    net::SseChannel feed_;
    DirectorySnapshot snapshot_;
    std::map<std::string, std::int64_t, std::less<>> counters_;
    std::map<std::string, std::int64_t, std::less<>> rate_limited_;
    std::array<Bucket, kBuckets> history_;
};

}  // namespace nave::prekeys
