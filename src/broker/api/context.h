// What the routes share, and their registration.
#pragma once

#include "broker/admin.h"
#include "broker/broker.h"
#include "broker/http_peers.h"
#include "broker/observer.h"
#include "net/bearer_gate.h"
#include "net/rate_limit.h"
#include "net/router.h"
#include "net/static_files.h"
#include "runtime/health.h"
#include "runtime/metrics.h"
#include "runtime/worker_pool.h"
#include "storage/database.h"

#include <optional>
#include <span>
#include <string>

namespace nave::broker::api {

struct Context {
    Broker& broker;
    Admin& admin;
    HttpPeers& peers;
    const Health& health;
    Metrics& registry;
    WorkerPool& workers;
    const storage::Database& database;
    std::string version;
    std::string commit;
    // Hook calls per process id and directory.
    net::RateLimiter hooks;
    Observer* observer;                            // null: it is off
    std::optional<net::BearerGate> observer_gate;  // set when it is on
    std::span<const net::Asset> assets;            // pages of the console
};

void add_socket_route(net::Router& router, Context& context);
void add_operator_routes(net::Router& router, Context& context);
void add_hook_routes(net::Router& router, Context& context);
void add_join_routes(net::Router& router, Context& context);
void add_message_routes(net::Router& router, Context& context);
void add_admin_routes(net::Router& router, Context& context);
void add_observer_routes(net::Router& router, Context& context);

// {"ok":false,"error":"..."}: how the original's HTTP side refuses.
[[nodiscard]] net::Response refusal(int status, std::string_view error);
// The form of every other error of this service: 404 is the text "not found", the rest a refusal.
[[nodiscard]] net::Response render_error(const Error& error, std::string_view request_id);

}  // namespace nave::broker::api
