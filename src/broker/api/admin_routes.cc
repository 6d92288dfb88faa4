// The admin API: bearer BROKER_ADMIN_TOKEN. What `nave broker` does on the command line, and who is
// connected now. Answers never hold an owner's secret or a mesh's root key, but for a new invite,
// whose token carries the latter.
#include "base/json_reader.h"
#include "base/json_writer.h"
#include "broker/admin_json.h"
#include "broker/api/context.h"
#include "broker/errors.h"
#include "broker/invite.h"
#include "crypto/token.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace nave::broker::api {
namespace {

constexpr std::size_t kFieldBytes = 256;
constexpr std::int64_t kInviteSecondsMax = 366 * 24 * 3600;
constexpr std::int64_t kKeySecondsMax = std::int64_t{10} * 366 * 24 * 3600;

// Unlike the original's routes these speak plain statuses: 401, 404, 409, 422...
net::Response failed(const Error& error) {
    net::Response response = refusal(net::http_status(error), error.message);
    net::set_retry_after(response, error);
    return response;
}

bool is_admin(const Context& context, const net::Request& request) {
    return crypto::is_secret(context.broker.config.admin_token, request.bearer_token());
}

Result<json::Object> read_body(const net::Request& request) {
    if (request.body.empty()) {
        return json::Object();
    }
    TRY(auto body, json::parse(request.body));
    if (!body.is_object()) {
        return errors::invalid_argument("the body is not a JSON object");
    }
    return std::move(body.get_object());
}

Task<net::Response> list_meshes(Context& context, const net::Request& /*request*/) {
    const auto meshes = co_await context.admin.meshes();
    if (!meshes) {
        co_return failed(meshes.error());
    }
    co_return net::json_response(200, list_json("meshes", *meshes, &append_mesh));
}

Task<net::Response> create_mesh(Context& context, const net::Request& request) {
    const auto body = read_body(request);
    if (!body) {
        co_return failed(body.error());
    }
    auto name = json::Reader(*body).text("name", kFieldBytes);
    if (!name) {
        co_return failed(name.error());
    }
    const auto mesh = co_await context.admin.create_mesh(std::move(*name));
    if (!mesh) {
        co_return failed(mesh.error());
    }
    std::string text;
    append_mesh(text, *mesh);
    co_return net::json_response(201, std::move(text));
}

Task<net::Response> archive_mesh(Context& context, const net::Request& request) {
    const auto mesh = co_await context.admin.archive_mesh(request.param("mesh"));
    if (!mesh) {
        co_return failed(mesh.error());
    }
    std::string text;
    append_mesh(text, *mesh);
    co_return net::json_response(200, std::move(text));
}

Task<net::Response> list_members(Context& context, const net::Request& request) {
    const auto members = co_await context.admin.members(request.param("mesh"));
    if (!members) {
        co_return failed(members.error());
    }
    co_return net::json_response(200, list_json("members", *members, &append_member));
}

Task<net::Response> revoke_member(Context& context, const net::Request& request) {
    const auto done =
        co_await context.admin.revoke_member(request.param("mesh"), request.param("member"));
    if (!done) {
        co_return failed(done.error());
    }
    co_return net::Response(204, {}, {});
}

Task<net::Response> restore_member(Context& context, const net::Request& request) {
    const auto member =
        co_await context.admin.restore_member(request.param("mesh"), request.param("member"));
    if (!member) {
        co_return failed(member.error());
    }
    std::string text;
    append_member(text, *member);
    co_return net::json_response(200, std::move(text));
}

// Where a newcomer finds this broker: as configured, else as this request found it.
std::string broker_url(const Context& context, const net::Request& request) {
    if (!context.broker.config.public_url.empty()) {
        return context.broker.config.public_url;
    }
    return fmt::format("ws://{}{}/ws", request.header("Host"), request.prefix);
}

Result<InviteWish> read_wish(const json::Object& body) {
    const json::Reader reader(body);
    InviteWish wish;
    if (reader.has("role")) {
        TRY(const std::string role, reader.text("role", kFieldBytes));
        const auto known = parse_role(role);
        if (!known) {
            return errors::invalid_argument("role must be member or admin");
        }
        wish.role = *known;
    }
    if (reader.has("maxUses")) {
        TRY(wish.max_uses, reader.integer("maxUses", 1, 100'000));
    }
    if (reader.has("validForSeconds")) {
        TRY(const std::int64_t seconds, reader.integer("validForSeconds", 1, kInviteSecondsMax));
        wish.valid_for = std::chrono::seconds(seconds);
    }
    return wish;
}

Task<net::Response> create_invite(Context& context, const net::Request& request) {
    const auto body = read_body(request);
    if (!body) {
        co_return failed(body.error());
    }
    auto wish = read_wish(*body);
    if (!wish) {
        co_return failed(wish.error());
    }
    wish->mesh = request.param("mesh");
    wish->broker_url = broker_url(context, request);
    const auto made = co_await context.admin.create_invite(std::move(*wish));
    if (!made) {
        co_return failed(made.error());
    }
    std::string text;
    append_made_invite(text, *made);
    co_return net::json_response(201, std::move(text));
}

Task<net::Response> list_invites(Context& context, const net::Request& request) {
    const auto invites = co_await context.admin.invites(request.param("mesh"));
    if (!invites) {
        co_return failed(invites.error());
    }
    co_return net::json_response(200, list_json("invites", *invites, &append_invite));
}

Task<net::Response> revoke_invite(Context& context, const net::Request& request) {
    const auto done =
        co_await context.admin.revoke_invite(request.param("mesh"), request.param("invite"));
    if (!done) {
        co_return failed(done.error());
    }
    co_return net::Response(204, {}, {});
}

Result<ApiKeyWish> read_key_wish(const json::Object& body) {
    const json::Reader reader(body);
    ApiKeyWish wish;
    TRY(wish.member_id, reader.text("memberId", kFieldBytes));
    TRY(wish.label, reader.text("label", kFieldBytes));
    TRY(wish.may_send, reader.boolean("maySend", true));
    TRY(wish.may_receive, reader.boolean("mayReceive", true));
    if (reader.has("validForSeconds")) {
        TRY(const std::int64_t seconds, reader.integer("validForSeconds", 1, kKeySecondsMax));
        wish.valid_for = std::chrono::seconds(seconds);
    }
    return wish;
}

Task<net::Response> create_api_key(Context& context, const net::Request& request) {
    const auto body = read_body(request);
    if (!body) {
        co_return failed(body.error());
    }
    auto wish = read_key_wish(*body);
    if (!wish) {
        co_return failed(wish.error());
    }
    wish->mesh = request.param("mesh");
    const auto made = co_await context.admin.create_api_key(std::move(*wish));
    if (!made) {
        co_return failed(made.error());
    }
    std::string text;
    append_made_api_key(text, *made);
    co_return net::json_response(201, std::move(text));
}

Task<net::Response> list_api_keys(Context& context, const net::Request& request) {
    const auto keys = co_await context.admin.api_keys(request.param("mesh"));
    if (!keys) {
        co_return failed(keys.error());
    }
    co_return net::json_response(200, list_json("apiKeys", *keys, &append_api_key));
}

Task<net::Response> revoke_api_key(Context& context, const net::Request& request) {
    const auto done =
        co_await context.admin.revoke_api_key(request.param("mesh"), request.param("key"));
    if (!done) {
        co_return failed(done.error());
    }
    co_return net::Response(204, {}, {});
}

using AdminHandler = Task<net::Response> (*)(Context& context, const net::Request& request);

Task<net::Response> guarded(Context* context, AdminHandler handler, const net::Request& request) {
    if (!is_admin(*context, request)) {
        co_return refusal(401, "the admin API needs its bearer token");
    }
    co_return co_await handler(*context, request);
}

}  // namespace

void add_admin_routes(net::Router& router, Context& context) {
    if (context.broker.config.admin_token.empty()) {
        return;
    }
    const auto add = [&](net::Method method, std::string_view path, AdminHandler handler) {
        router.add(method, path,
                   net::AsyncHandler([context = &context, handler](const net::Request& request) {
                       return guarded(context, handler, request);
                   }));
    };
    add(net::Method::get, "/admin/meshes", &list_meshes);
    add(net::Method::post, "/admin/meshes", &create_mesh);
    add(net::Method::post, "/admin/meshes/{mesh}/archive", &archive_mesh);
    add(net::Method::get, "/admin/meshes/{mesh}/members", &list_members);
    add(net::Method::del, "/admin/meshes/{mesh}/members/{member}", &revoke_member);
    add(net::Method::post, "/admin/meshes/{mesh}/members/{member}/restore", &restore_member);
    add(net::Method::get, "/admin/meshes/{mesh}/invites", &list_invites);
    add(net::Method::post, "/admin/meshes/{mesh}/invites", &create_invite);
    add(net::Method::del, "/admin/meshes/{mesh}/invites/{invite}", &revoke_invite);
    add(net::Method::get, "/admin/meshes/{mesh}/api-keys", &list_api_keys);
    add(net::Method::post, "/admin/meshes/{mesh}/api-keys", &create_api_key);
    add(net::Method::del, "/admin/meshes/{mesh}/api-keys/{key}", &revoke_api_key);
}

}  // namespace nave::broker::api
