#include "prekeys/errors.h"

#include "base/json.h"

#include <fmt/format.h>

#include <algorithm>

namespace nave::prekeys {
namespace {

const PublicError& of_kind(const Error& error) {
    static const auto by_id = [](std::string_view id) -> const PublicError& {
        return *std::ranges::find(public_errors(), id, &PublicError::id);
    };
    if (error.id == "net.method_not_allowed") {
        return by_id("SHADE_METHOD_NOT_ALLOWED");
    }
    switch (error.code) {
        case Code::invalid:
        case Code::unprocessable:
            return by_id("SHADE_VALIDATION");
        case Code::unauthenticated:
            return by_id("SHADE_UNAUTHORIZED");
        case Code::forbidden:
            return by_id("SHADE_FORBIDDEN");
        case Code::not_found:
        case Code::gone:
            return by_id("SHADE_NOT_FOUND");
        case Code::too_large:
            return by_id("SHADE_BODY_TOO_LARGE");
        case Code::rate_limited:
            return by_id("SHADE_RATE_LIMITED");
        case Code::unavailable:
        case Code::timeout:
        case Code::cancelled:
            return by_id("SHADE_STORAGE");
        case Code::conflict:
        case Code::internal:
            break;
    }
    return by_id("SHADE_INTERNAL");
}

// What HTTP itself refuses with a status that the contract has no code for: 408, 414, 417, 431...
bool is_of_http(const Error& error) {
    return error.id.starts_with("net.") && error.id != "net.method_not_allowed" &&
           net::http_status(error) != net::http_status(error.code);
}

struct Shown {
    std::string_view id;
    std::string_view message;
    int status;
};

Shown shown_as(const Error& error) {
    const auto& known = public_errors();
    const auto found = std::ranges::find(known, error.id, &PublicError::id);
    if (found != known.end()) {
        return {found->id, error.message, net::http_status(error.code)};
    }
    const PublicError& fallback = of_kind(error);
    // Messages of json and net errors are written for clients; those of storage are not.
    const bool keep_message = error.code == Code::invalid || error.code == Code::too_large ||
                              error.id == "app.starting" || error.id == "net.busy";
    return {
        fallback.id, keep_message ? std::string_view(error.message) : fallback.message,
        error.id.starts_with("net.") ? net::http_status(error) : net::http_status(fallback.code)};
}

}  // namespace

namespace errors {

std::unexpected<Error> with_details(std::unexpected<Error> error, std::string details_json) {
    error.error().details_json = std::move(details_json);
    return error;
}

std::unexpected<Error> invalid_field(std::string_view field, std::string_view what) {
    std::string details = R"({"field":)";
    json::append_quoted(details, field);
    details.push_back('}');
    return with_details(validation(fmt::format("{} {}.", field, what)), std::move(details));
}

std::unexpected<Error> too_many(std::string message) {
    auto error = rate_limited(std::move(message));
    error.error().retry_after = std::chrono::seconds(30);
    return error;
}

std::unexpected<Error> contradicting_field(std::string_view field, std::string_view what) {
    auto error = invalid_field(field, what);
    error.error().code = Code::unprocessable;
    return error;
}

}  // namespace errors

const std::vector<PublicError>& public_errors() {
    static const std::vector<PublicError> all = {
#define PREKEYS_ERROR(name, kind, id, text) {id, Code::kind, text},
#include "prekeys/errors.def"
#undef PREKEYS_ERROR
    };
    return all;
}

std::string error_object(const Error& error, std::string_view request_id) {
    const Shown shown = shown_as(error);
    std::string out = R"({"code":)";
    json::append_quoted(out, shown.id);
    out.append(R"(,"message":)");
    json::append_quoted(out, shown.message);
    out.append(R"(,"requestId":)");
    json::append_quoted(out, request_id);
    if (error.retry_after) {
        fmt::format_to(std::back_inserter(out), R"(,"retryAfterMs":{})",
                       error.retry_after->count());
    }
    if (!error.details_json.empty()) {
        out.append(R"(,"details":)").append(error.details_json);
    }
    out.push_back('}');
    return out;
}

net::Response render_error(const Error& error, std::string_view request_id) {
    if (is_of_http(error)) {
        return net::problem_response(error, request_id);
    }
    net::Response response = net::json_response(
        shown_as(error).status, fmt::format(R"({{"error":{}}})", error_object(error, request_id)));
    response.headers.emplace_back("Cache-Control", "no-store");
    net::set_retry_after(response, error);
    return response;
}

}  // namespace nave::prekeys
