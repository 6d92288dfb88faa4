// Observer: the operator's view of the service. A live feed of events (SSE with replay), counters
// since start, and half an hour of history, without key material and, unless asked, addresses.
#pragma once

#include "base/clock.h"
#include "net/sse.h"
#include "prekeys/events.h"
#include "prekeys/privacy.h"
#include "prekeys/store.h"
#include "runtime/step_history.h"

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
    void count(const Event& event);
    [[nodiscard]] std::string event_json(const Event& event) const;
    void append_totals(std::string& out, std::int64_t low_threshold) const;
    void append_counters(std::string& out) const;
    void append_low_stock(std::string& out) const;

    const Pseudonyms& pseudonyms_;
    bool shows_addresses_;
    net::SseChannel feed_;
    DirectorySnapshot snapshot_;
    std::map<std::string, std::int64_t, std::less<>> counters_;
    std::map<std::string, std::int64_t, std::less<>> rate_limited_;
    StepHistory history_;
};

}  // namespace nave::prekeys
