#include "broker/broker.h"

#include "broker/cluster.h"
#include "broker/errors.h"
#include "broker/ids.h"
#include "broker/wire.h"

#include <algorithm>
#include <utility>

namespace nave::broker {
namespace {

constexpr std::uint16_t kBanned = 4002;  // the original's clients do not come back after it
constexpr std::chrono::seconds kHelloWithin{10};
constexpr UnixMillis kTtlSweepEvery = 15'000;
// Per member. Streams are for output as it comes, so this is far above what envelopes may do.
constexpr net::Rate kPublishRate{.burst = 1'000, .refill_per_second = 200};
constexpr std::size_t kPendingMax = 10'000;
constexpr std::chrono::milliseconds kAuditStop{1'000};

}  // namespace

Broker::Broker(Loop& loop, const Config& config_in, const Clock& clock_in, Entropy& entropy_in,
               WorkerPool& workers, storage::Database& database, TaskGroup& tasks_in,
               Logger& logger_in, ServiceMetrics& metrics_in)
    : config(config_in),
      clock(clock_in),
      entropy(entropy_in),
      tasks(tasks_in),
      logger(logger_in),
      metrics(metrics_in),
      meshes(database),
      states(database),
      memories(database),
      work(database),
      overview(database),
      skills(database),
      contexts(database),
      schedules(database),
      queue(database, config_in.queue),
      audits(database),
      audit(loop, clock_in, audits, tasks_in, logger_in, metrics_in),
      streams(registry, clock_in),
      delivery(loop, clock_in, registry, queue, tasks_in, logger_in, metrics_in,
               config_in.delivery),
      send_limiter(clock_in, config_in.send_rate),
      publish_limiter(clock_in, kPublishRate),
      loop_(loop),
      workers_(workers) {}

// ---- leaving ----

void Broker::leave(Presence& presence) {
    delivery.on_disconnect(presence);
    presence.last_seen_at = clock.now();
    if (config.reconnect_lease.count() == 0) {
        depart(presence);
        return;
    }
    registry.set_disconnected(presence, clock.now() + config.reconnect_lease.count());
    changed(presence);
}

void Broker::depart(Presence& presence) {
    if (cluster != nullptr) {
        cluster->departed(presence);
    }
    remove(presence);
}

void Broker::remove(Presence& presence) {
    if (presence.connected()) {
        delivery.on_disconnect(presence);
    }
    if (presence.session_key) {
        Sharing sharing = sharing_of(presence);
        for (const Presence* other : registry.with_key(presence.mesh_id, presence.member.key)) {
            if (other != &presence && other->member.id == presence.member.id) {
                add_seen(sharing, *other);
            }
        }
        delivery.share(std::move(sharing));
    }
    streams.on_depart(presence);
    if (!stopping_) {
        audit.record(presence.mesh_id, presence.member.id,
                     AuditEvent::peer_left(presence.key(), presence.profile.display_name));
    }
    registry.remove(presence);
}

// ---- moderation ----

bool Broker::is_owner(const Member& member) const {
    const Mesh* mesh = registry.mesh(member.mesh_id);
    return mesh != nullptr && mesh->owner_key == member.key;
}

bool Broker::is_admin(const Member& member) const {
    return member.role == Role::admin || is_owner(member);
}

Result<void> Broker::require_admin(const Member& member) const {
    if (!is_admin(member)) {
        return errors::forbidden();
    }
    return ok();
}

void Broker::end_connection(Presence& presence, std::uint16_t close_code, std::string_view reason,
                            bool may_return) {
    if (presence.remote()) {
        cluster->end_elsewhere(presence,
                               {presence.id, close_code, std::string(reason), may_return});
        return;
    }
    const net::WebSocketPtr socket = presence.socket;
    if (may_return && socket != nullptr) {
        leave(presence);
    } else {
        depart(presence);
    }
    if (socket != nullptr) {
        socket->close(close_code, reason);
    }
}

void Broker::revoke(const Member& member) {
    for (Presence* peer : registry.in_mesh(member.mesh_id)) {
        if (peer->member.id == member.id && !peer->remote()) {
            end_connection(*peer, kBanned, "banned", false);
        }
    }
    registry.remove_member(member);
}

void Broker::archive(std::string_view mesh_id) {
    for (Presence* peer : registry.in_mesh(mesh_id)) {
        if (peer->remote()) {
            streams.on_depart(*peer);
            registry.remove(*peer);
            continue;
        }
        end_connection(*peer, net::ws_close::kPolicy, "mesh archived", false);
    }
    registry.forget_mesh(mesh_id);
}

Task<void> Broker::shut_down(std::chrono::milliseconds deadline) {
    stopping_ = true;
    registry.each([this](Presence& presence) {
        // Among nodes it may go on at another one.
        if (cluster == nullptr) {
            audit.record(presence.mesh_id, presence.member.id,
                         AuditEvent::peer_left(presence.key(), presence.profile.display_name));
        }
        if (presence.connected()) {
            presence.socket->close(net::ws_close::kGoingAway, "shutting down");
        }
    });
    co_await delivery.stop(deadline);
    co_await audit.stop(std::min(deadline, kAuditStop));
}

// ---- envelopes ----

void Broker::stamp(Envelope& envelope, const Author& author) {
    envelope.created_at = clock.now();
    envelope.id = new_id(entropy, envelope.created_at);
    envelope.mesh_id = author.member.mesh_id;
    envelope.sender_member_id = author.member.id;
    envelope.sender_member_key = author.member.key;
    envelope.sender_key = author.key;
    envelope.sender_name = author.name;
    const std::int64_t longest = config.message_ttl.count();
    const std::int64_t wished = author.ttl_seconds * 1000;
    envelope.expires_at = envelope.created_at + (wished > 0 ? std::min(wished, longest) : longest);
}

Delivery::Stored Broker::audited(const Envelope& envelope, Delivery::Stored stored) {
    if (!config.audit_messages) {
        return stored;
    }
    return [this, mesh_id = envelope.mesh_id, sender = envelope.sender_member_id,
            event = AuditEvent::message_sent(envelope.id, envelope.target_spec, envelope.priority),
            stored = std::move(stored)](const Result<Appended>& appended) mutable {
        if (appended && !appended->repeated) {
            audit.record(mesh_id, sender, std::move(event));
        }
        stored(appended);
    };
}

// ---- status ----

void Broker::set_status(Presence& presence, Status status, StatusSource source) {
    const Status before = presence.status.status;
    presence.status = with_signal(presence.status, status, source, clock.now(), config.status);
    if (releases_held(before, presence.status.status)) {
        delivery.wake(presence);
    }
    changed(presence);
}

HookOutcome Broker::on_hook(std::int64_t pid, const std::string& cwd, Status status) {
    if (Presence* peer = registry.by_directory(cwd, pid)) {
        set_status(*peer, status, StatusSource::hook);
        delivery.wake(*peer);
        return {peer->id};
    }
    if (pending_.size() >= kPendingMax) {
        pending_.erase(pending_.begin());
    }
    pending_.push_back({pid, cwd, status, clock.now(), false});
    return {};
}

void Broker::apply_pending(Presence& presence) {
    const PendingStatus* chosen = choose_pending(pending_, presence.profile.pid,
                                                 presence.profile.cwd, clock.now(), config.status);
    if (chosen != nullptr) {
        presence.status = with_signal(presence.status, chosen->status, StatusSource::hook,
                                      clock.now(), config.status);
        pending_[static_cast<std::size_t>(chosen - pending_.data())].applied = true;
    }
}

void Broker::changed(Presence& presence) {
    if (cluster != nullptr) {
        cluster->changed(presence);
    }
}

void Broker::tell_others(const Presence& except, std::string_view text) {
    tell_here(except.mesh_id, &except, net::SharedFrame::text(text));
    if (cluster != nullptr) {
        cluster->tell(except, text);
    }
}

bool Broker::publish(const Presence& publisher, const std::string& stream, std::string_view text) {
    if (!streams.publish(publisher, stream, net::SharedFrame::text(text))) {
        return false;
    }
    if (cluster != nullptr) {
        cluster->publish_stream(publisher, stream, text);
    }
    return true;
}

void Broker::tell_here(std::string_view mesh_id, const Presence* except,
                       const net::SharedFrame& frame) {
    for (Presence* peer : registry.in_mesh(mesh_id)) {
        if (peer != except && peer->connected()) {
            peer->socket->send(frame);
        }
    }
}

void Broker::limit_hello(std::move_only_function<void()> give_up) {
    awaited_hellos_.push_back({clock.steady() + kHelloWithin, std::move(give_up)});
}

void Broker::sweep() {
    while (!awaited_hellos_.empty() && awaited_hellos_.front().until <= clock.steady()) {
        awaited_hellos_.front().give_up();
        awaited_hellos_.pop_front();
    }
    const UnixMillis now = clock.now();
    std::vector<Presence*> ended;
    registry.each([&](Presence& presence) {
        if (!presence.remote() && presence.lease_ends_at && *presence.lease_ends_at <= now) {
            ended.push_back(&presence);
        }
    });
    for (Presence* presence : ended) {
        depart(*presence);
    }
    std::erase_if(pending_, [&](const PendingStatus& pending) {
        return is_spent(pending, now, config.status);
    });
    if (now - last_ttl_sweep_ >= kTtlSweepEvery) {
        last_ttl_sweep_ = now;
        std::int64_t flipped = 0;
        registry.each([&](Presence& presence) {
            if (!presence.remote() && is_overdue(presence.status, now, config.status)) {
                presence.status = {Status::idle, StatusSource::jsonl, now};
                changed(presence);
                delivery.wake(presence);
                flipped += 1;
            }
        });
        metrics.on_ttl_sweep(flipped);
    }
    delivery.sweep();
}

}  // namespace nave::broker
