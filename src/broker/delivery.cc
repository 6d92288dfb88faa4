#include "broker/delivery.h"

#include "broker/errors.h"
#include "broker/running.h"
#include "broker/wire.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace nave::broker {
namespace {

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

bool Delivery::allows(const Presence& presence, Priority priority, UnixMillis now) const {
    return priority == Priority::now ||
           deliverable(at_delivery(presence.status, now, limits_.status).status, priority);
}

bool Delivery::has_room(const Presence& presence) const {
    return presence.in_flight.size() < limits_.in_flight_max &&
           presence.socket->buffered() + presence.lane_bytes < limits_.buffered_max;
}

bool Delivery::may_push(Presence& presence, Priority priority, UnixMillis now) const {
    return presence.connected() && presence.position(priority).caught_up && has_room(presence) &&
           allows(presence, priority, now);
}

void Delivery::make_ready(Presence& peer, Waiting& waiting) {
    peer.lane_bytes += waiting.bytes;
    waiting.ready.push_back({&peer, peer.connection});
}

void Delivery::put_behind(Presence& peer, Waiting& waiting) {
    peer.position(waiting.priority).being_stored += 1;
    peer.position(waiting.priority).caught_up = false;
    waiting.behind.emplace_back(&peer);
}

// To one key: of the peers that have it, the one that can take it at once, else it waits for
// whichever comes first.
void Delivery::address_direct(const Key& key, Waiting& waiting) {
    const UnixMillis now = clock_.now();
    waiting.append.recipient = key;
    waiting.direct_to = key;
    const std::vector<Presence*> peers = registry_.with_key(waiting.append.envelope.mesh_id, key);
    const auto ready = std::ranges::find_if(
        peers, [&](Presence* peer) { return may_push(*peer, waiting.priority, now); });
    if (ready != peers.end()) {
        waiting.append.claimed_by = (*ready)->id;
        waiting.append.claimed_until = now + limits_.claim.count();
        make_ready(**ready, waiting);
        return;
    }
    for (Presence* peer : peers) {
        put_behind(*peer, waiting);
    }
}

void Delivery::address_many(const Sender& sender, const Target& target, Waiting& waiting) {
    const UnixMillis now = clock_.now();
    const std::vector<Presence*> peers =
        registry_.peers_of(sender.mesh_id, sender.presence, target);
    waiting.ready.reserve(peers.size());
    waiting.append.live.reserve(peers.size());
    for (Presence* peer : peers) {
        if (may_push(*peer, waiting.priority, now)) {
            waiting.append.live.push_back(peer->key());
            make_ready(*peer, waiting);
            continue;
        }
        waiting.append.absent.push_back(peer->key());
        put_behind(*peer, waiting);
    }
    const std::vector<Key> absent = registry_.absent_of(sender.mesh_id, sender.member_key, target);
    waiting.append.absent.insert(waiting.append.absent.end(), absent.begin(), absent.end());
}

Result<void> Delivery::send(const Sender& sender, const Target& target, Envelope envelope,
                            Stored stored) {
    const std::size_t bytes = bytes_of(envelope);
    if (stopping_ || waiting() >= limits_.waiting_max ||
        waiting_bytes_ + bytes > limits_.waiting_bytes_max) {
        return errors::busy();
    }
    const Key* key = std::get_if<Key>(&target);
    if (key != nullptr && !full_.empty()) {
        const auto full = full_.find(envelope.mesh_id);
        if (full != full_.end() && full->second.contains(*key)) {
            return errors::queue_full();
        }
    }
    Waiting waiting;
    waiting.append.envelope = std::move(envelope);
    waiting.priority = waiting.append.envelope.priority;
    waiting.stored = std::move(stored);
    waiting.bytes = bytes;
    if (key != nullptr) {
        address_direct(*key, waiting);
    } else {
        address_many(sender, target, waiting);
    }
    if (!waiting.ready.empty()) {
        waiting.outgoing = outgoing(waiting.append.envelope);
    }
    waiting_bytes_ += bytes;
    waiting_.push_back(std::move(waiting));
    submitted_ += 1;
    if (!lane_runs_) {
        lane_runs_ = true;
        tasks_.spawn("send lane", run_lane());
    }
    return ok();
}

void Delivery::set_backlogs(std::vector<Backlog> backlogs) {
    full_.clear();
    for (Backlog& backlog : backlogs) {
        full_[std::move(backlog.mesh_id)].insert(backlog.key);
    }
}

// ---- storing ----

// While the lane pauses, what is in the database is all there is for a presence but for what waits
// here: it can catch up however much is sent.
Task<void> Delivery::let_catch_up() {
    constexpr std::chrono::milliseconds kStep{1};
    constexpr std::chrono::milliseconds kPauseMax{50};
    for (auto paused = std::chrono::milliseconds{0}; catching_up_ > 0 && paused < kPauseMax;
         paused += kStep) {
        co_await loop_.sleep(kStep);
    }
}

// What waits behind a presence that has read everything else is pushed to it after all. False when
// it cannot take that much.
bool Delivery::bring_forward(Presence& presence) {
    const UnixMillis now = clock_.now();
    std::size_t room =
        limits_.in_flight_max - std::min(limits_.in_flight_max, presence.in_flight.size());
    for (Waiting& waiting : waiting_) {
        const auto behind = std::ranges::find(waiting.behind, PresencePtr(&presence));
        if (behind == waiting.behind.end() || !allows(presence, waiting.priority, now)) {
            continue;
        }
        if (room == 0 || !has_room(presence)) {
            return false;
        }
        room -= 1;
        if (waiting.direct_to) {
            waiting.append.claimed_by = presence.id;
            waiting.append.claimed_until = now + limits_.claim.count();
            for (const PresencePtr& peer : waiting.behind) {
                peer->position(waiting.priority).being_stored -= 1;
            }
            waiting.behind.clear();
        } else {
            const auto absent = std::ranges::find(waiting.append.absent, presence.key());
            waiting.append.absent.erase(absent);
            waiting.append.live.push_back(presence.key());
            presence.position(waiting.priority).being_stored -= 1;
            waiting.behind.erase(behind);
        }
        make_ready(presence, waiting);
        if (!waiting.outgoing) {
            waiting.outgoing = outgoing(waiting.append.envelope);
        }
    }
    return true;
}

Task<void> Delivery::run_lane() {
    const Running running(lane_runs_);
    while (!waiting_.empty()) {
        co_await let_catch_up();
        std::vector<Waiting> batch;
        batch.reserve(std::min(waiting_.size(), limits_.batch_max));
        while (!waiting_.empty() && batch.size() < limits_.batch_max) {
            batch.push_back(std::move(waiting_.front()));
            waiting_.pop_front();
        }
        in_batch_ = batch.size();
        batches_ += 1;
        const bool clear = co_await resolve_doubts();
        co_await store_batch(std::move(batch), clear);
        in_batch_ = 0;
    }
}

// What may be in the database is settled before anything younger is stored.
Task<bool> Delivery::resolve_doubts() {
    const std::vector<std::string> ids = in_doubt_;
    if (ids.empty()) {
        co_return true;
    }
    const auto keys = co_await store_.requeue(ids);
    if (!keys) {
        logger_.failure(LogLevel::warn, "cannot look for envelopes in doubt", keys.error());
        co_return false;
    }
    std::erase_if(in_doubt_,
                  [&](const std::string& id) { return std::ranges::find(ids, id) != ids.end(); });
    read_again(*keys);
    co_return true;
}

Task<Result<std::vector<Appended>>> Delivery::append(std::vector<Waiting>& batch) {
    std::vector<Append> appends;
    std::vector<std::string> ids;
    appends.reserve(batch.size());
    ids.reserve(batch.size());
    for (Waiting& waiting : batch) {
        ids.push_back(waiting.append.envelope.id);
        appends.push_back(std::move(waiting.append));
    }
    auto outcome = co_await store_.append(std::move(appends));
    if (!outcome && outcome.error().id == "storage.outcome_unknown") {
        in_doubt_.insert(in_doubt_.end(), ids.begin(), ids.end());
        start_settling();
    }
    co_return outcome;
}

Task<void> Delivery::store_batch(std::vector<Waiting> batch, bool clear) {
    Result<std::vector<Appended>> outcome = errors::busy();
    if (clear) {
        outcome = co_await append(batch);
    }
    passed_ += batch.size();
    for (std::size_t i = 0; i < batch.size(); ++i) {
        Waiting& waiting = batch[i];
        waiting_bytes_ -= waiting.bytes;
        for (const Receiver& receiver : waiting.ready) {
            receiver.peer->lane_bytes -= waiting.bytes;
        }
        if (!outcome) {
            waiting.stored(std::unexpected(outcome.error()));
        } else {
            const Appended& appended = (*outcome)[i];
            waiting.stored(appended);
            if (!appended.repeated && waiting.outgoing) {
                push_stored(waiting, appended.sequence);
            }
        }
        release_behind(waiting);
    }
}

// The envelopes behind a presence's position are in the database now, or nowhere.
void Delivery::release_behind(const Waiting& waiting) {
    for (const PresencePtr& peer : waiting.behind) {
        peer->position(waiting.priority).being_stored -= 1;
        wake(*peer);
    }
}

void Delivery::push_stored(const Waiting& waiting, Sequence sequence) {
    const Outgoing& out = *waiting.outgoing;
    const Part::Kind kind = waiting.direct_to ? Part::Kind::direct : Part::Kind::live;
    const UnixMillis now = clock_.now();
    out.envelope->sequence = sequence;
    out.envelope->live_left = waiting.direct_to ? 0 : waiting.ready.size();
    std::size_t pushed = 0;
    for (const Receiver& receiver : waiting.ready) {
        Presence& peer = *receiver.peer;
        const Key& key = waiting.direct_to ? *waiting.direct_to : peer.key();
        if (!peer.gone && peer.connected() && peer.connection == receiver.connection) {
            push(peer, out, kind, key, now);
            pushed += 1;
        } else {
            give_back({sequence, kind, key}, out.envelope, peer.mesh_id);
        }
    }
    observer_.on_pushed(waiting.priority, pushed);
}

}  // namespace nave::broker
