// Delivery: reading the queue of a presence, and pushing again what was not acknowledged.
#include "broker/delivery.h"

#include <algorithm>
#include <optional>

namespace nave::broker {
namespace {

constexpr std::chrono::milliseconds kLaneStep{2};

// Counts itself as long as it lives.
class Counted {
  public:
    explicit Counted(std::size_t& count) : count_(count) { count_ += 1; }
    ~Counted() { count_ -= 1; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

  private:
    std::size_t& count_;
};

bool is_in_flight(const Presence& presence, const Part& part) {
    for (const InFlight& one : presence.in_flight) {
        const Part other = presence.part(one);
        if (other.sequence == part.sequence && other.recipient == part.recipient) {
            return true;
        }
    }
    return false;
}

bool has_part(const std::vector<Part>& parts, const Part& part) {
    return std::ranges::any_of(parts, [&](const Part& one) {
        return one.sequence == part.sequence && one.recipient == part.recipient;
    });
}

}  // namespace

// Younger envelopes must not overtake those that are on their way back into the queue. Whoever
// waits for them is woken when they are there.
bool Delivery::awaits_returned(const Presence& presence) const {
    return !being_returned_.empty() &&
           (being_returned_.contains(presence.member.key) ||
            (presence.session_key && being_returned_.contains(*presence.session_key)));
}

void Delivery::wake(Presence& presence) {
    if (presence.remote()) {
        if (!presence.gone && presence.is_there() && wake_elsewhere_) {
            wake_elsewhere_(presence);
        }
        return;
    }
    if (presence.gone || !presence.connected() || stopping_) {
        return;
    }
    if (presence.draining || awaits_returned(presence) || !has_room(presence)) {
        presence.drain_again = true;
        return;
    }
    presence.draining = true;
    presence.drain_again = false;
    tasks_.spawn("drain", drain(PresencePtr(&presence)));
}

void Delivery::read_again(const std::vector<Backlog>& keys) {
    for (const Backlog& one : keys) {
        for (Presence* peer : registry_.with_key(one.mesh_id, one.key)) {
            for (QueuePosition& position : peer->positions) {
                position.caught_up = false;
            }
            wake(*peer);
        }
    }
}

ClaimRequest Delivery::claim_request(const Presence& presence) const {
    ClaimRequest request;
    request.mesh_id = presence.mesh_id;
    request.recipients.push_back(presence.member.key);
    if (presence.session_key) {
        request.recipients.push_back(*presence.session_key);
    }
    request.presence_id = presence.id;
    request.now = clock_.now();
    request.only_urgent = !allows(presence, Priority::next, request.now);
    request.until = request.now + limits_.claim.count();
    request.envelopes_max = limits_.drain_batch;
    request.bytes_max = limits_.buffered_max - presence.socket->buffered();
    request.former_in_doubt = presence.claims_in_doubt;
    return request;
}

std::vector<Part> Delivery::arrived_unknown(const Presence& presence) const {
    if (!presence.claims_in_doubt && !settle_fails_) {
        return {};
    }
    std::vector<Part> parts = arrived_;
    parts.insert(parts.end(), settling_.begin(), settling_.end());
    for (const InFlight& one : presence.in_flight) {
        parts.push_back(presence.part(one));  // its answer may come before that of the database
    }
    return parts;
}

void Delivery::push_claimed(Presence& presence, const std::vector<ClaimedEnvelope>& claimed,
                            const std::vector<Part>& arrived, std::uint32_t connection) {
    const UnixMillis now = clock_.now();
    const bool same = !presence.gone && presence.connected() && presence.connection == connection;
    for (const ClaimedEnvelope& one : claimed) {
        if (same && is_in_flight(presence, one.part)) {
            continue;  // its claim ended before the peer could answer; it has just been renewed
        }
        if (same && has_part(arrived, one.part)) {
            continue;
        }
        const Outgoing out = outgoing(one.envelope);
        out.envelope->sequence = one.part.sequence;
        if (same && presence.connected()) {
            push(presence, out, one.part.kind, one.part.recipient, now);
            observer_.on_pushed(one.envelope.priority, 1);
        } else {
            give_back(one.part, out.envelope, presence.mesh_id);
        }
    }
}

// Whether the presence has read everything: all that is left for it waits for the lane, and not
// behind it.
bool Delivery::has_caught_up(Presence& presence, bool only_urgent) {
    bool all = true;
    for (std::size_t i = 0; i < presence.positions.size(); ++i) {
        QueuePosition& position = presence.positions[i];
        const bool counts = i == 0 || !only_urgent;
        position.caught_up = counts && position.being_stored == 0;
        all = all && (!counts || position.caught_up);
    }
    return all;
}

// The presence may go, lose its socket or change its status at every wait.
Task<void> Delivery::drain(PresencePtr kept) {
    Presence& presence = *kept;
    // What was sent before the presence was there waits for nobody: it must be in the database.
    const std::uint64_t since = submitted_;
    std::optional<Counted> pause;  // of the lane
    // What is sent from now on waits behind the queue.
    for (QueuePosition& position : presence.positions) {
        position.caught_up = false;
    }
    for (;;) {
        if (presence.gone || !presence.connected()) {
            presence.draining = false;
            co_return;
        }
        if (awaits_returned(presence) || !has_room(presence)) {
            presence.draining = false;
            presence.drain_again = true;
            co_return;
        }
        // What the lane is to push is older than what waits behind it.
        if (presence.lane_bytes > 0) {
            pause.reset();
            co_await loop_.sleep(kLaneStep);
            continue;
        }
        if (pause && in_batch_ > 0) {
            co_await loop_.sleep(kLaneStep);
            continue;
        }
        presence.drain_again = false;
        ClaimRequest request = claim_request(presence);
        const bool only_urgent = request.only_urgent;
        const std::uint32_t connection = presence.connection;
        const bool lane_passed = passed_ >= since;
        const std::uint64_t batches = batches_;
        const std::vector<Part> arrived = arrived_unknown(presence);
        const auto claimed = co_await store_.claim(std::move(request));
        if (!claimed) {
            logger_.failure(LogLevel::warn, "cannot read the queue", claimed.error());
            presence.draining = false;
            presence.drain_again = true;  // the sweep wakes it
            presence.claims_in_doubt = true;
            co_return;
        }
        presence.claims_in_doubt = false;
        push_claimed(presence, claimed->envelopes, arrived, connection);
        if (presence.connection != connection || presence.drain_again || claimed->more) {
            continue;
        }
        if (!lane_passed) {
            co_await loop_.sleep(kLaneStep);
            continue;
        }
        // Nothing was left when it was read, and nothing that was on its way then is missing.
        const bool lane_paused = pause && batches_ == batches && in_batch_ == 0;
        if ((lane_paused && !bring_forward(presence)) || !has_caught_up(presence, only_urgent)) {
            if (!pause) {
                pause.emplace(catching_up_);
            }
            co_await loop_.sleep(kLaneStep);
            continue;
        }
        presence.draining = false;
        co_return;
    }
}

Task<void> Delivery::release_overdue() {
    const auto released = co_await store_.release_overdue(clock_.now());
    if (!released) {
        logger_.failure(LogLevel::warn, "cannot end overdue claims", released.error());
        co_return;
    }
    read_again(*released);
}

void Delivery::sweep() {
    const UnixMillis now = clock_.now();
    registry_.each([&](Presence& presence) {
        // A peer that acknowledges gets what it has not acknowledged in time once more.
        while (presence.acknowledges && !presence.in_flight.empty() &&
               presence.in_flight.front().envelope->pushed_at + limits_.claim.count() <= now) {
            const InFlight overdue = presence.in_flight.pop_front();
            observer_.on_redelivered();
            give_back(presence.part(overdue), overdue.envelope, presence.mesh_id);
        }
        presence.in_flight.shrink();
        if (presence.drain_again && !presence.draining) {
            wake(presence);
        }
    });
}

}  // namespace nave::broker
