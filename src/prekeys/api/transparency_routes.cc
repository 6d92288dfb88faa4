// The key-transparency log: checkpoint, tiles, proofs, keys.
#include "base/encoding.h"
#include "base/text.h"
#include "prekeys/api/context.h"
#include "prekeys/transparency.h"

#include <fmt/format.h>

namespace nave::prekeys::api {
namespace {

Task<Result<net::Response>> checkpoint(Context& context, const net::Request&) {
    CO_TRY(SignedTree tree, co_await context.transparency.latest());
    net::Response response(200, "text/plain; charset=utf-8", std::move(tree.note));
    response.headers.emplace_back("Cache-Control", "no-cache");
    co_return response;
}

Task<Result<net::Response>> tile(Context& context, const net::Request& request) {
    const auto path = kt::parse_tile_path("tile/" + request.param("path"));
    if (!path) {
        co_return errors::not_found("That is not a tile of this log.");
    }
    CO_TRY(const Bytes bytes, co_await context.transparency.tile(*path));
    net::Response response(200, "application/octet-stream", std::string(as_text(bytes)));
    response.headers.emplace_back(
        "Cache-Control", path->is_full() ? "public, max-age=31536000, immutable" : "no-cache");
    co_return response;
}

Task<Result<net::Response>> proof(Context& context, const net::Request& request) {
    CO_TRY(const Address address, Address::parse(request.param("address")));
    std::optional<std::uint64_t> since;
    if (const std::string text = request.query_param("since"); !text.empty()) {
        const auto number = parse_int(text);
        if (!number || *number < 0) {
            co_return errors::invalid_field("since", "must be the size of an earlier tree");
        }
        since = static_cast<std::uint64_t>(*number);
    }
    CO_TRY_VOID(context.directory.admit_fetch(caller_of(request)));
    CO_TRY(std::string document, co_await context.transparency.history(address, since));
    co_return answer(200, std::move(document));
}

net::Response keys(const Context& context) {
    const Transparency& log = context.transparency;
    std::string body = R"({"origin":)";
    json::append_quoted(body, log.origin());
    body.append(R"(,"vkey":)");
    json::append_quoted(body, log.vkey());
    fmt::format_to(std::back_inserter(body), R"(,"vrfPublicKey":"{}"}})",
                   base64(log.vrf_public_key()));
    return net::json_response(200, std::move(body));
}

}  // namespace

void add_transparency_routes(net::Router& router, Context& context) {
    router.add(net::Method::get, "/v1/kt/checkpoint", handler(context, "kt", &checkpoint));
    router.add(net::Method::get, "/v1/kt/tile/{path...}", handler(context, "kt", &tile));
    router.add(net::Method::get, "/v1/kt/proof/{address}", handler(context, "kt", &proof));
    router.add(net::Method::get, "/v1/kt/keys",
               [&context](const net::Request&) { return keys(context); });
}

}  // namespace nave::prekeys::api
