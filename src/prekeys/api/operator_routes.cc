// Routes for operators and tools: health, metrics, API description and reference.
#include "base/encoding.h"
#include "crypto/token.h"
#include "net/static_files.h"
#include "prekeys/api/context.h"

#include <fmt/format.h>

#include <algorithm>

namespace nave::prekeys::api {
namespace {

constexpr char kOpenApi[] = {
#embed "../openapi.yaml"
};

net::Response plain(const Health::Answer& health) {
    net::Response response = net::json_response(health.http_status, health.body);
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

net::Response metrics(Context& context, const net::Request& request) {
    const Secret& token = context.directory.config().metrics_token;
    if (!token.empty() && !crypto::is_secret(token, request.bearer_token())) {
        return render_error(errors::unauthorized("Metrics need a bearer token.").error(),
                            request.request_id);
    }
    return {200, "text/plain; version=0.0.4; charset=utf-8", context.registry.exposition()};
}

net::Response openapi(const net::Request&) {
    net::Response response;
    response.content_type = "application/yaml";
    response.fixed_body = std::string_view(kOpenApi, sizeof kOpenApi);
    response.headers.emplace_back("Cache-Control", "no-cache");
    return response;
}

// The reference page sets styles at run time, so each response allows them by a nonce of its own.
net::Response docs_page(const net::Asset& page, const net::Request&) {
    constexpr std::string_view kPlaceholder = "__CSP_NONCE__";
    SystemEntropy entropy;
    ByteArray<16> random{};
    entropy.fill(random);
    const std::string nonce = base64url(random);
    std::string html;
    html.reserve(page.bytes.size() + 64);
    std::string_view rest = page.bytes;
    for (auto at = rest.find(kPlaceholder); at != std::string_view::npos;
         at = rest.find(kPlaceholder)) {
        html.append(rest.substr(0, at)).append(nonce);
        rest.remove_prefix(at + kPlaceholder.size());
    }
    html.append(rest);
    net::Response response(200, "text/html; charset=utf-8", std::move(html));
    response.headers.emplace_back(
        "Content-Security-Policy",
        fmt::format("default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{}'; "
                    "img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; "
                    "form-action 'none'; frame-ancestors 'none'",
                    nonce));
    response.headers.emplace_back("Cache-Control", "no-store");
    response.headers.emplace_back("Referrer-Policy", "no-referrer");
    return response;
}

}  // namespace

void add_operator_routes(net::Router& router, Context& context) {
    router.add(net::Method::get, "/health", [&context](const net::Request&) {
        return plain(context.health.answer(
            fmt::format(R"("service":"prekeys","version":"{}")", context.server.version)));
    });
    router.add(net::Method::get, "/healthz",
               [](const net::Request&) { return net::json_response(200, R"({"status":"ok"})"); });
    router.add(net::Method::get, "/ready",
               [&context](const net::Request&) { return plain(context.health.readiness()); });
    router.add(net::Method::get, "/metrics",
               [&context](const net::Request& request) { return metrics(context, request); });
    router.add(net::Method::get, "/openapi.yaml", &openapi);
    const auto page = std::ranges::find(context.assets, "docs/index.html", &net::Asset::path);
    if (page != context.assets.end()) {
        router.add(net::Method::get, "/docs",
                   [page](const net::Request& request) { return docs_page(*page, request); });
        net::serve_assets(router, context.assets, "docs/assets", "/docs/assets/",
                          "default-src 'none'");
    }
}

}  // namespace nave::prekeys::api
