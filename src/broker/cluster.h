// Cluster: this process as one of several nodes on one PostgreSQL (README.md, "Several nodes").
//
// Every node has a replica of the presences of the others in its registry, marked with their node
// and without a socket. What is in the database counts; the bus makes it prompt: nodes tell each
// other about presences, wake each other's presences when something was stored for them, and hand
// on what is told to everybody in a mesh. Whatever the bus may have lost is read from the database:
// at once when it says so, every second while it is degraded at any node, and now and then anyway.
//
// What comes over the bus is read as if a stranger had written it. Loop thread only.
#pragma once

#include "broker/node_messages.h"
#include "broker/presence_store.h"
#include "bus/bus.h"
#include "runtime/loop.h"

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nave::broker {

class Broker;

class Cluster {
  public:
    Cluster(Broker& broker, Loop& loop, storage::Database& database, bus::Bus& bus,
            std::string node);

    // Before the service starts. Errors of the database and the bus.
    Task<Result<void>> begin();
    void start();
    // After the last socket is closed: the others learn at once that this node is gone.
    Task<void> stop();

    // True while this node hears the others only by polling.
    [[nodiscard]] bool degraded() const { return bus_.state() != bus::BusState::connected; }
    [[nodiscard]] const std::string& node() const { return node_; }

    // The presences of a mesh that has just been loaded.
    Task<Result<void>> learn(std::string mesh_id);
    Task<Result<ArrivalOutcome>> arrive(ArrivalRequest request);
    // After its presence is in the registry: tells the others, also of those that it replaced.
    void arrived(const Presence& presence, const std::vector<PresenceRow>& ended);
    // Its status, profile or lease has changed here.
    void changed(Presence& presence);
    // It ends here: its lease is over, or its member or mesh is.
    void departed(const Presence& presence);
    // Something was stored for a presence of another node.
    void wake(const Presence& presence);
    // To every peer of the mesh that other nodes have.
    void tell(const Presence& except, std::string_view text);
    // To the subscribers of a stream at other nodes.
    void publish_stream(const Presence& publisher, const std::string& stream,
                        std::string_view text);
    // An admin ends the connection of a peer of another node.
    void end_elsewhere(const Presence& presence, EndMessage end);
    // What the peer of another node has acknowledged by way of this one.
    void acknowledge(const Presence& presence, std::vector<std::string> message_ids);
    [[nodiscard]] PresenceRow row_of(const Presence& presence) const;

  private:
    using Time = std::chrono::milliseconds;

    Task<void> beat();
    Task<void> look();
    Task<void> write_changes();
    void start_writing();
    void flush_wakes();
    [[nodiscard]] Task<Result<void>> register_again();
    [[nodiscard]] Task<Result<void>> read_presences();
    [[nodiscard]] Task<Result<void>> poll();
    void publish(const std::string& topic, const NodeMessage& message);

    void on_message(std::string_view payload);
    void on_gap();
    void apply(const PresenceRow& row);
    void update_remote(Presence& presence, const PresenceRow& row);
    void forget(Presence& presence);
    void remove_remote(const std::string& id, std::int64_t version);
    void lose(Presence& presence);
    void end_here(const std::string& id);
    void wake_here(const std::string& id);
    void bury_in_memory(const std::string& node);
    void note_failure(const Error& error);

    Broker& broker_;
    Loop& loop_;
    bus::Bus& bus_;
    std::string node_;
    PresenceStore store_;
    bus::Subscription all_;
    bus::Subscription own_;
    std::map<std::string, PresencePtr> dirty_;
    std::map<std::string, std::int64_t> gone_;  // with the arrivals they had
    bool writing_ = false;
    bool stopped_ = false;
    bool failing_ = false;
    bool others_degraded_ = false;
    bool beat_now_ = false;
    Time until_poll_{0};
    Time until_read_{0};
    // Presences that are no more, with the version they had: news of before must not bring them
    // back. Forgotten after a minute.
    struct Tombstone {
        std::int64_t version = 0;
        SteadyTime at;
    };
    std::unordered_map<std::string, Tombstone> tombstones_;
    std::uint64_t news_ = 0;  // counts what was applied; Presence::heard
    std::map<std::string, std::set<std::string>> wakes_;  // by node
    bool flushing_wakes_ = false;
};

}  // namespace nave::broker
