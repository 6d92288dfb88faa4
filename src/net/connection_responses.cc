#include "net/connection.h"
#include "net/response_head.h"

#include <utility>

namespace nave::net {
namespace {

// Bodies from this size on are sent from where they are instead of being copied behind the head.
constexpr std::size_t kCopyMax = 16 * 1024;

Error error_of(HeadError error) {
    switch (error) {
        case HeadError::target_too_long:
            return {Code::invalid, "net.target_too_long", "The request target is too long."};
        case HeadError::expectation:
            return {Code::invalid, "net.expectation", "Only 100-continue can be expected."};
        case HeadError::head_too_large:
            return {Code::too_large, "net.head_too_large", "The request head is too large."};
        case HeadError::too_many_headers:
            return {Code::too_large, "net.too_many_headers", "The request has too many headers."};
        case HeadError::transfer_coding:
            return {Code::invalid, "net.transfer_coding", "Only the chunked coding is supported."};
        case HeadError::http_version:
            return {Code::invalid, "net.http_version", "Only HTTP/1.1 and HTTP/1.0 are supported."};
        case HeadError::bad_framing:
            return {Code::invalid, "net.bad_framing",
                    "Host, Content-Length or Transfer-Encoding is missing, repeated or malformed."};
        case HeadError::none:
        case HeadError::malformed:
            break;
    }
    return {Code::invalid, "net.malformed", "The request is not valid HTTP."};
}

bool has_body(int status) {
    return status != 204 && status != 304;
}

}  // namespace

Response Connection::answer_unrouted(const Routed& routed, const Request& request) const {
    const Router::Match& match = routed.match;
    if (request.path == "*") {
        return Response(204, "", "").with("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    }
    const auto render = [&](const Error& error) {
        return core_->renderer(routed)(error, routed.id.view());
    };
    if (match.bad_escape) {
        return render({Code::invalid, "net.bad_escape", "The path has a malformed escape."});
    }
    if (!match.path_known) {
        return render({Code::not_found, "net.no_route", "There is nothing at this path."});
    }
    if (routed.method == Method::options) {
        return Response(204, "", "").with("Allow", match.allow);
    }
    Response response =
        render({Code::invalid, "net.method_not_allowed", "This path does not support the method."});
    response.status = 405;
    return std::move(response).with("Allow", match.allow);
}

void Connection::respond(const Routed& routed, Response response) {
    if (response.websocket) {
        accept_upgrade(routed, response);
        return;
    }
    const bool is_head = routed.method == Method::head;
    const bool streams = response.stream != nullptr;
    const bool writes_body = has_body(response.status) && !is_head;
    const bool we_close = response.close || core_->draining;
    closing_ = closing_ || we_close || !routed.keep_alive || (streams && routed.is_http_1_0);
    // A client that did not ask for it may be sending its next request already.
    linger_ = linger_ || (we_close && routed.keep_alive);
    const std::string_view body =
        response.fixed_body.empty() ? std::string_view(response.body) : response.fixed_body;
    HeadOptions options;
    options.fixed_lines = core_->fixed_lines;
    options.request_id = routed.id.view();
    if (has_body(response.status) && !streams) {
        options.content_length = body.size();
    }
    options.default_headers =
        routed.router != nullptr ? &routed.router->default_headers() : nullptr;
    options.chunked = streams && has_body(response.status) && !routed.is_http_1_0;
    options.says_close = closing_;
    options.says_upgrade = response.status == 426;
    options.says_keep_alive = routed.is_http_1_0;
    append_response_head(core_->out, response, options);
    core_->observe(routed, response.status);
    if (streams && writes_body) {
        start_stream(response, options.chunked);
        return;
    }
    become_idle();
    if (!writes_body) {
        return;
    }
    if (body.size() < kCopyMax) {
        core_->out.append(body);
        return;
    }
    outgoing_ = std::make_unique<Outgoing>();
    outgoing_->bytes = core_->out;
    core_->out.clear();
    write_deadline_ = core_->now + core_->limits.write_timeout;
    if (response.fixed_body.empty()) {
        outgoing_->tail_owner = std::move(response.body);
        outgoing_->tail = outgoing_->tail_owner;
    } else {
        outgoing_->tail = response.fixed_body;
    }
}

void Connection::refuse(const Routed& routed, const Error& error) {
    closing_ = true;
    linger_ = true;
    Response response = core_->renderer(routed)(error, routed.id.view());
    response.status = http_status(error);
    respond(routed, std::move(response));
}

void Connection::refuse_unrouted(const Error& error) {
    Routed routed;
    core_->request_ids.next(routed.id);
    incoming_.reset();
    refuse(routed, error);
}

void Connection::refuse_head(HeadError error) {
    ++core_->stats.malformed;
    refuse_unrouted(error_of(error));
}

void Connection::become_idle() {
    phase_ = Phase::idle;
    deadline_ = core_->now + core_->limits.keep_alive_timeout;
}

}  // namespace nave::net
