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
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace nave::broker {

struct DeliveryLimits {
    std::size_t waiting_max = 8'192;  // sends not stored yet, of all peers
    std::size_t waiting_bytes_max = std::size_t{64} << 20;
    std::size_t batch_max = 512;                        // sends in one transaction
    std::size_t in_flight_max = 1'024;                  // pushes to one peer not settled yet
    std::size_t buffered_max = std::size_t{512} << 10;  // bytes its kernel has not taken
    std::size_t drain_batch = 64;
    std::int64_t queued_per_key_max = 250'000;  // direct envelopes waiting for one key
    std::chrono::milliseconds claim{30'000};    // how long a push may take to settle
    StatusTimes status;
};

// Counted by the service's metrics.
class DeliveryObserver {
  public:
    virtual ~DeliveryObserver() = default;
    virtual void on_pushed(Priority priority, std::size_t peers) = 0;
    virtual void on_settled(std::size_t pushes) = 0;
    virtual void on_redelivered() = 0;
};

class Delivery {
  public:
    // Called once, in order of send() among the sends of one peer: with the stored envelope, or the
    // error of the database.
    using Stored = std::move_only_function<void(const Result<Appended>&)>;

    Delivery(Loop& loop, const Clock& clock, Registry& registry, QueueStore& store,
             TaskGroup& tasks, Logger& logger, DeliveryObserver& observer,
             DeliveryLimits limits = DeliveryLimits());

    // Whose envelope it is. A presence does not get its own broadcasts.
    struct Sender {
        std::string_view mesh_id;
        const Key& member_key;
        const Presence* presence;  // null: it has none
    };

    // The envelope has its id, sender, times and contents. `stored` is called after the commit and
    // before any push of it. Errors "busy" when too much is waiting or the service stops, and
    // "queue_full": nothing was taken, `stored` is not called.
    [[nodiscard]] Result<void> send(const Sender& sender, const Target& target, Envelope envelope,
                                    Stored stored);

    // Reads the presence's queue again: it has connected, or its status allows more than before.
    void wake(Presence& presence);
    // Given what wakes a presence of another node.
    void set_wake_elsewhere(std::function<void(const Presence&)> wake) {
        wake_elsewhere_ = std::move(wake);
    }
    // The socket's answer to ping number `ping`: everything pushed before it has arrived.
    void on_pong(Presence& presence, std::uint64_t ping);
    // client_ack. Either id may be empty.
    void on_ack(Presence& presence, std::string_view broker_message_id,
                std::string_view client_message_id);
    void share(Sharing sharing);
    // Before the presence loses its socket: what has not arrived goes back into the queue.
    void on_disconnect(Presence& presence);
    // Keys that may not be sent to, because of what waits for them already.
    void set_backlogs(std::vector<Backlog> backlogs);
    // Takes nothing more, and waits for what is under way to be stored and settled, at most until
    // the deadline. What is not remains for the next process.
    Task<void> stop(std::chrono::milliseconds deadline);
    // Now and then: direct envelopes whose claim has ended without any answer, as after a failure
    // of the database, are read again.
    Task<void> release_overdue();
    // Once a second: pushes again what peers that acknowledge have not acknowledged in time.
    void sweep();

    // Sends not stored yet.
    [[nodiscard]] std::size_t waiting() const { return waiting_.size() + in_batch_; }

  private:
    // An envelope on its way to the sockets: encoded once, named once.
    struct Outgoing {
        net::SharedFrame frame;
        PushedEnvelopePtr envelope;
    };
    // Under whose connection the envelope was submitted: on another one it may not be pushed, what
    // was lost with the former has to come first.
    struct Receiver {
        PresencePtr peer;
        std::uint32_t connection = 0;
    };
    struct Waiting {
        Append append;
        Priority priority = Priority::next;
        std::optional<Key> direct_to;
        std::vector<Receiver> ready;       // pushed to once stored
        std::optional<Outgoing> outgoing;  // for those
        std::vector<PresencePtr> behind;   // connected, but the envelope waits in their queue
        Stored stored;
        std::size_t bytes = 0;
    };
    struct Returned {
        Part part;
        PushedEnvelopePtr envelope;
        std::string mesh_id;
    };

    // ---- delivery.cc: accepting and storing
    void address_direct(const Key& key, Waiting& waiting);
    void address_many(const Sender& sender, const Target& target, Waiting& waiting);
    void make_ready(Presence& peer, Waiting& waiting);
    void put_behind(Presence& peer, Waiting& waiting);
    [[nodiscard]] bool allows(const Presence& presence, Priority priority, UnixMillis now) const;
    [[nodiscard]] bool has_room(const Presence& presence) const;
    [[nodiscard]] bool may_push(Presence& presence, Priority priority, UnixMillis now) const;
    [[nodiscard]] Outgoing outgoing(const Envelope& envelope);
    Task<void> let_catch_up();
    [[nodiscard]] bool bring_forward(Presence& presence);
    Task<void> run_lane();
    Task<void> store_batch(std::vector<Waiting> batch, bool clear);
    [[nodiscard]] Task<Result<std::vector<Appended>>> append(std::vector<Waiting>& batch);
    void push_stored(const Waiting& waiting, Sequence sequence);
    void release_behind(const Waiting& waiting);
    [[nodiscard]] Task<bool> resolve_doubts();

    // ---- delivery_push.cc: pushing, arriving, going back
    void push(Presence& presence, const Outgoing& outgoing, Part::Kind kind, const Key& recipient,
              UnixMillis now);
    void ping(Presence& presence);
    void ping_later(Presence& presence);
    Task<void> run_pings();
    void arrived(const Presence& presence, const InFlight& in_flight);
    void live_part_done(PushedEnvelope& envelope);
    void give_back(const Part& part, PushedEnvelopePtr envelope, const std::string& mesh_id);
    void start_settling();
    Task<void> run_settling();
    [[nodiscard]] Task<bool> give_back_returned();
    [[nodiscard]] Task<bool> settle_arrived();
    [[nodiscard]] Task<bool> share_waiting();

    // ---- delivery_drain.cc: reading the queue
    // Something for these keys is in the database that goes before what is sent from now on.
    void read_again(const std::vector<Backlog>& keys);
    [[nodiscard]] bool awaits_returned(const Presence& presence) const;
    Task<void> drain(PresencePtr presence);
    [[nodiscard]] static bool has_caught_up(Presence& presence, bool only_urgent);
    [[nodiscard]] ClaimRequest claim_request(const Presence& presence) const;
    // What a claim may yield although the peer has it: the database was away, and does not know.
    [[nodiscard]] std::vector<Part> arrived_unknown(const Presence& presence) const;
    void push_claimed(Presence& presence, const std::vector<ClaimedEnvelope>& claimed,
                      const std::vector<Part>& arrived, std::uint32_t connection);

    Loop& loop_;
    const Clock& clock_;
    Registry& registry_;
    QueueStore& store_;
    TaskGroup& tasks_;
    Logger& logger_;
    DeliveryObserver& observer_;
    DeliveryLimits limits_;
    std::function<void(const Presence&)> wake_elsewhere_;

    net::SharedFrames frames_;  // pushes
    std::deque<Waiting> waiting_;
    std::size_t in_batch_ = 0;
    std::size_t waiting_bytes_ = 0;
    std::unordered_map<std::string, std::unordered_set<Key, KeyHash>> full_;  // by mesh
    bool stopping_ = false;
    std::uint64_t submitted_ = 0;  // sends taken into the lane, ever
    std::uint64_t passed_ = 0;     // of them, those that are stored or refused
    std::uint64_t batches_ = 0;    // transactions of the lane, ever
    std::size_t catching_up_ = 0;  // presences that the lane pauses for
    bool lane_runs_ = false;
    bool settling_runs_ = false;
    bool pings_run_ = false;
    std::vector<PresencePtr> ping_due_;
    std::vector<Part> arrived_;
    std::vector<Part> settling_;  // being told to the database
    bool settle_fails_ = false;
    std::vector<Sequence> finished_;
    std::vector<Returned> returned_;
    std::unordered_map<Key, std::size_t, KeyHash> being_returned_;  // parts, by recipient
    struct DueSharing {
        Sharing sharing;
        std::uint64_t after = 0;  // not before so many sends have passed the lane
    };
    std::vector<DueSharing> sharings_;
    // Envelopes whose commit had no answer: they may be in the database, claimed for somebody.
    std::vector<std::string> in_doubt_;
};

}  // namespace nave::broker
