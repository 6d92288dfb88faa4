// The observer and its page of the console: bearer BROKER_OBSERVER_TOKEN. Without that setting
// every path of it says that it is off.
#include "broker/api/context.h"
#include "broker/observer.h"
#include "net/static_files.h"

namespace nave::broker::api {
namespace {

constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

// What a state may be old when somebody asks for it.
constexpr std::chrono::milliseconds kAge{2'000};

net::Response uncached(net::Response response) {
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

// Empty: the request may go on.
std::optional<net::Response> stopped(Context& context, const net::Request& request) {
    using Kind = net::BearerGate::Verdict::Kind;
    const auto verdict = context.observer_gate->check(request);
    if (verdict.kind == Kind::open) {
        return std::nullopt;
    }
    if (verdict.kind == Kind::wrong_token) {
        return uncached(refusal(401, "the observer token is missing or wrong"));
    }
    Error error(Code::rate_limited, "rate_limit", "too many wrong tokens from this address");
    error.retry_after = verdict.retry_after;
    return uncached(render_error(error, request.request_id));
}

Task<net::Response> state(Context* context, const net::Request& request) {
    if (auto refused = stopped(*context, request)) {
        co_return std::move(*refused);
    }
    // When the database fails, the state says so and shows what was read before.
    (void)co_await context->observer->refresh(kAge);
    co_return uncached(net::json_response(200, context->observer->state_json()));
}

net::Response events(Context& context, const net::Request& request) {
    if (auto refused = stopped(context, request)) {
        return std::move(*refused);
    }
    if (context.observer->feed().full()) {
        return refusal(503, "too many observers are watching");
    }
    return context.observer->feed().subscribe(request.header("Last-Event-ID"));
}

net::Response off(const net::Request&) {
    return uncached(refusal(404, "the observer is off: set BROKER_OBSERVER_TOKEN"));
}

}  // namespace

void add_observer_routes(net::Router& router, Context& context) {
    if (context.observer == nullptr) {
        router.add(net::Method::get, "/observer", net::SyncHandler(&off));
        router.add(net::Method::get, "/observer/{path...}", net::SyncHandler(&off));
        return;
    }
    router.add(net::Method::get, "/observer/v1/state",
               net::AsyncHandler([context = &context](const net::Request& request) {
                   return state(context, request);
               }));
    router.add(net::Method::get, "/observer/v1/events",
               net::SyncHandler(
                   [&context](const net::Request& request) { return events(context, request); }),
               {.head_runs_get = false});
    net::serve_assets(router, context.assets, "dashboard", "/observer/", std::string(kPagePolicy));
}

}  // namespace nave::broker::api
