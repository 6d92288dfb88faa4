// Sending over plain HTTP and receiving by server-sent events, for members with an API key.
//
//   POST /v1/messages          fields of `send`; answers after the commit
//   GET  /v1/messages/stream   every message a socket would get, as JSON events
//   POST /v1/messages/ack      {"messageIds": [...]}
//   GET  /v1/peers             as `list_peers`
#include "base/json_reader.h"
#include "base/json_writer.h"
#include "broker/api/context.h"
#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/http_peers.h"
#include "broker/wire.h"

#include <utility>

namespace nave::broker::api {
namespace {

constexpr std::size_t kSessionBytes = 128;
constexpr std::size_t kAckMax = 1'000;

// {"ok":false,"error":"<id>","message":"..."}
net::Response failed(const Error& error) {
    std::string body;
    json::ObjectWriter writer(body);
    writer.boolean("ok", false);
    writer.text("error", error.id);
    writer.text("message", error.message);
    writer.close();
    net::Response response = net::json_response(net::http_status(error), std::move(body));
    net::set_retry_after(response, error);
    return response;
}

Result<ClientRequest> read_body(const net::Request& request) {
    auto body = json::parse(request.body, {.depth_max = 16, .floats_allowed = true});
    if (!body || !body->is_object()) {
        return errors::invalid_argument("the body is not a JSON object");
    }
    return ClientRequest{"send", {}, std::move(body->get_object()), request.body.size()};
}

Task<Result<Appended>> accept(Context& context, Caller caller, const net::Request& request) {
    if (!caller.key.may_send) {
        co_return errors::forbidden("This API key may not send.");
    }
    CO_TRY(const ClientRequest body, read_body(request));
    CO_TRY(auto send, read_send(body, context.broker.config.message_bytes_max));
    co_return co_await context.peers.send(std::move(caller), std::move(send));
}

Task<net::Response> send(Context& context, Caller caller, const net::Request& request) {
    const auto stored = co_await accept(context, std::move(caller), request);
    if (!stored) {
        context.broker.metrics.on_send_refused(stored.error());
        co_return failed(stored.error());
    }
    std::string body;
    json::ObjectWriter writer(body);
    writer.boolean("ok", true);
    writer.plain("messageId", stored->id);
    writer.boolean("queued", true);
    if (stored->repeated) {
        writer.boolean("repeated", true);
    }
    writer.close();
    co_return net::json_response(200, std::move(body));
}

Task<net::Response> stream(Context& context, Caller caller, const net::Request& request) {
    if (!caller.key.may_receive) {
        co_return failed(errors::forbidden("This API key may not receive.").error());
    }
    Profile profile;
    profile.session_id = request.query_param("session");
    if (profile.session_id.size() > kSessionBytes) {
        co_return failed(errors::invalid_argument("session is longer than 128 bytes").error());
    }
    profile.peer_type = "connector";
    if (context.peers.is_full(caller)) {
        co_return failed(errors::capacity().error());
    }
    net::Response response;
    response.content_type = "text/event-stream";
    response.headers.emplace_back("Cache-Control", "no-store");
    response.stream = [&context, caller = std::move(caller), profile = std::move(profile)](
                          std::shared_ptr<net::ResponseStream> out) mutable {
        context.peers.attach(caller, std::move(profile), std::move(out));
    };
    co_return response;
}

Task<net::Response> acknowledge(Context& context, Caller caller, const net::Request& request) {
    const auto body = read_body(request);
    if (!body) {
        co_return failed(body.error());
    }
    const auto ids = texts_field(body->fields, "messageIds", kAckMax, kSessionBytes);
    if (!ids) {
        co_return failed(ids.error());
    }
    context.peers.acknowledge(caller, *ids);
    co_return net::json_response(200, R"({"ok":true})");
}

Task<net::Response> peers(Context& context, Caller caller, const net::Request& /*request*/) {
    co_return net::json_response(
        200, peers_list_json(context.broker.registry.visible_to(caller.member), {}));
}

using KeyHandler = Task<net::Response> (*)(Context& context, Caller caller,
                                           const net::Request& request);

Task<net::Response> guarded(Context* context, KeyHandler handler, const net::Request& request) {
    auto caller = co_await context->peers.authenticate(std::string(request.bearer_token()));
    if (!caller) {
        net::Response response = failed(caller.error());
        if (response.status == 401) {
            response.headers.emplace_back("WWW-Authenticate", "Bearer");
        }
        co_return response;
    }
    co_return co_await handler(*context, std::move(*caller), request);
}

}  // namespace

void add_message_routes(net::Router& router, Context& context) {
    const auto add = [&](net::Method method, std::string_view path, KeyHandler handler,
                         net::RouteOptions options = net::RouteOptions()) {
        router.add(method, path,
                   net::AsyncHandler([context = &context, handler](const net::Request& request) {
                       return guarded(context, handler, request);
                   }),
                   options);
    };
    add(net::Method::post, "/v1/messages", &send,
        {.body_max = context.broker.config.message_bytes_max});
    add(net::Method::get, "/v1/messages/stream", &stream, {.head_runs_get = false});
    add(net::Method::post, "/v1/messages/ack", &acknowledge);
    add(net::Method::get, "/v1/peers", &peers);
}

}  // namespace nave::broker::api
