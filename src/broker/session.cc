#include "broker/session.h"

#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/ids.h"
#include "broker/requests.h"
#include "broker/wire.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace nave::broker {
namespace {

// Of one socket: requests read but not answered yet.
constexpr std::size_t kWaitingMax = 256;
constexpr std::size_t kSendsMax = 1'024;
constexpr std::size_t kWaitingBytesMax = 4 * 1024 * 1024;

}  // namespace

void Session::on_open(net::WebSocket& socket) {
    socket_ = net::WebSocketPtr(&socket);
    broker_.metrics.on_socket();
    broker_.limit_hello([weak = weak_from_this()] {
        const auto self = weak.lock();
        if (self != nullptr && !self->closed_ && self->presence_id_.empty()) {
            self->broker_.metrics.on_refused("no_hello");
            self->socket_->close(net::ws_close::kPolicy, "no_hello");
        }
    });
}

Presence* Session::presence() {
    if (closed_ || presence_id_.empty()) {
        return nullptr;
    }
    Presence* found = broker_.registry.find(presence_id_);
    return found != nullptr && found->socket == socket_ ? found : nullptr;
}

void Session::reply(std::string_view text) {
    if (!closed_) {
        socket_->send_text(text);
    }
}

void Session::reply_error(const ClientRequest& request, const Error& error) {
    reply(error_json(error.id, error.message, text_or_empty(request.fields, "id"),
                     request.request_id));
}

// ---- reading ----

void Session::on_message(net::WebSocket& /*socket*/, std::string_view payload,
                         net::MessageType /*type*/) {
    auto request = parse_request(payload);
    if (!request) {
        broker_.metrics.on_rejected("parse_or_handler");
        broker_.logger.warn("ws message error", {{"bytes", payload.size()}});
        return;
    }
    waiting_bytes_ += request->bytes;
    waiting_.push_back(std::move(*request));
    pump();
    hold_back();
}

// Nothing more is read while too much waits; TCP holds the peer back.
void Session::hold_back() {
    const bool too_much = waiting_.size() >= kWaitingMax || waiting_bytes_ >= kWaitingBytesMax;
    if (too_much && !paused_ && !closed_) {
        paused_ = true;
        socket_->pause();
    } else if (!too_much && paused_ && !closed_) {
        paused_ = false;
        socket_->resume();
    }
}

void Session::pump() {
    while (!waiting_.empty() && !busy_ && !refused_ && !closed_ && !broker_.stopping()) {
        const bool is_send = waiting_.front().type == "send" && presence() != nullptr;
        if (is_send ? sends_ >= kSendsMax : sends_ > 0) {
            return;
        }
        ClientRequest request = waiting_.pop_front();
        waiting_bytes_ -= request.bytes;
        if (is_send) {
            send_envelope(request);
        } else {
            busy_ = true;
            broker_.tasks.spawn("request", run(std::move(request)));
        }
    }
}

Task<void> Session::run(ClientRequest request) {
    const std::shared_ptr<Session> self = shared_from_this();
    const bool is_hello = request.type == "hello" || request.type == "session_hello";
    if (presence() == nullptr && presence_id_.empty()) {
        if (is_hello) {
            co_await say_hello(std::move(request));
        } else {
            reply_error(request, errors::no_hello().error());
        }
    } else if (is_hello) {
        reply_error(request, errors::second_hello().error());
    } else if (Presence* peer = presence()) {
        if (const RequestHandler handler = find_handler(request.type)) {
            const auto done = co_await handler(*this, *peer, request);
            if (!done) {
                reply_error(request, done.error());
            }
        }
    }
    busy_ = false;
    pump();
    hold_back();
}

// ---- hello ----

void Session::refuse_hello(const ClientRequest& request, HelloRefusal why,
                           std::string_view mesh_id) {
    const RefusalForm& form = refusal_form(why);
    const Mesh* mesh = broker_.registry.mesh(mesh_id);
    const std::string message = refusal_message(why, mesh == nullptr ? mesh_id : mesh->name);
    reply(error_json(form.code, message, {}, request.request_id));
    broker_.metrics.on_refused(form.metric_reason);
    if (why == HelloRefusal::capacity) {
        broker_.logger.warn("mesh at capacity", {{"mesh_id", mesh_id},
                                                 {"existing", broker_.registry.count(mesh_id)},
                                                 {"cap", broker_.config.connections_per_mesh_max}});
    } else {
        constexpr std::size_t kShown = 12;
        std::string key = text_or_empty(request.fields,
                                        request.type == "hello" ? "pubkey" : "parentMemberPubkey");
        key.resize(std::min(key.size(), kShown));
        broker_.logger.warn("hello sig rejected",
                            {{"reason", form.code}, {"mesh_id", mesh_id}, {"pubkey", key}});
    }
    if (!closed_) {
        socket_->close(form.close_code, form.close_reason);
    }
}

