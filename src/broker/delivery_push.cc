// Delivery: pushing, and what becomes of a push.
#include "broker/delivery.h"
#include "broker/running.h"
#include "broker/wire.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace nave::broker {
namespace {

constexpr std::chrono::milliseconds kPingDelay{20};
constexpr std::size_t kPingAfter = 64;  // pushes without an answer that call for a ping at once
// What has arrived is told in batches: each is a commit that the next sends wait for.
constexpr std::chrono::milliseconds kSettlePause{10};
constexpr std::chrono::milliseconds kRetry{1'000};  // after the database has failed

template <typename T>
void put_first(std::vector<T>& all, std::vector<T>& these) {
    all.insert(all.begin(), std::make_move_iterator(these.begin()),
               std::make_move_iterator(these.end()));
}

}  // namespace

// ---- pushing ----

Delivery::Outgoing Delivery::outgoing(const Envelope& envelope) {
    const auto write = [&](std::string& text) { append_push(text, envelope); };
    Outgoing out{frames_.text(push_size(envelope), write), new PushedEnvelope};
    out.envelope->id = envelope.id;
    out.envelope->client_message_id = envelope.client_message_id;
    return out;
}

// A ping follows what was pushed: its answer says that the peer's end of the socket has read
// everything before it. One is under way at a time, and it is sent a moment later or when much has
// been pushed, so that many envelopes share one.
void Delivery::push(Presence& presence, const Outgoing& outgoing, Part::Kind kind,
                    const Key& recipient, UnixMillis now) {
    outgoing.envelope->pushed_at = now;
    presence.in_flight.push_back({outgoing.envelope, kind, recipient == presence.member.key});
    presence.socket->send(outgoing.frame);
    if (presence.acknowledges || presence.pings_sent != presence.pings_answered) {
        return;
    }
    if (presence.in_flight.size() >= kPingAfter) {
        ping(presence);
    } else if (!presence.ping_due && !stopping_) {
        ping_later(presence);
    }
}

void Delivery::ping(Presence& presence) {
    presence.pings_sent += 1;
    presence.pinged = presence.in_flight.size();
    presence.socket->ping(std::to_string(presence.pings_sent));
}

void Delivery::ping_later(Presence& presence) {
    presence.ping_due = true;
    ping_due_.emplace_back(&presence);
    if (!pings_run_) {
        pings_run_ = true;
        tasks_.spawn("pings", run_pings());
    }
}

Task<void> Delivery::run_pings() {
    const Running running(pings_run_);
    while (!ping_due_.empty()) {
        co_await loop_.sleep(kPingDelay);
        for (const PresencePtr& presence : std::exchange(ping_due_, {})) {
            presence->ping_due = false;
            if (!presence->gone && presence->connected() && !presence->acknowledges &&
                !presence->in_flight.empty() && presence->pings_sent == presence->pings_answered) {
                ping(*presence);
            }
        }
    }
}

// ---- arriving ----

void Delivery::on_pong(Presence& presence, std::uint64_t number) {
    if (number > presence.pings_sent || number <= presence.pings_answered) {
        return;
    }
    presence.pings_answered = number;
    if (presence.acknowledges) {
        return;
    }
    const std::size_t settled = std::exchange(presence.pinged, 0);
    for (std::size_t i = 0; i < settled; ++i) {
        arrived(presence, presence.in_flight.pop_front());
    }
    observer_.on_settled(settled);
    start_settling();
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
    const auto is_meant = [&](const PushedEnvelope& envelope) {
        return (!broker_message_id.empty() && envelope.id == broker_message_id) ||
               (!client_message_id.empty() && envelope.client_message_id == client_message_id);
    };
    std::size_t at = 0;
    while (at < presence.in_flight.size() && !is_meant(*presence.in_flight[at].envelope)) {
        ++at;
    }
    if (at == presence.in_flight.size()) {
        return;
    }
    arrived(presence, presence.in_flight[at]);
    presence.in_flight.erase(at);
    observer_.on_settled(1);
    start_settling();
    if (presence.drain_again) {
        wake(presence);
    }
}

void Delivery::arrived(const Presence& presence, const InFlight& in_flight) {
    if (in_flight.kind == Part::Kind::live) {
        live_part_done(*in_flight.envelope);
    } else {
        arrived_.push_back(presence.part(in_flight));
    }
}

void Delivery::live_part_done(PushedEnvelope& envelope) {
    envelope.live_left -= 1;
    if (envelope.live_left == 0) {
        finished_.push_back(envelope.sequence);
    }
}

// ---- going back into the queue ----

void Delivery::give_back(const Part& part, PushedEnvelopePtr envelope, const std::string& mesh_id) {
    returned_.push_back({part, std::move(envelope), mesh_id});
    being_returned_[part.recipient] += 1;
    start_settling();
}

void Delivery::on_disconnect(Presence& presence) {
    for (const InFlight& in_flight : std::exchange(presence.in_flight, {})) {
        give_back(presence.part(in_flight), in_flight.envelope, presence.mesh_id);
    }
    presence.connection += 1;
    presence.acknowledges = false;
    presence.pings_sent = 0;
    presence.pings_answered = 0;
    presence.pinged = 0;
    for (QueuePosition& position : presence.positions) {
        position.caught_up = false;  // what is being stored stays counted: its commit is to come
    }
    presence.drain_again = false;
}

void Delivery::share(Sharing sharing) {
    sharings_.push_back({std::move(sharing), submitted_});
    start_settling();
}

// ---- telling the database ----

void Delivery::start_settling() {
    const bool due = !arrived_.empty() || !finished_.empty() || !returned_.empty() ||
                     !sharings_.empty() || !in_doubt_.empty();
    if (due && !settling_runs_ && !stopping_) {
        settling_runs_ = true;
        tasks_.spawn("settling", run_settling());
    }
}

// Given back first: a list is dropped only when the parts that did not arrive are stored.
Task<bool> Delivery::give_back_returned() {
    std::vector<Returned> all = std::exchange(returned_, {});
    if (all.empty()) {
        co_return true;
    }
    std::vector<Part> parts;
    parts.reserve(all.size());
    for (const Returned& one : all) {
        parts.push_back(one.part);
    }
    const auto done = co_await store_.give_back(std::move(parts));
    if (!done) {
        logger_.failure(LogLevel::warn, "cannot give envelopes back", done.error());
        put_first(returned_, all);
        co_return false;
    }
    for (const Returned& one : all) {
        if (one.part.kind == Part::Kind::live) {
            live_part_done(*one.envelope);
        }
        const auto counted = being_returned_.find(one.part.recipient);
        counted->second -= 1;
        if (counted->second > 0) {
            continue;
        }
        being_returned_.erase(counted);
        read_again({{one.mesh_id, one.part.recipient}});
    }
    co_return true;
}

// What was sent to the session while it was there has to be in the database first: stored, and
// given back where the push came too late.
Task<bool> Delivery::share_waiting() {
    constexpr std::chrono::milliseconds kStep{2};
    std::vector<DueSharing> due = std::exchange(sharings_, {});
    while (!due.empty()) {
        while (passed_ < due.back().after) {
            co_await loop_.sleep(kStep);
        }
        if (!returned_.empty()) {
            put_first(sharings_, due);
            co_return true;
        }
        const auto done = co_await store_.share(due.back().sharing);
        if (!done) {
            logger_.failure(LogLevel::warn, "cannot readdress envelopes", done.error());
            put_first(sharings_, due);
            co_return false;
        }
        const Sharing shared = std::move(due.back().sharing);
        due.pop_back();
        const bool more_of_member = std::ranges::any_of(
            due, [&](const DueSharing& other) { return other.sharing.member == shared.member; });
        if (!more_of_member) {
            read_again({{shared.mesh_id, shared.member}});
        }
    }
    co_return true;
}

Task<bool> Delivery::settle_arrived() {
    settling_ = std::exchange(arrived_, {});
    std::vector<Sequence> finished = std::exchange(finished_, {});
    if (settling_.empty() && finished.empty()) {
        co_return true;
    }
    const auto done = co_await store_.settle(settling_, finished, clock_.now());
    std::vector<Part> parts = std::exchange(settling_, {});
    settle_fails_ = !done;
    if (!done) {
        logger_.failure(LogLevel::warn, "cannot settle envelopes", done.error());
        put_first(arrived_, parts);
        put_first(finished_, finished);
    }
    co_return done.has_value();
}

Task<void> Delivery::run_settling() {
    const Running running(settling_runs_);
    while (!arrived_.empty() || !finished_.empty() || !returned_.empty() || !sharings_.empty() ||
           !in_doubt_.empty()) {
        if (returned_.empty() && sharings_.empty() && in_doubt_.empty() && !stopping_) {
            co_await loop_.sleep(kSettlePause);
        }
        bool done = co_await resolve_doubts();
        if (done) {
            done = co_await give_back_returned();
        }
        if (done) {
            done = co_await share_waiting();
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

}  // namespace nave::broker
