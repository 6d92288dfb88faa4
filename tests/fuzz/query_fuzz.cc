// Query parameters, bearer tokens, content negotiation and route matching. The first line is the
// name of a parameter, the rest the hostile text.
#include "base/text.h"
#include "net/accept_encoding.h"
#include "net/router.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using nave::net::Method;
using nave::net::Request;
using nave::net::Response;
using nave::net::Router;

void require(bool claim) {
    if (!claim) {
        std::abort();
    }
}

const Router& sample_router() {
    static const Router router = [] {
        Router r;
        for (const char* path : {"/", "/a", "/a/{x}", "/a/{x}/b", "/{y}/b/{z}", "/f/{rest...}"}) {
            r.add(Method::get, path,
                  nave::net::SyncHandler([](const Request&) { return Response(); }));
        }
        return r;
    }();
    return router;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (text.find('\0') != std::string_view::npos) {
        return 0;  // the head parser lets no NUL through, so only an escape could make one
    }
    const auto newline = text.find('\n');
    const std::string_view name = text.substr(0, newline);
    const std::string_view hostile =
        newline == std::string_view::npos ? std::string_view() : text.substr(newline + 1);

    Request request;
    request.query = hostile;
    request.headers = {{"Authorization", hostile}};
    const std::string value = request.query_param(name);
    require(value.size() <= hostile.size() && value.find('\0') == std::string::npos);
    const std::string_view token = request.bearer_token();
    require(token.size() <= hostile.size());
    static_cast<void>(nave::net::prefers_gzip(hostile));
    require(!nave::net::matches_etag(hostile, "\"t\"") || hostile.find("\"t\"") != hostile.npos ||
            nave::trim(hostile) == "*");

    const Router::Match match = sample_router().match(Method::get, hostile);
    require(match.route == nullptr || !match.bad_escape);
    for (const auto& [key, parameter] : match.params) {
        require(parameter.find('\0') == std::string::npos);
        require(key == "rest" || !parameter.empty());
    }
    return 0;
}
