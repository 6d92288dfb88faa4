#include "broker/delivery.h"

#include "broker/errors.h"
#include "broker/wire.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace nave::broker {
namespace {

constexpr std::chrono::milliseconds kPingDelay{20};
constexpr std::size_t kPingAfter = 64;  // pushes without an answer that call for a ping at once
constexpr std::chrono::milliseconds kGiveBackWait{2};
constexpr std::chrono::milliseconds kRetry{1'000};  // after the database has failed

// Resets a flag however a coroutine ends.
class Running {
  public:
    explicit Running(bool& flag) : flag_(flag) { flag_ = true; }
    ~Running() { flag_ = false; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

  private:
    bool& flag_;
};

bool is_in_flight(const Presence& presence, const Part& part) {
    return std::ranges::any_of(presence.in_flight, [&](const InFlight& one) {
        return one.sequence == part.sequence && one.recipient == part.recipient;
    });
}

std::size_t bytes_of(const Envelope& envelope) {
    return sizeof(Envelope) + envelope.ciphertext.size() + envelope.nonce.size() +
           envelope.target_spec.size();
}

}  // namespace

Delivery::Delivery(Loop& loop, const Clock& clock, Registry& registry, QueueStore& store,
                   TaskGroup& tasks, Logger& logger, DeliveryObserver& observer,
                   DeliveryLimits limits)
    : loop_(loop),
      clock_(clock),
      registry_(registry),
      store_(store),
      tasks_(tasks),
      logger_(logger),
      observer_(observer),
      limits_(limits) {}

// ---- accepting ----

bool Delivery::allows(const Presence& presence, Priority priority) const {
    return deliverable(at_delivery(presence.status, clock_.now(), limits_.status).status, priority);
}

bool Delivery::may_push(Presence& presence, Priority priority) const {
    return presence.connected() && presence.position(priority).caught_up &&
           allows(presence, priority) && presence.in_flight.size() < limits_.in_flight_max;
}

// To one key: of the peers that have it, the one that can take it at once, else it waits for
// whichever comes first.
void Delivery::address_direct(const Key& key, Waiting& waiting) {
    const Envelope& envelope = waiting.append.envelope;
    waiting.append.recipient = key;
    const std::vector<Presence*> peers = registry_.with_key(envelope.mesh_id, key);
    const auto ready = std::ranges::find_if(
        peers, [&](Presence* peer) { return may_push(*peer, envelope.priority); });
    if (ready != peers.end()) {
        waiting.append.claimed_by = (*ready)->id;
        waiting.append.claimed_until = clock_.now() + limits_.claim.count();
        waiting.claimed = Waiting::Receiver{(*ready)->id, (*ready)->connection};
        return;
    }
    for (Presence* peer : peers) {
        peer->position(envelope.priority).being_stored += 1;
        peer->position(envelope.priority).caught_up = false;
        waiting.behind.push_back(peer->id);
    }
}

void Delivery::address_many(const Presence& sender, const Target& target, Waiting& waiting) {
    const Envelope& envelope = waiting.append.envelope;
    for (Presence* peer : registry_.peers_of(sender, target)) {
        if (may_push(*peer, envelope.priority)) {
            waiting.append.live.push_back(peer->key());
            waiting.live.push_back({peer->id, peer->connection});
            continue;
        }
        peer->position(envelope.priority).being_stored += 1;
        peer->position(envelope.priority).caught_up = false;
        waiting.append.absent.push_back(peer->key());
        waiting.behind.push_back(peer->id);
    }
    const std::vector<Key> absent = registry_.absent_of(sender, target);
    waiting.append.absent.insert(waiting.append.absent.end(), absent.begin(), absent.end());
}

bool Delivery::send(const Presence& sender, const Target& target, Envelope envelope,
                    Stored stored) {
    const std::size_t bytes = bytes_of(envelope);
    if (stopping_ || waiting_.size() >= limits_.waiting_max ||
        waiting_bytes_ + bytes > limits_.waiting_bytes_max) {
        return false;
    }
    Waiting waiting;
    waiting.append.envelope = std::move(envelope);
    waiting.stored = std::move(stored);
    waiting.bytes = bytes;
    if (const Key* key = std::get_if<Key>(&target)) {
        address_direct(*key, waiting);
    } else {
        address_many(sender, target, waiting);
    }
    waiting_bytes_ += bytes;
    waiting_.push_back(std::move(waiting));
    start_lane();
    return true;
}

// ---- storing ----

void Delivery::start_lane() {
    if (!lane_runs_) {
        lane_runs_ = true;
        tasks_.spawn("send lane", run_lane());
    }
}

Task<void> Delivery::run_lane() {
    const Running running(lane_runs_);
    while (!waiting_.empty()) {
        const auto count =
            static_cast<std::ptrdiff_t>(std::min(waiting_.size(), limits_.batch_max));
        std::vector<Waiting> batch(std::make_move_iterator(waiting_.begin()),
                                   std::make_move_iterator(waiting_.begin() + count));
        waiting_.erase(waiting_.begin(), waiting_.begin() + count);
        co_await store_batch(std::move(batch));
    }
}

Task<void> Delivery::store_batch(std::vector<Waiting> batch) {
    std::vector<Append> appends;
    appends.reserve(batch.size());
    for (const Waiting& waiting : batch) {
        appends.push_back(waiting.append);
    }
    const auto outcome = co_await store_.append(std::move(appends));
    stats_.batches += 1;
    for (std::size_t i = 0; i < batch.size(); ++i) {
        waiting_bytes_ -= batch[i].bytes;
        if (outcome) {
            after_commit(batch[i], (*outcome)[i]);
        } else {
            batch[i].stored(std::unexpected(outcome.error()));
            after_failure(batch[i]);
        }
    }
}

// The envelopes behind a presence's position are in the database now: read them from there.
void Delivery::after_failure(Waiting& waiting) {
    for (const std::string& id : waiting.behind) {
        if (Presence* peer = registry_.find(id)) {
            peer->position(waiting.append.envelope.priority).being_stored -= 1;
            wake(*peer);
        }
    }
}

void Delivery::after_commit(Waiting& waiting, const Appended& appended) {
    stats_.stored += appended.repeated ? 0 : 1;
    waiting.stored(appended);
    if (!appended.repeated) {
        push_stored(waiting, appended.sequence);
    }
    after_failure(waiting);
}

Presence* Delivery::still_there(const Waiting::Receiver& receiver) const {
    Presence* peer = registry_.find(receiver.presence_id);
    const bool same =
        peer != nullptr && peer->connected() && peer->connection == receiver.connection;
    return same ? peer : nullptr;
}

void Delivery::push_stored(Waiting& waiting, Sequence sequence) {
    const Envelope& envelope = waiting.append.envelope;
    if (!waiting.claimed && waiting.live.empty()) {
        return;
    }
    const Outgoing out = outgoing(envelope);
    const auto push_or_return = [&](const Waiting::Receiver& receiver, Part::Kind kind,
                                    const Key& key) {
        if (Presence* peer = still_there(receiver)) {
            push(*peer, sequence, kind, key, out);
        } else {
            returned({sequence, kind, envelope.mesh_id, key});
        }
    };
    if (waiting.claimed) {
        push_or_return(*waiting.claimed, Part::Kind::direct, *waiting.append.recipient);
        return;
    }
    live_parts_.emplace(sequence, waiting.live.size());
    for (std::size_t i = 0; i < waiting.live.size(); ++i) {
        push_or_return(waiting.live[i], Part::Kind::live, waiting.append.live[i]);
    }
}

// ---- pushing and arriving ----

Delivery::Outgoing Delivery::outgoing(const Envelope& envelope) {
    return {net::SharedFrame::text(push_json(envelope)),
            std::make_shared<const EnvelopeNames>(envelope.id, envelope.client_message_id,
                                                  envelope.mesh_id),
            envelope.priority};
}

// A ping follows what was pushed: its answer says that the peer's end of the socket has read
// everything before it. One is under way at a time, and it is sent a moment later or when much has
// been pushed, so that many envelopes share one.
void Delivery::push(Presence& presence, Sequence sequence, Part::Kind kind, const Key& recipient,
                    const Outgoing& outgoing) {
    presence.in_flight.push_back(
        {sequence, kind, recipient, outgoing.names, presence.pings_sent + 1, clock_.now()});
    stats_.pushed += 1;
    observer_.on_pushed(outgoing.priority);
    presence.socket->send(outgoing.frame);
    if (presence.acknowledges || presence.pings_sent != presence.pings_answered) {
        return;
    }
    if (presence.in_flight.size() >= kPingAfter) {
        ping(presence);
    } else if (!presence.ping_due && !stopping_) {
        presence.ping_due = true;
        ping_due_.push_back(presence.id);
        if (!pings_run_) {
            pings_run_ = true;
            tasks_.spawn("pings", run_pings());
        }
    }
}

void Delivery::ping(Presence& presence) {
    presence.pings_sent += 1;
    presence.socket->ping(std::to_string(presence.pings_sent));
}

Task<void> Delivery::run_pings() {
    const Running running(pings_run_);
    while (!ping_due_.empty()) {
        co_await loop_.sleep(kPingDelay);
        for (const std::string& id : std::exchange(ping_due_, {})) {
            Presence* presence = registry_.find(id);
            if (presence == nullptr) {
                continue;
            }
            presence->ping_due = false;
            if (presence->connected() && !presence->acknowledges && !presence->in_flight.empty() &&
                presence->pings_sent == presence->pings_answered) {
                ping(*presence);
            }
        }
    }
}

void Delivery::on_pong(Presence& presence, std::uint64_t number) {
    if (number > presence.pings_sent || number <= presence.pings_answered) {
        return;
    }
    presence.pings_answered = number;
    if (presence.acknowledges) {
        return;
    }
    while (!presence.in_flight.empty() && presence.in_flight.front().ping <= number) {
        arrived(presence.in_flight.front());
        presence.in_flight.pop_front();
    }
    // What was pushed since waits no longer than it has.
    if (!presence.in_flight.empty()) {
        ping(presence);
    }
    if (presence.drain_again) {
        wake(presence);
    }
}

void Delivery::on_ack(Presence& presence, std::string_view broker_message_id,
                      std::string_view client_message_id) {
    presence.acknowledges = true;
    const auto found = std::ranges::find_if(presence.in_flight, [&](const InFlight& one) {
        return (!broker_message_id.empty() && one.names->id == broker_message_id) ||
               (!client_message_id.empty() && one.names->client_message_id == client_message_id);
    });
    if (found == presence.in_flight.end()) {
        return;
    }
    arrived(*found);
    presence.in_flight.erase(found);
    if (presence.drain_again) {
        wake(presence);
    }
}

void Delivery::live_part_done(Sequence sequence) {
    const auto found = live_parts_.find(sequence);
    if (found != live_parts_.end() && --found->second == 0) {
        live_parts_.erase(found);
        finished_.push_back(sequence);
    }
}

void Delivery::arrived(const InFlight& in_flight) {
    stats_.settled += 1;
    observer_.on_settled();
    if (in_flight.kind == Part::Kind::live) {
        live_part_done(in_flight.sequence);
    } else {
        arrived_.push_back(in_flight.part());
    }
    start_settling();
}

void Delivery::returned(const Part& part) {
    stats_.given_back += 1;
    returned_.push_back(part);
    start_settling();
}

void Delivery::on_disconnect(Presence& presence) {
    for (const InFlight& in_flight : presence.in_flight) {
        returned(in_flight.part());
    }
    presence.in_flight.clear();
    presence.connection += 1;
    presence.acknowledges = false;
    presence.pings_sent = 0;
    presence.pings_answered = 0;
    for (QueuePosition& position : presence.positions) {
        position.caught_up = false;  // what is being stored stays counted: its commit is to come
    }
    presence.drain_again = false;
}

void Delivery::start_settling() {
    if (!settling_runs_ && !stopping_) {
        settling_runs_ = true;
        tasks_.spawn("settling", run_settling());
    }
}

// Given back first: a list is dropped only when the parts that did not arrive are stored.
Task<bool> Delivery::give_back_returned() {
    std::vector<Part> parts = std::exchange(returned_, {});
    if (parts.empty()) {
        co_return true;
    }
    giving_back_ = true;
    const auto done = co_await store_.give_back(parts);
    giving_back_ = false;
    if (!done) {
        logger_.failure(LogLevel::warn, "cannot give envelopes back", done.error());
        returned_.insert(returned_.begin(), parts.begin(), parts.end());
        co_return false;
    }
    for (const Part& part : parts) {
        if (part.kind == Part::Kind::live) {
            live_part_done(part.sequence);
        }
        for (Presence* peer : registry_.with_key(part.mesh_id, part.recipient)) {
            wake(*peer);
        }
    }
    co_return true;
}

void Delivery::rehome(std::string mesh_id, const Key& session_key, const Key& member_key) {
    rehomings_.push_back({std::move(mesh_id), session_key, member_key});
    start_settling();
}

Task<bool> Delivery::rehome_waiting() {
    std::vector<Rehoming> rehomings = std::exchange(rehomings_, {});
    for (std::size_t i = 0; i < rehomings.size(); ++i) {
        const Rehoming& one = rehomings[i];
        const auto done = co_await store_.rehome(one.mesh_id, one.from, one.to);
        if (!done) {
            logger_.failure(LogLevel::warn, "cannot readdress envelopes", done.error());
            rehomings_.insert(rehomings_.begin(),
                              rehomings.begin() + static_cast<std::ptrdiff_t>(i), rehomings.end());
            co_return false;
        }
        for (Presence* peer : registry_.with_key(one.mesh_id, one.to)) {
            wake(*peer);
        }
    }
    co_return true;
}

Task<bool> Delivery::settle_arrived() {
    std::vector<Part> parts = std::exchange(arrived_, {});
    std::vector<Sequence> finished = std::exchange(finished_, {});
    if (parts.empty() && finished.empty()) {
        co_return true;
    }
    const auto done = co_await store_.settle(parts, finished, clock_.now());
    if (!done) {
        logger_.failure(LogLevel::warn, "cannot settle envelopes", done.error());
        arrived_.insert(arrived_.begin(), parts.begin(), parts.end());
        finished_.insert(finished_.begin(), finished.begin(), finished.end());
    }
    co_return done.has_value();
}

Task<void> Delivery::run_settling() {
    const Running running(settling_runs_);
    while (!arrived_.empty() || !finished_.empty() || !returned_.empty() || !rehomings_.empty()) {
        bool done = co_await give_back_returned();
        if (done) {
            done = co_await rehome_waiting();
        }
        if (done) {
            done = co_await settle_arrived();
        }
        if (!done) {
            co_await loop_.sleep(kRetry);
        }
    }
}

Task<void> Delivery::stop(std::chrono::milliseconds deadline) {
    constexpr std::chrono::milliseconds kStep{2};
    stopping_ = true;
    for (auto waited = std::chrono::milliseconds{0};
         (lane_runs_ || settling_runs_) && waited < deadline; waited += kStep) {
        co_await loop_.sleep(kStep);
    }
}

// ---- reading the queue ----

void Delivery::wake(Presence& presence) {
    if (!presence.connected() || stopping_) {
        return;
    }
    if (presence.draining || presence.in_flight.size() >= limits_.in_flight_max) {
        presence.drain_again = true;
        return;
    }
    presence.draining = true;
    presence.drain_again = false;
    tasks_.spawn("drain", drain(presence.id));
}

ClaimRequest Delivery::claim_request(const Presence& presence) const {
    ClaimRequest request;
    request.mesh_id = presence.mesh_id;
    request.recipients.push_back(presence.member.key);
    if (presence.session_key) {
        request.recipients.push_back(*presence.session_key);
    }
    request.presence_id = presence.id;
    request.only_urgent = !allows(presence, Priority::next);
    request.now = clock_.now();
    request.until = request.now + limits_.claim.count();
    request.envelopes_max = limits_.drain_batch;
    return request;
}

// The presence may go, lose its socket or change its status at every wait.
Task<void> Delivery::drain(std::string presence_id) {
    for (;;) {
        Presence* presence = registry_.find(presence_id);
        if (presence == nullptr) {
            co_return;
        }
        if (!presence->connected() || presence->in_flight.size() >= limits_.in_flight_max) {
            presence->draining = false;
            presence->drain_again = presence->connected();
            co_return;
        }
        // What goes back into the queue may come before what is there.
        if (giving_back_ || !returned_.empty()) {
            co_await loop_.sleep(kGiveBackWait);
            continue;
        }
        presence->drain_again = false;
        ClaimRequest request = claim_request(*presence);
        const bool only_urgent = request.only_urgent;
        const std::size_t asked = request.envelopes_max;
        const net::WebSocketPtr socket = presence->socket;
        const auto claimed = co_await store_.claim(std::move(request));
        presence = registry_.find(presence_id);
        if (!claimed) {
            logger_.failure(LogLevel::warn, "cannot read the queue", claimed.error());
            if (presence != nullptr) {
                presence->draining = false;
                presence->drain_again = true;
            }
            co_return;
        }
        const bool same = presence != nullptr && presence->socket == socket && socket != nullptr;
        for (const ClaimedEnvelope& one : *claimed) {
            if (same && is_in_flight(*presence, one.part)) {
                continue;  // its claim ended before the peer could answer; it has just been renewed
            }
            if (same && presence->connected()) {
                push(*presence, one.part.sequence, one.part.kind, one.part.recipient,
                     outgoing(one.envelope));
            } else {
                returned(one.part);
            }
        }
        if (presence == nullptr) {
            co_return;
        }
        if (!same || presence->drain_again || claimed->size() >= asked) {
            continue;
        }
        // Nothing was left when it was read, and nothing that was on its way then is missing.
        for (std::size_t i = 0; i < presence->positions.size(); ++i) {
            QueuePosition& position = presence->positions[i];
            position.caught_up = position.being_stored == 0 && (i == 0 || !only_urgent);
        }
        presence->draining = false;
        co_return;
    }
}

void Delivery::sweep() {
    const UnixMillis now = clock_.now();
    registry_.each([&](Presence& presence) {
        // A peer that acknowledges gets what it has not acknowledged in time once more.
        while (presence.acknowledges && !presence.in_flight.empty() &&
               presence.in_flight.front().pushed_at + limits_.claim.count() <= now) {
            observer_.on_redelivered();
            returned(presence.in_flight.front().part());
            presence.in_flight.pop_front();
        }
        if (presence.drain_again && !presence.draining) {
            wake(presence);
        }
    });
}

}  // namespace nave::broker
