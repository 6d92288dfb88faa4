// Router: the routes of one service. Templates are literal segments and {name} parameters (one
// whole segment each); a last segment {name...} takes the rest of the path. Literal beats
// parameter.
//
// The router answers by itself: 404 and 405 (with Allow) through the error renderer, OPTIONS (204
// with Allow), and HEAD by the GET handler without a body, unless the route says HEAD is not safe.
#pragma once

#include "net/request.h"
#include "net/response.h"
#include "runtime/task.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nave::net {

using SyncHandler = std::function<Response(const Request&)>;
// The request outlives the task: the connection keeps it until the response is there.
using AsyncHandler = std::function<Task<Response>(const Request&)>;

struct WebSocketOptions;

struct RouteOptions {
    std::size_t body_max = 64 * 1024;  // bytes; larger bodies get 413 unread
    bool head_runs_get = true;
};

class Router {
  public:
    explicit Router(ErrorRenderer render_error = &problem_response);
    Router(Router&&) noexcept;
    Router& operator=(Router&&) noexcept;
    ~Router();

    void add(Method method, std::string_view path_template, SyncHandler handler,
             RouteOptions options = RouteOptions());
    void add(Method method, std::string_view path_template, AsyncHandler handler,
             RouteOptions options = RouteOptions());

    // A GET route whose handler runs only for a valid WebSocket handshake and may accept it with
    // accept_websocket() (net/websocket.h). Bad handshakes get 400, 403 or 426.
    void websocket(std::string_view path_template, SyncHandler handler, WebSocketOptions options);
    void websocket(std::string_view path_template, AsyncHandler handler, WebSocketOptions options);
    // Cuts the connection of a WebSocket handshake whose target is not exactly (query and escapes
    // included) the template of such a route, without an answer.
    void cut_other_upgrades();

    // Called once per response, for metrics; for a stream when its head is ready. `route` is the
    // template ("unmatched" when none), never the raw path.
    using Observer = std::function<void(std::string_view route, Method method, int status,
                                        std::chrono::nanoseconds took)>;
    void observe(Observer observer);
    // Headers added to every response of this router.
    void default_header(std::string_view name, std::string value);

    struct Route {
        std::string path_template;
        Method method;
        RouteOptions options;
        std::variant<SyncHandler, AsyncHandler> handler;
        bool is_websocket = false;
    };
    struct Match {
        const Route* route = nullptr;  // null: the router answers by itself, as told below
        bool path_known = false;       // some other method matches
        bool bad_escape = false;       // the path has a malformed percent-escape: 400
        std::string allow;             // "GET, HEAD, OPTIONS" when path_known
        std::vector<std::pair<std::string_view, std::string>> params;
    };
    // `path` is relative to the mount, still percent-encoded.
    [[nodiscard]] Match match(Method method, std::string_view path) const;
    [[nodiscard]] std::vector<const Route*> routes() const;
    [[nodiscard]] bool cuts_other_upgrades() const;
    [[nodiscard]] ErrorRenderer error_renderer() const;
    [[nodiscard]] const Observer& observer() const;
    [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& default_headers() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace nave::net
