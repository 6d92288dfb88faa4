#include "net/request.h"

#include "base/check.h"
#include "base/text.h"

#include <algorithm>

namespace nave::net {

std::string_view method_name(Method method) {
    switch (method) {
        case Method::get:
            return "GET";
        case Method::head:
            return "HEAD";
        case Method::post:
            return "POST";
        case Method::put:
            return "PUT";
        case Method::patch:
            return "PATCH";
        case Method::del:
            return "DELETE";
        case Method::options:
            return "OPTIONS";
        case Method::other:
            return "OTHER";
    }
    return "OTHER";
}

std::string_view Request::header(std::string_view name) const {
    for (const Header& header : headers) {
        if (equal_ignoring_case(header.name, name)) {
            return header.value;
        }
    }
    return {};
}

std::size_t Request::header_count(std::string_view name) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        headers, [&](const Header& header) { return equal_ignoring_case(header.name, name); }));
}

const std::string& Request::param(std::string_view name) const {
    const auto found = std::ranges::find(params, name, [](const auto& pair) { return pair.first; });
    CHECK(found != params.end(), "the route has no such parameter");
    return found->second;
}

std::string Request::query_param(std::string_view name) const {
    std::string_view rest = query;
    while (!rest.empty()) {
        const auto end = rest.find('&');
        const std::string_view piece = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        const auto equals = piece.find('=');
        const auto key = percent_decode(piece.substr(0, equals));
        if (!key || *key != name) {
            continue;
        }
        if (equals == std::string_view::npos) {
            return {};
        }
        return percent_decode(piece.substr(equals + 1)).value_or(std::string());
    }
    return {};
}

std::string_view Request::bearer_token() const {
    constexpr std::string_view kScheme = "Bearer ";
    const std::string_view value = header("authorization");
    if (value.size() <= kScheme.size() ||
        !equal_ignoring_case(value.substr(0, kScheme.size()), kScheme)) {
        return {};
    }
    return trim(value.substr(kScheme.size()));
}

}  // namespace nave::net
