// Delivery: envelopes from acceptance to arrival (README.md, "How an envelope travels"). Decides
// who gets an envelope, stores it, pushes it, reads what waits in the queue, and remembers what has
// arrived. Loop thread only.
#pragma once

#include "base/clock.h"
#include "broker/queue_store.h"
#include "broker/registry.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/task_group.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace nave::broker {

struct DeliveryLimits {
    std::size_t waiting_max = 8'192;  // sends not stored yet, of all peers
    std::size_t waiting_bytes_max = std::size_t{64} << 20;
    std::size_t batch_max = 512;        // sends in one transaction
    std::size_t in_flight_max = 1'024;  // pushes to one peer not settled yet
    std::size_t drain_batch = 64;
    std::int64_t queued_per_key_max = 250'000;  // envelopes waiting for one key that is not there
    std::chrono::milliseconds claim{30'000};    // how long a push may take to settle
    StatusTimes status;
};

// Counted by the service's metrics.
class DeliveryObserver {
  public:
    virtual ~DeliveryObserver() = default;
    virtual void on_pushed(Priority priority) = 0;
    virtual void on_settled() = 0;
    virtual void on_redelivered() = 0;
};

struct DeliveryStats {
    std::size_t waiting = 0;  // sends not stored yet
    std::uint64_t stored = 0;
    std::uint64_t batches = 0;
    std::uint64_t pushed = 0;
    std::uint64_t settled = 0;
    std::uint64_t given_back = 0;
};

class Delivery {
  public:
    // Called once, in order of send() among the sends of one peer: with the stored envelope, or the
    // error. Errors "broker.busy", "broker.queue_full", and those of the database.
    using Stored = std::move_only_function<void(const Result<Appended>&)>;

    Delivery(Loop& loop, const Clock& clock, Registry& registry, QueueStore& store,
             TaskGroup& tasks, Logger& logger, DeliveryObserver& observer,
             DeliveryLimits limits = DeliveryLimits());

    // The envelope has its id, sender, times and contents. `stored` is called after the commit and
    // before any push of it. False when too much is waiting: nothing was taken, `stored` is not
    // called.
    bool send(const Presence& sender, const Target& target, Envelope envelope, Stored stored);

    // Reads the presence's queue again: it has connected, or its status allows more than before.
    void wake(Presence& presence);
    // The socket's answer to ping number `ping`: everything pushed before it has arrived.
    void on_pong(Presence& presence, std::uint64_t ping);
    // client_ack. Either id may be empty.
    void on_ack(Presence& presence, std::string_view broker_message_id,
                std::string_view client_message_id);
    // A session has ended for good: what was sent to many and waits for it goes to its member.
    void rehome(std::string mesh_id, const Key& session_key, const Key& member_key);
    // Before the presence loses its socket: what has not arrived goes back into the queue.
    void on_disconnect(Presence& presence);
    // Takes nothing more, and waits for what is under way to be stored and settled, at most until
    // the deadline. What is not remains for the next process.
    Task<void> stop(std::chrono::milliseconds deadline);
    // Once a second: pushes again what peers that acknowledge have not acknowledged in time.
    void sweep();

    [[nodiscard]] DeliveryStats stats() const { return stats_; }

  private:
    struct Waiting {
        Append append;
        // Whose position the envelope was submitted under; by id, for they may be gone after the
        // commit. On another connection it may not be pushed: what was lost with the former one
        // has to come first.
        struct Receiver {
            std::string presence_id;
            std::uint32_t connection = 0;
        };
        std::optional<Receiver> claimed;
        std::vector<Receiver> live;
        std::vector<std::string> behind;  // connected, but the envelope waits in their queue
        Stored stored;
        std::size_t bytes = 0;
    };

    void address_direct(const Key& key, Waiting& waiting);
    void address_many(const Presence& sender, const Target& target, Waiting& waiting);
    [[nodiscard]] bool allows(const Presence& presence, Priority priority) const;
    [[nodiscard]] bool may_push(Presence& presence, Priority priority) const;
    // An envelope on its way to the sockets: encoded once, named once.
    struct Outgoing {
        net::SharedFrame frame;
        std::shared_ptr<const EnvelopeNames> names;
        Priority priority;
    };
    [[nodiscard]] static Outgoing outgoing(const Envelope& envelope);
    void push(Presence& presence, Sequence sequence, Part::Kind kind, const Key& recipient,
              const Outgoing& outgoing);
    void ping(Presence& presence);
    Task<void> run_pings();
    void arrived(const InFlight& in_flight);
    void returned(const Part& part);
    void live_part_done(Sequence sequence);
    void after_commit(Waiting& waiting, const Appended& appended);
    void after_failure(Waiting& waiting);
    void push_stored(Waiting& waiting, Sequence sequence);
    // The receiver if its connection is still the one.
    [[nodiscard]] Presence* still_there(const Waiting::Receiver& receiver) const;

    void start_lane();
    void start_settling();
    Task<void> run_lane();
    Task<void> store_batch(std::vector<Waiting> batch);
    Task<void> run_settling();
    [[nodiscard]] Task<bool> give_back_returned();
    [[nodiscard]] Task<bool> settle_arrived();
    [[nodiscard]] Task<bool> rehome_waiting();
    Task<void> drain(std::string presence_id);
    [[nodiscard]] ClaimRequest claim_request(const Presence& presence) const;

    Loop& loop_;
    const Clock& clock_;
    Registry& registry_;
    QueueStore& store_;
    TaskGroup& tasks_;
    Logger& logger_;
    DeliveryObserver& observer_;
    DeliveryLimits limits_;

    std::vector<Waiting> waiting_;
    std::size_t waiting_bytes_ = 0;
    bool stopping_ = false;
    bool lane_runs_ = false;
    bool settling_runs_ = false;
    bool pings_run_ = false;
    std::vector<std::string> ping_due_;  // presences
    std::vector<Part> arrived_;
    std::vector<Sequence> finished_;
    std::vector<Part> returned_;
    bool giving_back_ = false;
    struct Rehoming {
        std::string mesh_id;
        Key from{};
        Key to{};
    };
    std::vector<Rehoming> rehomings_;
    // Live parts of envelopes to many that are not settled yet.
    std::unordered_map<Sequence, std::size_t> live_parts_;
    DeliveryStats stats_;
};

}  // namespace nave::broker
