#include "net/response.h"

#include "base/json.h"
#include "net/http_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace nave::net {
namespace {

// Conditions of HTTP itself that the error codes do not tell apart.
struct ProtocolStatus {
    std::string_view id;
    int status;
};
constexpr std::array kProtocolStatus = {
    ProtocolStatus{"net.method_not_allowed", 405}, ProtocolStatus{"net.request_timeout", 408},
    ProtocolStatus{"net.target_too_long", 414},    ProtocolStatus{"net.expectation", 417},
    ProtocolStatus{"net.upgrade_required", 426},   ProtocolStatus{"net.websocket_version", 426},
    ProtocolStatus{"net.head_too_large", 431},     ProtocolStatus{"net.too_many_headers", 431},
    ProtocolStatus{"net.transfer_coding", 501},    ProtocolStatus{"net.http_version", 505},
};

std::string_view problem_title(int status) {
    const std::string_view reason = reason_phrase(status);
    return reason.empty() ? "Error" : reason;
}

}  // namespace

int http_status(Code code) {
    switch (code) {
        case Code::invalid:
            return 400;
        case Code::unauthenticated:
            return 401;
        case Code::forbidden:
            return 403;
        case Code::not_found:
            return 404;
        case Code::conflict:
            return 409;
        case Code::gone:
            return 410;
        case Code::too_large:
            return 413;
        case Code::unprocessable:
            return 422;
        case Code::rate_limited:
            return 429;
        case Code::unavailable:
        case Code::cancelled:
            return 503;
        case Code::timeout:
            return 504;
        case Code::internal:
            return 500;
    }
    return 500;
}

int http_status(const Error& error) {
    const auto* const found =
        std::ranges::find(kProtocolStatus, std::string_view(error.id), &ProtocolStatus::id);
    return found != kProtocolStatus.end() ? found->status : http_status(error.code);
}

void set_retry_after(Response& response, const Error& error) {
    if (error.retry_after && (response.status == 429 || response.status == 503)) {
        const auto whole = std::chrono::ceil<std::chrono::seconds>(*error.retry_after).count();
        response.headers.emplace_back("Retry-After", fmt::format("{}", std::max(whole, 1L)));
    }
}

Response problem_response(const Error& error, std::string_view request_id) {
    const int status = http_status(error);
    std::string body = R"({"type":"about:blank","title":)";
    json::append_quoted(body, problem_title(status));
    fmt::format_to(std::back_inserter(body), R"(,"status":{},"detail":)", status);
    json::append_quoted(body, error.message);
    body.append(R"(,"code":)");
    json::append_quoted(body, error.id);
    if (!error.details_json.empty()) {
        body.append(R"(,"details":)").append(error.details_json);
    }
    if (!request_id.empty()) {
        body.append(R"(,"requestId":)");
        json::append_quoted(body, request_id);
    }
    body.push_back('}');
    Response response(status, "application/problem+json", std::move(body));
    set_retry_after(response, error);
    return response;
}

}  // namespace nave::net
