#include "net/ws_handshake.h"

#include "base/encoding.h"
#include "base/text.h"
#include "crypto/sha1.h"
#include "net/http_chars.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace nave::net {
namespace {

constexpr std::string_view kKeyHeader = "sec-websocket-key";
constexpr std::string_view kVersionHeader = "sec-websocket-version";
constexpr std::string_view kProtocolHeader = "sec-websocket-protocol";
constexpr std::string_view kVersion = "13";
constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // section 1.3

// Elements of a list header, which may stand in several lines (RFC 9110, section 5.3).
std::vector<std::string_view> list_of(const Request& request, std::string_view name) {
    std::vector<std::string_view> out;
    for (const Header& header : request.headers) {
        if (equal_ignoring_case(header.name, name)) {
            const auto elements = split(header.value, ',');
            out.insert(out.end(), elements.begin(), elements.end());
        }
    }
    return out;
}

bool lists(const Request& request, std::string_view name, std::string_view token) {
    return std::ranges::any_of(list_of(request, name), [&](std::string_view element) {
        return equal_ignoring_case(element, token);
    });
}

// 16 bytes in padded base64.
bool is_key(std::string_view text) {
    constexpr std::size_t kDigits = 22;
    const std::string_view digits = text.substr(0, kDigits);
    return text.size() == kDigits + 2 && text.ends_with("==") &&
           std::ranges::all_of(digits, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '+' || c == '/';
           });
}

std::unexpected<Error> bad_handshake(std::string message) {
    return fail(Code::invalid, "net.websocket_handshake", std::move(message));
}

Result<void> check_protocols(const Request& request) {
    std::vector<std::string_view> offered = list_of(request, kProtocolHeader);
    const bool tokens = std::ranges::all_of(
        offered, [](std::string_view one) { return all_of_class(one, kTokenChar); });
    std::ranges::sort(offered);
    if (!tokens || std::ranges::adjacent_find(offered) != offered.end()) {
        return bad_handshake("Sec-WebSocket-Protocol is malformed.");
    }
    return ok();
}

std::string_view without_default_port(std::string_view authority, std::string_view scheme) {
    const std::string_view port = scheme == "https" ? ":443" : ":80";
    return authority.ends_with(port) ? authority.substr(0, authority.size() - port.size())
                                     : authority;
}

Response refusal(const Error& error, const Request& request, ErrorRenderer render_error) {
    Response response = render_error(error, request.request_id);
    response.status = http_status(error);
    if (response.status == 426) {
        response.headers.emplace_back("Upgrade", "websocket");
        response.headers.emplace_back("Sec-WebSocket-Version", kVersion);
    }
    return response;
}

std::optional<Response> refuse(const Request& request, const WebSocketOptions& options,
                               ErrorRenderer render_error) {
    if (const auto checked = check_websocket_handshake(request, options); !checked) {
        return refusal(checked.error(), request, render_error);
    }
    return std::nullopt;
}

// Adds to an acceptance what the handshake asks for.
Response completed(Response response, const Request& request,
                   const std::shared_ptr<const WebSocketOptions>& options) {
    if (!response.websocket) {
        return response;
    }
    response.websocket->options = options;
    response.websocket->protocol = select_protocol(request, *options);
    response.headers.emplace_back("Upgrade", "websocket");
    response.headers.emplace_back("Sec-WebSocket-Accept",
                                  websocket_accept(request.header(kKeyHeader)));
    if (!response.websocket->protocol.empty()) {
        response.headers.emplace_back("Sec-WebSocket-Protocol", response.websocket->protocol);
    }
    return response;
}

Task<Response> answer(Response response) {
    co_return response;
}

// `handler` is the router's, `request` the connection's: both outlive the coroutine.
Task<Response> complete_later(const AsyncHandler& handler, const Request& request,
                              std::shared_ptr<const WebSocketOptions> options) {
    Response response = co_await handler(request);
    co_return completed(std::move(response), request, options);
}

}  // namespace

bool asks_for_websocket(const Request& request) {
    return lists(request, "upgrade", "websocket") && lists(request, "connection", "upgrade");
}

Result<void> check_websocket_handshake(const Request& request, const WebSocketOptions& options) {
    if (!asks_for_websocket(request)) {
        return fail(Code::invalid, "net.upgrade_required", "This path is for WebSocket.");
    }
    if (request.is_http_1_0) {
        return bad_handshake("WebSocket needs HTTP/1.1.");
    }
    if (request.header_count(kVersionHeader) > 1 || request.header_count(kKeyHeader) > 1) {
        return bad_handshake("A WebSocket header is given twice.");
    }
    if (request.header(kVersionHeader) != kVersion) {
        return fail(Code::invalid, "net.websocket_version",
                    "Only version 13 of the WebSocket protocol is supported.");
    }
    if (!is_key(request.header(kKeyHeader))) {
        return bad_handshake("Sec-WebSocket-Key is not 16 bytes in base64.");
    }
    TRY_VOID(check_protocols(request));
    const std::string_view origin = request.header("origin");
    const bool has_origin = request.header_count("origin") > 0;
    if (has_origin && options.origin_allowed && !options.origin_allowed(origin, request)) {
        return fail(Code::forbidden, "net.origin_refused",
                    "Pages of this origin may not connect here.", std::string(origin));
    }
    return ok();
}

std::string_view select_protocol(const Request& request, const WebSocketOptions& options) {
    for (const std::string_view offered : list_of(request, kProtocolHeader)) {
        const auto known = std::ranges::find(options.protocols, offered);
        if (known != options.protocols.end()) {
            return *known;
        }
    }
    return {};
}

std::string websocket_accept(std::string_view key) {
    return base64(crypto::sha1(as_bytes(std::string(key).append(kGuid))));
}

bool same_host_origin(std::string_view origin, const Request& request) {
    const auto end = origin.find("://");
    if (end == std::string_view::npos || request.header_count("origin") != 1) {
        return false;  // "null", of a sandboxed page or a file
    }
    const std::string_view scheme = origin.substr(0, end);
    return equal_ignoring_case(without_default_port(origin.substr(end + 3), scheme),
                               without_default_port(request.header("host"), scheme));
}

bool any_origin(std::string_view /*origin*/, const Request& /*request*/) {
    return true;
}

Response accept_websocket(std::shared_ptr<WebSocketSession> session) {
    Response response(101, "", "");
    response.websocket = std::make_shared<WebSocketUpgrade>();
    response.websocket->session = std::move(session);
    return response;
}

SyncHandler websocket_handler(SyncHandler handler, std::shared_ptr<const WebSocketOptions> options,
                              ErrorRenderer render_error) {
    return [handler = std::move(handler), options = std::move(options),
            render_error](const Request& request) {
        if (auto refused = refuse(request, *options, render_error)) {
            return std::move(*refused);
        }
        return completed(handler(request), request, options);
    };
}

AsyncHandler websocket_handler(AsyncHandler handler,
                               std::shared_ptr<const WebSocketOptions> options,
                               ErrorRenderer render_error) {
    return [handler = std::move(handler), options = std::move(options),
            render_error](const Request& request) -> Task<Response> {
        if (auto refused = refuse(request, *options, render_error)) {
            return answer(std::move(*refused));
        }
        return complete_later(handler, request, options);
    };
}

}  // namespace nave::net
