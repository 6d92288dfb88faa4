// Observer: the operator's view of the broker. A state, and a live feed (SSE): events with ids,
// which a reader that was away gets again, and once a second a `tick` with the figures and the rows
// that changed, which it does not: the state has them. Never what envelopes, shared state, memories
// or summaries say. Loop thread only.
//
// Events come of comparing what is there with what was there a second ago, so that the feed cannot
// contradict the state and the rest of the broker knows nothing of it. Who comes and goes within
// one second is not told.
#pragma once

#include "broker/broker.h"
#include "broker/observer_rows.h"
#include "net/sse.h"
#include "runtime/step_history.h"
#include "storage/database.h"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nave::broker {

struct ServerIdentity {
    std::string version;
    std::string commit;
    std::string boot_id;  // another one with every start
    UnixMillis started_at = 0;
};

class Observer {
  public:
    // Rows in a state; what is beyond is only counted. Slow peers come first.
    static constexpr std::size_t kPeersListed = 300;
    static constexpr std::size_t kMeshesListed = 200;
    // In one tick. Rows that find no place are in the next ones, or in the next state.
    static constexpr std::size_t kRowsPerTick = 100;
    static constexpr std::size_t kEventsPerTick = 100;

    Observer(Broker& broker, storage::Database& database, ServerIdentity identity);

    // Reads the list of meshes and what waits for them, unless that was done within `age` or costs
    // so much that it should wait longer. Errors of the database; what was known stays.
    Task<Result<void>> refresh(std::chrono::milliseconds age);
    // Once a second.
    void tick();
    // Keys that may not be sent to, as delivery now knows them.
    void on_backlogs(const std::vector<Backlog>& backlogs);

    [[nodiscard]] std::string state_json() const;
    [[nodiscard]] net::SseChannel& feed() { return feed_; }

  private:
    // A peer as it was a second ago, and how to call it when it is gone.
    struct Seen {
        std::string mesh;
        std::string name;
        std::string key;
        PeerSight sight;
        bool told = false;  // it stands like this in a tick
        std::uint64_t tick = 0;
    };
    struct Changes {
        std::string rows;
        std::size_t row_count = 0;
        std::string gone;
        std::size_t gone_count = 0;
    };
    class Event;

    void publish(const Event& event);
    void look_at_peers(Changes& changes);
    void tell_changes(const Presence& peer, const Seen& before, const PeerSight& now);
    void count_traffic();
    void tell_storage();
    void tell_meshes(const std::vector<Mesh>& now);
    [[nodiscard]] std::string slug_of(const std::string& mesh_id) const;
    [[nodiscard]] std::map<std::string, MeshCount> count_peers() const;
    [[nodiscard]] std::string figures_json() const;
    // By mesh id, in the order of importance.
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> mesh_rows() const;
    // Of those, the ones that are not as they were when this was asked last.
    [[nodiscard]] std::string changed_mesh_rows();
    [[nodiscard]] std::string peer_rows_json() const;
    [[nodiscard]] std::string limits_json() const;

    Broker& broker_;
    storage::Database& database_;
    const ServerIdentity identity_;
    net::SseChannel feed_;
    StepHistory history_;
    std::uint64_t tick_ = 0;
    std::size_t events_left_ = kEventsPerTick;  // of this tick
    std::size_t events_skipped_ = 0;
    std::unordered_map<std::string, Seen> seen_;
    std::map<std::string, std::string> mesh_rows_;  // as last told
    ServiceTotals totals_;                          // at the last tick
    bool was_healthy_ = true;
    std::set<std::pair<std::string, Key>> over_limit_;

    // As last read.
    std::vector<Mesh> meshes_;  // not archived, the oldest first
    std::map<std::string, MeshQueue> queues_;
    std::optional<UnixMillis> read_at_;
    SteadyTime next_read_{};
    bool reading_ = false;
};

}  // namespace nave::broker
