// The observer: state, event feed, tickets and the dashboard. Mounted only with a token.
#include "base/json.h"
#include "net/static_files.h"
#include "prekeys/api/context.h"

#include <fmt/format.h>

namespace nave::prekeys::api {
namespace {

constexpr std::string_view kDashboardPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

std::string storage_json(const Context& context) {
    const auto trouble = context.database.trouble();
    std::string out = fmt::format(R"({{"kind":"{}","healthy":{},"trouble":)",
                                  context.server.storage_kind, !trouble.has_value());
    if (trouble) {
        json::append_quoted(out, *trouble);
    } else {
        out.append("null");
    }
    out.push_back('}');
    return out;
}

std::string optional_time(const std::optional<UnixMillis>& at) {
    return at ? fmt::format("{}", *at) : "null";
}

std::string cleanup_json(const Context& context) {
    const Config& config = context.directory.config();
    return fmt::format(R"({{"staleDays":{},"intervalHours":{},"lastRunAt":{},"lastPurged":{},)"
                       R"("dryRun":{}}})",
                       config.stale_days, config.cleanup_interval.count(),
                       optional_time(context.cleanup.last_run_at()), context.cleanup.last_purged(),
                       config.cleanup_dry_run);
}

std::string transparency_json(const Context& context) {
    const auto& tree = context.transparency.last_signed();
    const auto& trouble = context.transparency.trouble();
    if (!tree && !trouble) {
        return "null";
    }
    std::string out =
        fmt::format(R"({{"treeSize":{},"checkpointAt":{},"trouble":)", tree ? tree->size : 0,
                    tree ? fmt::format("{}", tree->signed_at) : "null");
    if (trouble) {
        json::append_quoted(out, *trouble);
    } else {
        out.append("null");
    }
    out.push_back('}');
    return out;
}

net::Response state(Context& context, const net::Request& request) {
    if (const auto allowed = context.observer_auth->check(request); !allowed) {
        return render_error(allowed.error(), request.request_id);
    }
    const ServerIdentity& server = context.server;
    const Config& config = context.directory.config();
    return answer(
        200, fmt::format(R"({{"service":"prekeys","version":"{}","commit":"{}","bootId":"{}",)"
                         R"("startedAt":{},"now":{},"storage":{},{},"cleanup":{},)"
                         R"("keyTransparency":{},"observerClients":{},"lastEventId":{}}})",
                         server.version, server.commit, server.boot_id, server.started_at,
                         context.directory.clock().now(), storage_json(context),
                         context.observer.state_members(config.low_threshold),
                         cleanup_json(context), transparency_json(context),
                         context.observer.feed().clients(), context.observer.feed().last_id()));
}

net::Response events(Context& context, const net::Request& request) {
    if (const auto allowed = context.observer_auth->check_stream(request); !allowed) {
        return render_error(allowed.error(), request.request_id);
    }
    if (context.observer.feed().full()) {
        return render_error(errors::too_many("Too many observers are watching.").error(),
                            request.request_id);
    }
    return context.observer.feed().subscribe(request.header("Last-Event-ID"));
}

net::Response ticket(Context& context, const net::Request& request) {
    if (const auto allowed = context.observer_auth->check(request); !allowed) {
        return render_error(allowed.error(), request.request_id);
    }
    return answer(
        200, fmt::format(R"({{"ticket":"{}","expiresInMs":{}}})",
                         context.observer_auth->make_ticket(), ObserverAuth::kTicketLife.count()));
}

}  // namespace

void add_observer_routes(net::Router& router, Context& context) {
    if (context.observer_auth == nullptr) {
        return;
    }
    router.add(net::Method::get, "/shade-observer/health",
               [](const net::Request&) { return net::json_response(200, R"({"status":"ok"})"); });
    router.add(net::Method::get, "/shade-observer/api/state",
               [&context](const net::Request& request) { return state(context, request); });
    router.add(net::Method::get, "/shade-observer/api/events",
               [&context](const net::Request& request) { return events(context, request); },
               {.head_runs_get = false});
    router.add(net::Method::post, "/shade-observer/api/ticket",
               [&context](const net::Request& request) { return ticket(context, request); });
    net::serve_assets(router, context.assets, "dashboard", "/shade-observer/dashboard/",
                      std::string(kDashboardPolicy));
}

}  // namespace nave::prekeys::api
