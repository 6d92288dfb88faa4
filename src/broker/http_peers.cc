#include "broker/http_peers.h"

#include "broker/cluster.h"
#include "broker/errors.h"
#include "broker/wire.h"
#include "crypto/hash.h"
#include "runtime/one_shot.h"

#include <algorithm>
#include <utility>

namespace nave::broker {
namespace {

constexpr std::chrono::milliseconds kWatch{1'000};
constexpr std::size_t kBuffered = std::size_t{1} << 20;
constexpr int kKeepAliveRounds = 15;  // and the key is looked up again

}  // namespace

Task<Result<Caller>> HttpPeers::authenticate(std::string token) {
    if (token.empty()) {
        co_return errors::unauthorized("An API key is needed as bearer token.");
    }
    const TokenHash hash = crypto::sha256(as_bytes(token));
    CO_TRY(auto key, co_await keys_.find(hash, broker_.clock.now()));
    if (!key) {
        co_return errors::unauthorized("This API key is not known or has ended.");
    }
    CO_TRY(const bool known, co_await broker_.ensure_mesh(key->mesh_id));
    const Member* member =
        known ? broker_.registry.member_by_id(key->mesh_id, key->member_id) : nullptr;
    if (member == nullptr) {
        co_return errors::unauthorized("This API key is not known or has ended.");
    }
    co_return Caller{std::move(*key), hash, *member};
}

Task<Result<Appended>> HttpPeers::send(Caller caller, Send send) {
    if (!broker_.send_limiter.take(caller.member.id).allowed) {
        co_return errors::rate_limit();
    }
    broker_.stamp(send.envelope,
                  {caller.member, caller.member.key, caller.member.display_name, send.ttl_seconds});
    const auto outcome = std::make_shared<OneShot<Result<Appended>>>(loop_);
    auto on_stored = broker_.audited(
        send.envelope, [outcome](const Result<Appended>& stored) { outcome->set(stored); });
    CO_TRY_VOID(broker_.delivery.send({caller.member.mesh_id, caller.member.key, nullptr},
                                      send.target, std::move(send.envelope), std::move(on_stored)));
    auto stored = co_await outcome->get();
    if (!stored) {
        co_return errors::busy();
    }
    co_return stored;
}

std::string HttpPeers::session_of(const ApiKey& key, std::string_view name) {
    return "api-key:" + key.id + (name.empty() ? "" : ":") + std::string(name);
}

bool HttpPeers::is_full(const Caller& caller) const {
    return broker_.is_full(caller.member.mesh_id) &&
           broker_.registry.with_key(caller.member.mesh_id, caller.member.key).empty();
}

void HttpPeers::attach(const Caller& caller, Profile profile,
                       std::shared_ptr<net::ResponseStream> stream) {
    profile.session_id = session_of(caller.key, profile.session_id);
    const auto presence_id = std::make_shared<std::string>();
    // As of a WebSocket: delivery stops at half a MiB and the envelope that goes beyond.
    const std::size_t buffered_max = kBuffered + 2 * broker_.config.message_bytes_max;
    const EventSocketPtr socket(new EventSocket(std::move(stream), buffered_max));
    socket->on_end([this, raw = socket.get(), presence_id] { on_end(raw, *presence_id); });
    if (broker_.cluster == nullptr) {
        const auto arrival = broker_.admit(caller.member, std::nullopt, std::move(profile), socket);
        if (arrival) {
            attached(caller.token, socket, *presence_id, *arrival);
        } else {
            socket->close(net::ws_close::kPolicy, "capacity");
        }
    } else if (broker_.stopping()) {
        socket->close(net::ws_close::kGoingAway, "shutting down");
    } else {
        broker_.tasks.spawn("event stream",
                            attach_among_nodes(caller, std::move(profile), socket, presence_id));
    }
}

Task<void> HttpPeers::attach_among_nodes(Caller caller, Profile profile, EventSocketPtr socket,
                                         std::shared_ptr<std::string> presence_id) {
    const auto arrival = co_await broker_.admit_among_nodes(
        caller.member, std::nullopt, std::nullopt, std::move(profile), socket);
    if (!arrival) {
        socket->close(net::ws_close::kTryAgainLater, "busy");
    } else if (!*arrival) {
        socket->close(net::ws_close::kPolicy, refusal_form(arrival->error()).close_reason);
    } else if (!socket->is_open()) {
        broker_.leave(*(*arrival)->presence);
    } else {
        attached(caller.token, socket, *presence_id, **arrival);
    }
}

void HttpPeers::attached(const TokenHash& token, const EventSocketPtr& socket,
                         std::string& presence_id, const Arrival& arrival) {
    Presence& presence = *arrival.presence;
    presence_id = presence.id;
    presence.acknowledges = true;
    streams_.push_back({socket, token, presence.id});
    socket->send_text(hello_ack_json(presence, arrival.restored, {}));
    broker_.metrics.set_connected(broker_.registry.connected());
    broker_.delivery.wake(presence);
}

void HttpPeers::on_end(const EventSocket* socket, const std::string& presence_id) {
    std::erase_if(streams_, [&](const Stream& one) { return one.socket.get() == socket; });
    Presence* presence = broker_.registry.find(presence_id);
    if (presence != nullptr && presence->socket.get() == socket) {
        broker_.leave(*presence);
    }
    broker_.metrics.set_connected(broker_.registry.connected());
}

void HttpPeers::acknowledge(const Caller& caller, const std::vector<std::string>& message_ids) {
    const std::string session = session_of(caller.key, {});
    for (Presence* peer : broker_.registry.with_key(caller.member.mesh_id, caller.member.key)) {
        if (!peer->profile.session_id.starts_with(session)) {
            continue;
        }
        if (peer->remote()) {
            broker_.cluster->acknowledge(*peer, message_ids);
            continue;
        }
        for (const std::string& id : message_ids) {
            broker_.delivery.on_ack(*peer, id, {});
        }
    }
}

Task<void> HttpPeers::check_keys() {
    const std::vector<Stream> streams = streams_;
    for (const Stream& one : streams) {
        const auto key = co_await keys_.find(one.token, broker_.clock.now());
        if (key && !*key) {
            one.socket->close(net::ws_close::kPolicy, "the API key has ended");
        } else {
            one.socket->keep_alive();
        }
    }
}

Task<void> HttpPeers::watch_streams() {
    for (int round = 1;; ++round) {
        co_await loop_.sleep(kWatch);
        const std::vector<Stream> streams = streams_;
        for (const Stream& one : streams) {
            if (one.socket->overflowed()) {
                one.socket->close(net::ws_close::kPolicy, "too slow");
            }
        }
        if (round % kKeepAliveRounds == 0) {
            co_await check_keys();
        }
    }
}

}  // namespace nave::broker
