#include "net/static_files.h"

#include "base/check.h"
#include "net/accept_encoding.h"

#include <memory>
#include <utility>

namespace nave::net {
namespace {

constexpr std::string_view kIndex = "index.html";

// One asset with the headers that do not depend on the request.
struct Served {
    Asset asset;
    std::string gzip_etag;  // a strong tag names bytes, so the encodings have different ones
    std::string policy;     // empty unless HTML
};

std::string gzip_etag(std::string_view etag) {
    CHECK(etag.size() > 2 && etag.starts_with('"') && etag.ends_with('"'), "a strong, quoted ETag");
    return std::string(etag.substr(0, etag.size() - 1)) + "-gz\"";
}

void add_page_headers(Response& response, const std::string& policy) {
    response.headers.emplace_back("Content-Security-Policy", policy);
    response.headers.emplace_back("X-Frame-Options", "DENY");
    response.headers.emplace_back("Referrer-Policy", "no-referrer");
    response.headers.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
    response.headers.emplace_back("Permissions-Policy",
                                  "camera=(), geolocation=(), microphone=(), payment=(), usb=()");
}

Response serve(const Served& served, const Request& request) {
    const Asset& asset = served.asset;
    const bool gzip = !asset.gzip.empty() && prefers_gzip(request.header("accept-encoding"));
    const std::string_view etag = gzip ? std::string_view(served.gzip_etag) : asset.etag;
    Response response(200, asset.content_type, "");
    if (matches_etag(request.header("if-none-match"), etag)) {
        response.status = 304;
    } else {
        response.fixed_body = gzip ? asset.gzip : asset.bytes;
        if (gzip) {
            response.headers.emplace_back("Content-Encoding", "gzip");
        }
    }
    response.headers.emplace_back("ETag", etag);
    response.headers.emplace_back(
        "Cache-Control", asset.immutable ? "public, max-age=31536000, immutable" : "no-cache");
    if (!asset.gzip.empty()) {
        response.headers.emplace_back("Vary", "Accept-Encoding");
    }
    if (!served.policy.empty()) {
        add_page_headers(response, served.policy);
    }
    return response;
}

}  // namespace

void serve_assets(Router& router, std::span<const Asset> assets, std::string_view directory,
                  std::string_view url_base, std::string content_security_policy) {
    CHECK(url_base.starts_with('/') && url_base.ends_with('/'), "a base is /…/");
    const std::string base(url_base);
    std::string below(directory);
    if (!below.empty() && !below.ends_with('/')) {
        below.push_back('/');
    }
    for (const Asset& asset : assets) {
        if (!asset.path.starts_with(below)) {
            continue;
        }
        const std::string_view name = asset.path.substr(below.size());
        const bool is_page = asset.content_type.starts_with("text/html");
        const auto served = std::make_shared<const Served>(
            Served{.asset = asset,
                   .gzip_etag = asset.gzip.empty() ? std::string() : gzip_etag(asset.etag),
                   .policy = is_page ? content_security_policy : std::string()});
        const SyncHandler handler = [served](const Request& request) {
            return serve(*served, request);
        };
        router.add(Method::get, base + std::string(name), handler);
        if (name == kIndex) {
            router.add(Method::get, base, handler);
        }
    }
    if (base.size() > 1) {
        const std::string bare = base.substr(0, base.size() - 1);
        // Relative, so that it holds wherever the service is mounted.
        const std::string target = bare.substr(bare.rfind('/') + 1) + "/";
        router.add(Method::get, bare, SyncHandler([target](const Request&) {
                       return Response(308, "", "").with("Location", target);
                   }));
    }
}

}  // namespace nave::net
