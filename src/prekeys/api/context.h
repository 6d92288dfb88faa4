// What the route families share, and the few steps every handler begins or ends with.
#pragma once

#include "base/json_reader.h"
#include "net/router.h"
#include "prekeys/cleanup.h"
#include "prekeys/directory.h"
#include "prekeys/errors.h"
#include "prekeys/metrics.h"
#include "prekeys/observer.h"
#include "prekeys/observer_auth.h"
#include "prekeys/owner_events.h"
#include "prekeys/transparency.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/metrics.h"

#include <memory>
#include <span>
#include <string>

namespace nave::net {
struct Asset;
}

namespace nave::prekeys::api {

struct ServerIdentity {
    std::string version;
    std::string commit;
    std::string boot_id;
    std::string storage_kind;  // "sqlite" or "postgres"
    UnixMillis started_at = 0;
};

// Lives as long as the router whose handlers use it.
struct Context {
    Directory& directory;
    ServiceMetrics& metrics;
    Metrics& registry;
    Observer& observer;
    ObserverAuth* observer_auth;  // null: the observer is off
    OwnerEvents& owner_events;
    StaleCleanup& cleanup;
    Transparency& transparency;
    Health& health;
    Logger& logger;
    storage::Database& database;
    ServerIdentity server;
    std::span<const net::Asset> assets;
};

inline constexpr std::size_t kBodyMax = 64 * 1024;
inline constexpr std::size_t kKemBodyMax = 512 * 1024;  // 100 Kyber1024 keys are 223 KB of JSON

[[nodiscard]] Caller caller_of(const net::Request& request);
// The body as an object; SHADE_VALIDATION otherwise.
[[nodiscard]] Result<json::Value> read_object(const net::Request& request);
// Only KEM suites may use the larger body.
[[nodiscard]] Result<void> check_body_size(const net::Request& request, Suite suite);
// Renders an error; logs and counts those that are the server's own.
[[nodiscard]] net::Response failed(Context& context, const net::Request& request,
                                   std::string_view operation, const Error& error);
// A JSON answer that no cache may keep.
[[nodiscard]] net::Response answer(int status, std::string body);
// Error SHADE_SHUTTING_DOWN while the process stops.
[[nodiscard]] Result<void> check_running(const Context& context);

using Coroutine = Task<Result<net::Response>> (*)(Context& context, const net::Request& request);
// Runs `handler` and renders what fails; `operation` labels storage errors.
[[nodiscard]] net::AsyncHandler handler(Context& context, std::string_view operation,
                                        Coroutine coroutine);

// ---- one function per route family ----
void add_upload_routes(net::Router& router, Context& context);    // register, replenish, rotate...
void add_fetch_routes(net::Router& router, Context& context);     // bundle, claim, identity, check
void add_owner_routes(net::Router& router, Context& context);     // count, events, delete
void add_operator_routes(net::Router& router, Context& context);  // health, metrics, docs
void add_observer_routes(net::Router& router, Context& context);
void add_transparency_routes(net::Router& router, Context& context);

}  // namespace nave::prekeys::api
