// The routes of the original: the socket, health and metrics, hooks, joining.
#include "base/json_reader.h"
#include "base/json_writer.h"
#include "broker/api/context.h"
#include "broker/cluster.h"
#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/hex_key.h"
#include "broker/ids.h"
#include "broker/invite.h"
#include "broker/session.h"
#include "broker/wire.h"
#include "crypto/token.h"
#include "net/websocket.h"

#include <fmt/format.h>

namespace nave::broker::api {

net::Response refusal(int status, std::string_view error) {
    std::string body;
    json::ObjectWriter writer(body);
    writer.boolean("ok", false);
    writer.text("error", error);
    writer.close();
    return net::json_response(status, std::move(body));
}

net::Response render_error(const Error& error, std::string_view /*request_id*/) {
    const int status = net::http_status(error);
    if (status == 404) {
        return {404, "text/plain; charset=utf-8", "not found"};
    }
    net::Response response = refusal(status, error.message);
    net::set_retry_after(response, error);
    return response;
}

// ---- socket ----

void add_socket_route(net::Router& router, Context& context) {
    net::WebSocketOptions options;
    options.message_bytes_max = context.broker.config.message_bytes_max;
    // Delivery stops at half a MiB and the envelope that goes beyond; answers may be as long.
    options.buffered_bytes_max += 2 * options.message_bytes_max;
    // Peers prove who they are by their hello; a page has no credentials of theirs to abuse.
    options.origin_allowed = &net::any_origin;
    router.websocket("/ws", net::SyncHandler([&context](const net::Request&) {
                         return net::accept_websocket(std::make_shared<Session>(context.broker));
                     }),
                     std::move(options));
    router.cut_other_upgrades();
}

// ---- health and metrics ----

namespace {

net::Response health(const Context& context) {
    const bool up = !context.database.trouble();
    std::string body;
    json::ObjectWriter writer(body);
    const Cluster* cluster = context.broker.cluster;
    const bool heard = cluster == nullptr || !cluster->degraded();
    writer.plain("status", up && heard ? "ok" : "degraded");
    writer.plain("db", up ? "up" : "down");
    if (cluster != nullptr) {
        writer.plain("bus", heard ? "up" : "down");
    }
    writer.text("version", context.version);
    writer.text("gitSha", context.commit);
    writer.integer("uptime", context.health.uptime_seconds());
    writer.close();
    net::Response response = net::json_response(up ? 200 : 503, std::move(body));
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

net::Response metrics(const Context& context, const net::Request& request) {
    const Secret& token = context.broker.config.metrics_token;
    if (!token.empty() && !crypto::is_secret(token, request.bearer_token())) {
        return refusal(401, "metrics need a bearer token");
    }
    return {200, "text/plain; version=0.0.4; charset=utf-8", context.registry.exposition()};
}

net::Response answer_of(const Health::Answer& answer) {
    net::Response response = net::json_response(answer.http_status, answer.body);
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

net::Response no_content(const net::Request&) {
    return {204, {}, {}};
}

}  // namespace

void add_operator_routes(net::Router& router, Context& context) {
    router.add(net::Method::get, "/health",
               net::SyncHandler([&context](const net::Request&) { return health(context); }));
    router.add(net::Method::get, "/healthz", net::SyncHandler([](const net::Request&) {
                   return net::json_response(200, R"({"status":"ok"})");
               }));
    router.add(net::Method::get, "/ready", net::SyncHandler([&context](const net::Request&) {
                   return answer_of(context.health.readiness());
               }));
    router.add(net::Method::get, "/metrics",
               net::SyncHandler(
                   [&context](const net::Request& request) { return metrics(context, request); }));
    router.add(net::Method::options, "/{path...}", net::SyncHandler(&no_content));
    router.default_header("Access-Control-Allow-Origin", "*");
    router.default_header("Access-Control-Allow-Methods", "POST, GET, OPTIONS");
    router.default_header("Access-Control-Allow-Headers", "Content-Type, Authorization");
}

// ---- hooks ----

namespace {

constexpr std::size_t kCwdBytes = 4'096;

std::int64_t pid_of(const json::Object& object) {
    const json::Value* value = object.if_contains("pid");
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

net::Response set_status(Context& context, const net::Request& request) {
    Broker& broker = context.broker;
    broker.metrics.on_hook();
    const SteadyTime began = broker.clock.steady();
    const auto body = json::parse(request.body, {.depth_max = 16, .floats_allowed = true});
    if (!body || !body->is_object()) {
        return refusal(500, "the body is not a JSON object");
    }
    const json::Object& fields = body->get_object();
    const std::string cwd = text_or_empty(fields, "cwd");
    const std::string status_text = text_or_empty(fields, "status");
    const std::int64_t pid = pid_of(fields);
    if (cwd.empty() || status_text.empty() || cwd.size() > kCwdBytes) {
        return refusal(200, "cwd and status are required");
    }
    if (!context.hooks.take(fmt::format("{}:{}", pid, cwd)).allowed) {
        broker.metrics.on_hook_limited();
        broker.logger.warn("hook rate limited", {{"cwd", cwd}, {"pid", pid}});
        return refusal(429, "rate limited");
    }
    const auto status = parse_status(status_text);
    if (!status) {
        return refusal(500, "status must be idle, working or dnd");
    }
    const HookOutcome outcome = broker.on_hook(pid, cwd, *status);
    const bool pending = outcome.presence_id.empty();
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(broker.clock.steady() - began);
    broker.logger.info("hook", {{"route", "/hook/set-status"},
                                {"cwd", cwd},
                                {"pid", pid},
                                {"status", status_text},
                                {"presence_id", outcome.presence_id},
                                {"pending", pending},
                                {"latency_ms", took.count()}});
    std::string answer;
    json::ObjectWriter writer(answer);
    writer.boolean("ok", true);
    if (pending) {
        writer.boolean("pending", true);
    } else {
        writer.plain("presence_id", outcome.presence_id);
    }
    writer.close();
    return net::json_response(200, std::move(answer));
}

}  // namespace

void add_hook_routes(net::Router& router, Context& context) {
    router.add(net::Method::post, "/hook/set-status",
               net::SyncHandler([&context](const net::Request& request) {
                   return set_status(context, request);
               }),
               {.body_max = context.broker.config.message_bytes_max});
}

// ---- joining ----

namespace {

constexpr std::size_t kDisplayNameBytes = 256;

struct JoinBody {
    std::string token;
    SignedInvite invite;
    Key peer_key{};
    std::string display_name;
};

Result<JoinBody> read_join(std::string_view text) {
    const auto body = json::parse(text, {.depth_max = 16, .floats_allowed = true});
    if (!body || !body->is_object()) {
        return errors::invalid_argument("the body is not a JSON object");
    }
    const json::Object& fields = body->get_object();
    JoinBody join;
    join.token = text_or_empty(fields, "invite_token");
    join.display_name = text_or_empty(fields, "display_name");
    const std::string peer = text_or_empty(fields, "peer_pubkey");
    const json::Value* payload = fields.if_contains("invite_payload");
    if (join.token.empty() || join.display_name.empty() || peer.empty() || payload == nullptr ||
        !payload->is_object()) {
        return errors::invalid_argument(
            "invite_token, invite_payload, peer_pubkey and display_name are required");
    }
    if (join.display_name.size() > kDisplayNameBytes) {
        return errors::invalid_argument("display_name is longer than 256 bytes");
    }
    const auto lower = lower_hex_key(peer);
    const auto key = lower ? parse_hex_key(*lower) : std::nullopt;
    if (!key) {
        return errors::invalid_argument("peer_pubkey must be 64 hex characters");
    }
    join.peer_key = *key;
    TRY(join.invite, parse_invite(payload->get_object()));
    return join;
}

Task<Result<JoinOutcome>> join_mesh(Context& context, JoinBody body) {
    CO_TRY_VOID(co_await context.workers.run(
        [invite = body.invite]() -> Result<void> { return verify_invite(invite); }));
    Broker& broker = context.broker;
    JoinRequest request;
    request.mesh_id = body.invite.terms.mesh_id;
    // A payload must not ride on the uses of another invite: no invite has the empty token.
    request.token = token_holds(body.token, body.invite) ? body.token : std::string();
    request.owner_key = body.invite.owner_key;
    request.role = body.invite.terms.role;
    request.peer_key = body.peer_key;
    request.display_name = body.display_name;
    request.new_member_id = new_id(broker.entropy);
    request.now = broker.clock.now();
    CO_TRY(JoinOutcome outcome, co_await broker.meshes.join(std::move(request)));
    if (!outcome.already_member) {
        broker.registry.add_member(outcome.member);
    }
    co_return outcome;
}

Task<net::Response> join(Context* context, const net::Request& request) {
    const Broker& broker = context->broker;
    const SteadyTime began = broker.clock.steady();
    auto body = read_join(request.body);
    if (!body) {
        co_return refusal(400, body.error().message);
    }
    const std::string peer = hex_key(body->peer_key);
    const auto outcome = co_await join_mesh(*context, std::move(*body));
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(broker.clock.steady() - began);
    broker.logger.info("join", {{"route", "/join"},
                                {"pubkey", std::string_view(peer).substr(0, 12)},
                                {"ok", outcome.has_value()},
                                {"error", outcome ? std::string() : outcome.error().id},
                                {"already_member", outcome && outcome->already_member},
                                {"latency_ms", took.count()}});
    if (!outcome) {
        const bool ours = outcome.error().code == Code::unavailable ||
                          outcome.error().code == Code::timeout ||
                          outcome.error().code == Code::internal;
        co_return refusal(ours ? 500 : 400,
                          ours ? "the database cannot be used" : outcome.error().id);
    }
    std::string answer;
    json::ObjectWriter writer(answer);
    writer.boolean("ok", true);
    writer.plain("memberId", outcome->member.id);
    if (outcome->already_member) {
        writer.boolean("alreadyMember", true);
    }
    writer.close();
    co_return net::json_response(200, std::move(answer));
}

}  // namespace

void add_join_routes(net::Router& router, Context& context) {
    router.add(net::Method::post, "/join",
               net::AsyncHandler([context = &context](const net::Request& request) {
                   return join(context, request);
               }),
               {.body_max = context.broker.config.message_bytes_max});
}

}  // namespace nave::broker::api
