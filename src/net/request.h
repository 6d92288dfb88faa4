// Request: one HTTP request as a handler sees it. Views stay valid until the handler has returned
// its Response (for a coroutine: until it has ended).
#pragma once

#include "base/clock.h"
#include "net/ip.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nave::net {

enum class Method : std::uint8_t { get, head, post, put, patch, del, options, other };
[[nodiscard]] std::string_view method_name(Method method);

struct Header {
    std::string_view name;
    std::string_view value;
};

struct Request {
    Method method = Method::other;
    bool is_http_1_0 = false;
    std::string_view target;  // as sent: path and query, prefix included
    std::string_view path;    // as sent, without the query
    std::string_view query;   // after '?', may be empty
    std::vector<Header> headers;
    std::string_view body;
    IpAddress client;  // after trusted proxies
    std::string_view request_id;
    std::string_view prefix;  // where the service is mounted: "" or "/prekeys"
    std::vector<std::pair<std::string_view, std::string>> params;  // from the route, decoded
    SteadyTime received{};

    // First header of that name (case-insensitive), or empty.
    [[nodiscard]] std::string_view header(std::string_view name) const;
    // How often a header occurs: security headers must not be given twice.
    [[nodiscard]] std::size_t header_count(std::string_view name) const;
    // Path parameter; CHECKs that the route has it.
    [[nodiscard]] const std::string& param(std::string_view name) const;
    // First query parameter of that name, decoded ('+' is not a space); empty when absent.
    [[nodiscard]] std::string query_param(std::string_view name) const;
    // Value of "Authorization: Bearer ...", or empty.
    [[nodiscard]] std::string_view bearer_token() const;
};

}  // namespace nave::net
