#include "app/front.h"

#include "app/version.h"
#include "crypto/token.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace nave::app {
namespace {

constexpr std::string_view kLandingStyle =
    ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}"
    "body{max-width:40rem;margin:10vh auto;padding:0 1.25rem}"
    "h1{font-size:1.5rem;margin:0}p{margin:.25rem 0 2rem;opacity:.75}"
    "ul{list-style:none;padding:0;margin:0}"
    "li{border-top:1px solid color-mix(in srgb,currentColor 20%,transparent);padding:1rem 0}"
    "li strong{display:block}li a{margin-right:1rem}";

constexpr std::string_view kPolicy =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

// No body a service takes may be refused for its size only because the service is not there yet.
constexpr std::size_t kStartingBodyMax = std::size_t{1} << 20;
constexpr std::chrono::seconds kStartingRetry{1};

void add_health(net::Router& router, Health& health) {
    const auto answer = [&health](const net::Request&) {
        const auto state = health.answer(fmt::format(R"("version":"{}")", kVersion));
        net::Response response = net::json_response(state.http_status, state.body);
        response.headers.emplace_back("Cache-Control", "no-store");
        return response;
    };
    router.add(net::Method::get, "/health", answer);
    router.add(net::Method::get, "/healthz",
               [](const net::Request&) { return net::json_response(200, R"({"status":"ok"})"); });
    router.add(net::Method::get, "/ready", [&health](const net::Request&) {
        const auto state = health.readiness();
        net::Response response = net::json_response(state.http_status, state.body);
        response.headers.emplace_back("Cache-Control", "no-store");
        return response;
    });
}

net::Router starting_router(Health& health, net::ErrorRenderer render_error) {
    net::Router router(render_error);
    add_health(router, health);
    const auto starting = [render_error](const net::Request& request) {
        Error error(Code::unavailable, "app.starting", "The server is starting.");
        error.retry_after = kStartingRetry;
        return render_error(error, request.request_id);
    };
    for (const net::Method method : {net::Method::get, net::Method::post, net::Method::put,
                                     net::Method::patch, net::Method::del}) {
        router.add(method, "/{path...}", starting, {.body_max = kStartingBodyMax});
    }
    return router;
}

std::vector<Secret> metrics_tokens(const std::vector<const ServiceEntry*>& services,
                                   const Settings& settings) {
    std::vector<Secret> tokens;
    for (const ServiceEntry* service : services) {
        if (Secret token = settings.secret(service->metrics_token_setting); !token.empty()) {
            tokens.push_back(std::move(token));
        }
    }
    return tokens;
}

bool holds_one_of(const std::vector<Secret>& tokens, std::string_view offered) {
    return std::ranges::any_of(
        tokens, [&](const Secret& token) { return crypto::is_secret(token, offered); });
}

std::string landing_page(const std::vector<const ServiceEntry*>& services) {
    std::string page =
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
        "<title>Nave</title><link rel=\"stylesheet\" href=\"landing.css\"></head><body>";
    fmt::format_to(std::back_inserter(page), "<main><h1>Nave</h1><p>Version {}</p><ul>", kVersion);
    for (const ServiceEntry* service : services) {
        fmt::format_to(std::back_inserter(page),
                       "<li><strong>{0}</strong>{1}<br><a href=\"{0}/docs\">API reference</a>"
                       "<a href=\"{0}/health\">Health</a></li>",
                       service->name, service->title);
    }
    page += "</ul></main></body></html>\n";
    return page;
}

}  // namespace

Front::Front(Health& health, Metrics& metrics, const std::vector<const ServiceEntry*>& services,
             const Settings& settings, bool alone)
    : landing_page_(alone ? "" : landing_page(services)) {
    for (const ServiceEntry* service : services) {
        starting_.push_back(starting_router(health, service->render_error));
    }
    starting_root_ = starting_router(health, &net::problem_response);
    add_health(root_, health);
    root_.add(net::Method::get, "/metrics",
              [&metrics, tokens = metrics_tokens(services, settings)](const net::Request& request) {
                  if (!tokens.empty() && !holds_one_of(tokens, request.bearer_token())) {
                      return net::problem_response(Error(Code::unauthenticated, "app.metrics_token",
                                                         "Metrics need a bearer token."),
                                                   request.request_id);
                  }
                  return net::Response(200, "text/plain; version=0.0.4; charset=utf-8",
                                       metrics.exposition());
              });
    root_.add(net::Method::get, "/", [this](const net::Request&) {
        net::Response response;
        response.content_type = "text/html; charset=utf-8";
        response.fixed_body = landing_page_;
        response.headers.emplace_back("Content-Security-Policy", std::string(kPolicy));
        return response;
    });
    root_.add(net::Method::get, "/landing.css", [](const net::Request&) {
        net::Response response;
        response.content_type = "text/css; charset=utf-8";
        response.fixed_body = kLandingStyle;
        return response;
    });
}

}  // namespace nave::app