Task<void> Session::say_hello(ClientRequest request) {
    auto hello = read_hello(request, broker_.clock.now());
    if (!hello) {
        broker_.metrics.on_rejected("parse_or_handler");
        reply_error(request, hello.error());
        co_return;
    }
    const std::string mesh_id = hello->introduction.mesh_id;
    // Before anything that costs. Who may be coming back to a place of its own goes on.
    if (broker_.is_full(mesh_id) && !(hello->proof && broker_.may_resume(mesh_id, *hello->proof))) {
        refuse_hello(request, HelloRefusal::capacity, mesh_id);
        co_return;
    }
    if (!hello->proof) {
        refuse_hello(request, hello->proof.error(), mesh_id);
        co_return;
    }
    auto arrival =
        co_await broker_.arrive(std::move(*hello->proof), std::move(hello->introduction), socket_);
    if (!arrival) {
        reply_error(request, arrival.error());
        co_return;
    }
    if (!*arrival) {
        refuse_hello(request, arrival->error(), mesh_id);
        co_return;
    }
    Presence& presence = *(*arrival)->presence;
    presence_id_ = presence.id;
    if (closed_) {
        broker_.leave(presence);
        co_return;
    }
    broker_.logger.info("ws hello", {{"mesh_id", mesh_id},
                                     {"member", presence.member.display_name},
                                     {"presence_id", presence.id},
                                     {"session_id", presence.profile.session_id}});
    broker_.metrics.set_connected(broker_.registry.connected());
    reply(hello_ack_json(presence, (*arrival)->restored, request.request_id));
    broker_.delivery.wake(presence);
}

// ---- send ----

// In both dialects: older clients take any ack for success and only honour an error with the id of
// their message; newer ones read the ack.
void Session::reply_refused(const RefusedSend& refused) {
    const auto& [names, error] = refused;
    reply(error_json(error.id, error.message, names.id, names.request_id));
    reply(refused_ack_json(names.id, error.message, names.request_id));
}

void Session::refuse_send(SendNames names, Error error) {
    broker_.metrics.on_send_refused(error);
    RefusedSend refused{std::move(names), std::move(error)};
    if (sends_ == 0) {
        reply_refused(refused);
    } else {
        refused_ = std::move(refused);
    }
}

void Session::on_stored(const SendNames& names, const Result<Appended>& stored) {
    sends_ -= 1;
    if (stored) {
        reply(ack_json(names.id, stored->id, names.request_id));
    } else {
        broker_.metrics.on_rejected("busy");
        reply_refused({names, errors::busy().error()});
    }
    if (refused_ && sends_ == 0) {
        reply_refused(*std::exchange(refused_, std::nullopt));
    }
    pump();
    hold_back();
}

void Session::send_envelope(const ClientRequest& request) {
    Presence& sender = *presence();
    SendNames names{text_or_empty(request.fields, "id"), request.request_id};
    auto send = read_send(request, broker_.config.message_bytes_max);
    if (!send) {
        refuse_send(std::move(names), std::move(send.error()));
        return;
    }
    if (!broker_.send_limiter.take(sender.member.id).allowed) {
        refuse_send(std::move(names), errors::rate_limit().error());
        return;
    }
    broker_.stamp(send->envelope,
                  {sender.member, sender.key(), sender.profile.display_name, send->ttl_seconds});
    auto stored = broker_.audited(
        send->envelope, [self = shared_from_this(), names](const Result<Appended>& appended) {
            self->on_stored(names, appended);
        });
    auto taken = broker_.delivery.send({sender.mesh_id, sender.member.key, &sender}, send->target,
                                       std::move(send->envelope), std::move(stored));
    if (taken) {
        sends_ += 1;
    } else {
        refuse_send(std::move(names), std::move(taken.error()));
    }
}

// ---- the socket's own ----

void Session::on_pong(net::WebSocket& /*socket*/, std::string_view payload) {
    Presence* peer = presence();
    if (peer == nullptr) {
        return;
    }
    peer->last_seen_at = broker_.clock.now();
    std::uint64_t ping = 0;
    const auto read = std::from_chars(payload.data(), payload.data() + payload.size(), ping);
    if (read.ec == std::errc() && read.ptr == payload.data() + payload.size()) {
        broker_.delivery.on_pong(*peer, ping);
    }
}

void Session::on_close(net::WebSocket& /*socket*/, const net::WebSocketEnd& /*end*/) {
    Presence* peer = presence();
    closed_ = true;
    waiting_.clear();
    waiting_bytes_ = 0;
    if (peer != nullptr) {
        broker_.logger.info("ws close", {{"presence_id", peer->id}});
        broker_.leave(*peer);
    }
    broker_.metrics.set_connected(broker_.registry.connected());
}

}  // namespace nave::broker
