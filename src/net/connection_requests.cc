#include "net/connection.h"
#include "net/exchange.h"
#include "net/ws_handshake.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace nave::net {
namespace {

// Responses to pipelined requests beyond this wait until the client has read the ones before.
constexpr std::size_t kOutputBatchMax = 256 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

Error body_too_large() {
    return {Code::too_large, "net.body_too_large", "The body is too large."};
}

Error too_many_bodies() {
    Error error(Code::unavailable, "net.busy", "Too many request bodies are under way; try again.");
    error.retry_after = std::chrono::seconds(5);
    return error;
}

bool is_cut_upgrade(const Routed& routed, const Request& request) {
    if (routed.router == nullptr || !routed.router->cuts_other_upgrades()) {
        return false;
    }
    const Router::Route* route = routed.match.route;
    const bool names_route = route != nullptr && route->is_websocket &&
                             request.target == request.path && !request.target.contains('%');
    return !names_route && asks_for_websocket(request);
}

// Runs in a catch block.
Response failed_response(const ServerCore& core, const Routed& routed,
                         const std::exception_ptr& thrown) {
    const std::string_view route = routed.match.route->path_template;
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
        core.logger.error("handler failed", {{"requestId", routed.id.view()},
                                             {"route", route},
                                             {"error", std::string_view(e.what())}});
    } catch (...) {
        core.logger.error("handler failed", {{"requestId", routed.id.view()}, {"route", route}});
    }
    const Error error(Code::internal, "internal", "The server failed to handle the request.");
    return core.renderer(routed)(error, routed.id.view());
}

}  // namespace

bool Connection::may_parse() const {
    const bool reading = phase_ == Phase::idle || phase_ == Phase::head || phase_ == Phase::body ||
                         phase_ == Phase::fresh;
    return reading && !closing_ && !outgoing_ && core_->out.size() < kOutputBatchMax;
}

void Connection::consume(std::string_view input) {
    core_->is_parsing = true;
    consume_requests(input);
    core_->is_parsing = false;
}

void Connection::consume_requests(std::string_view input) {
    while (!input.empty() && may_parse()) {
        if (phase_ == Phase::body) {
            if (!continue_body(input)) {
                break;
            }
            continue;
        }
        if (phase_ == Phase::head) {
            std::swap(core_->parser, incoming_->head);
        } else {
            core_->parser.reset();
            phase_ = Phase::head;
            deadline_ = core_->now + core_->limits.head_timeout;
        }
        const HeadLimits limits{.head_bytes_max = core_->limits.head_bytes_max,
                                .headers_max = core_->limits.headers_max};
        switch (core_->parser.parse(input, limits)) {
            case HeadParser::Status::need_more:
                keep_partial_head(input);
                return;
            case HeadParser::Status::failed:
                refuse_head(core_->parser.error());
                break;
            case HeadParser::Status::done:
                incoming_.reset();
                begin_request(input);
                break;
        }
    }
    if (phase_ == Phase::closed || input.empty()) {
        return;
    }
    if (closing_) {
        linger_ = true;
    } else {
        hold(input);
    }
}

void Connection::keep_partial_head(std::string_view input) {
    if (!incoming_) {
        incoming_ = std::make_unique<Incoming>();
    }
    std::swap(core_->parser, incoming_->head);
    // `input` begins with what was kept before.
    incoming_->bytes.append(input.substr(incoming_->bytes.size()));
}

void Connection::hold(std::string_view input) {
    if (!incoming_) {
        incoming_ = std::make_unique<Incoming>();
    }
    incoming_->bytes.append(input);
}

void Connection::begin_request(std::string_view& input) {
    const HeadParser& head = core_->parser;
    const std::string_view head_bytes = input.substr(0, head.head_size());
    const Routed& routed = core_->routed;
    core_->route(head, head_bytes, peer_, core_->routed, core_->request);
    if (is_cut_upgrade(routed, core_->request)) {
        closing_ = true;
        input = {};
        become_idle();
        return;
    }
    const std::uint64_t length = head.content_length().value_or(0);
    if (length == 0 && !head.is_chunked()) {
        input.remove_prefix(head_bytes.size());
        dispatch(head_bytes, {});
        return;
    }
    const Router::Route* route = routed.match.route;
    const std::size_t body_max = (route != nullptr ? route->options : RouteOptions()).body_max;
    // Nobody is invited to send a body that has no handler.
    if (length > body_max || (route == nullptr && head.expects_continue())) {
        closing_ = true;
        linger_ = true;
        input = {};
        if (route != nullptr) {
            refuse(routed, body_too_large());
        } else {
            respond(routed, answer_unrouted(routed, core_->request));
        }
        return;
    }
    if (!head.is_chunked() && input.size() - head_bytes.size() >= length) {
        const std::string_view body = input.substr(head_bytes.size(), length);
        input.remove_prefix(head_bytes.size() + length);
        dispatch(head_bytes, body);
        return;
    }
    begin_body(input, body_max);
}

void Connection::begin_body(std::string_view& input, std::size_t body_max) {
    incoming_ = std::make_unique<Incoming>();
    std::swap(incoming_->head, core_->parser);
    incoming_->routed = std::move(core_->routed);
    const HeadParser& head = incoming_->head;
    incoming_->bytes = input.substr(0, head.head_size());
    input.remove_prefix(head.head_size());
    incoming_->body_missing = head.content_length().value_or(0);
    if (head.is_chunked()) {
        incoming_->chunked.emplace(body_max);
    }
    incoming_->share = BodyBudget::Share(core_->bodies);
    phase_ = Phase::body;
    deadline_ = core_->now + core_->limits.body_timeout;
    if (head.expects_continue() && input.empty()) {
        core_->out.append(kContinue);
    }
}

// True when the loop over the input goes on, with this request answered or the connection closing.
bool Connection::continue_body(std::string_view& input) {
    Incoming& in = *incoming_;
    if (!in.chunked) {
        const std::size_t n = std::min<std::uint64_t>(in.body_missing, input.size());
        if (!in.share.grow(n)) {
            ++core_->stats.refused_bodies;
            refuse_body(too_many_bodies());
            return true;
        }
        in.bytes.append(input.substr(0, n));
        input.remove_prefix(n);
        in.body_missing -= n;
        if (in.body_missing == 0) {
            dispatch_incoming();
        }
        return true;
    }
    const std::size_t before = in.chunked->body().size();
    const ChunkedBody::Status status = in.chunked->decode(input);
    if (!in.share.grow(in.chunked->body().size() - before)) {
        ++core_->stats.refused_bodies;
        refuse_body(too_many_bodies());
        return true;
    }
    switch (status) {
        case ChunkedBody::Status::need_more:
            return false;
        case ChunkedBody::Status::done:
            dispatch_incoming();
            return true;
        case ChunkedBody::Status::malformed:
            ++core_->stats.malformed;
            refuse_body({Code::invalid, "net.bad_chunk", "The chunked body is malformed."});
            break;
        case ChunkedBody::Status::too_large:
            refuse_body(body_too_large());
            break;
    }
    return true;
}

void Connection::refuse_body(const Error& error) {
    const std::unique_ptr<Incoming> in = std::move(incoming_);
    if (in->routed.match.route != nullptr) {
        refuse(in->routed, error);
        return;
    }
    in->head.bind(core_->request, in->bytes);
    closing_ = true;
    linger_ = true;
    respond(in->routed, answer_unrouted(in->routed, core_->request));
}

void Connection::dispatch_incoming() {
    const std::unique_ptr<Incoming> in = std::move(incoming_);
    core_->routed = std::move(in->routed);
    std::swap(core_->parser, in->head);
    const Router::Route* route = core_->routed.match.route;
    const auto* async = route != nullptr ? std::get_if<AsyncHandler>(&route->handler) : nullptr;
    if (async != nullptr) {
        spawn(*async, std::move(in->bytes), in->chunked ? in->chunked->take_body() : std::string(),
              std::move(in->share));
        return;
    }
    const std::size_t head_size = core_->parser.head_size();
    const std::string_view bytes = in->bytes;
    core_->parser.bind(core_->request, bytes.substr(0, head_size));
    dispatch(bytes.substr(0, head_size),
             in->chunked ? std::string_view(in->chunked->body()) : bytes.substr(head_size));
}

// The scratch Routed and Request are set, the latter without its body.
void Connection::dispatch(std::string_view head_bytes, std::string_view body) {
    const Router::Route* route = core_->routed.match.route;
    if (route == nullptr) {
        respond(core_->routed, answer_unrouted(core_->routed, core_->request));
    } else if (const auto* sync = std::get_if<SyncHandler>(&route->handler)) {
        core_->request.body = body;
        run(*sync);
    } else {
        std::string bytes;
        bytes.reserve(head_bytes.size() + body.size());
        bytes.append(head_bytes).append(body);
        // It came in one piece and is no larger than that; only counted.
        BodyBudget::Share share(core_->bodies);
        share.count(body.size());
        spawn(std::get<AsyncHandler>(route->handler), std::move(bytes), {}, std::move(share));
    }
}

namespace {

void complete(Request& request, Routed& routed) {
    request.client = routed.client;
    request.request_id = routed.id.view();
    request.prefix = routed.prefix;
    request.params = std::move(routed.match.params);
    request.received = routed.received;
}

}  // namespace

void Connection::run(const SyncHandler& handler) {
    Routed& routed = core_->routed;
    complete(core_->request, routed);
    Response response;
    try {
        response = handler(core_->request);
    } catch (...) {
        response = failed_response(*core_, routed, std::current_exception());
    }
    respond(routed, std::move(response));
}

void Connection::spawn(const AsyncHandler& handler, std::string bytes, std::string chunked_body,
                       BodyBudget::Share share) {
    auto exchange = std::make_shared<Exchange>();
    exchange->share = std::move(share);
    exchange->connection = this;
    exchange->core = core_->shared_from_this();
    exchange->bytes = std::move(bytes);
    exchange->chunked_body = std::move(chunked_body);
    exchange->routed = std::move(core_->routed);
    const HeadParser& head = core_->parser;
    const std::string_view all = exchange->bytes;
    head.bind(exchange->request, all);
    exchange->request.body =
        head.is_chunked() ? std::string_view(exchange->chunked_body) : all.substr(head.head_size());
    complete(exchange->request, exchange->routed);
    phase_ = Phase::handling;
    exchange->in_running = core_->running.insert(core_->running.end(), exchange.get());

    try {
        Exchange& started = *exchange;
        boost::asio::co_spawn(core_->loop.executor(), handler(started.request),
                              boost::asio::bind_cancellation_slot(
                                  started.cancel.slot(),
                                  [exchange](const std::exception_ptr& thrown, Response response) {
                                      finish(exchange, thrown, std::move(response));
                                  }));
    } catch (...) {
        core_->running.erase(exchange->in_running);
        respond(exchange->routed,
                failed_response(*core_, exchange->routed, std::current_exception()));
    }
}

void Connection::finish(const std::shared_ptr<Exchange>& exchange, const std::exception_ptr& thrown,
                        Response response) {
    ServerCore& core = *exchange->core;
    core.running.erase(exchange->in_running);
    if (core.is_shut_down) {
        return;
    }
    if (thrown) {
        response = failed_response(core, exchange->routed, thrown);
    }
    if (core.is_parsing) {
        // A handler has resumed another request's coroutine in place; the shared output is taken.
        boost::asio::post(core.loop.executor(), [exchange, answer = std::move(response)]() mutable {
            if (!exchange->core->is_shut_down) {
                exchange->connection->answer(exchange, std::move(answer));
            }
        });
        return;
    }
    exchange->connection->answer(exchange, std::move(response));
}

void Connection::answer(const std::shared_ptr<Exchange>& exchange, Response response) {
    exchange->core->refresh_time();
    if (phase_ == Phase::closed) {
        exchange->core->observe(exchange->routed, response.status);
        return;
    }
    if (outgoing_) {
        // Responses pass through the shared output, which must not keep one that has to wait.
        late_answer_ = std::make_unique<LateAnswer>(exchange, std::move(response));
        return;
    }
    respond(exchange->routed, std::move(response));
    advance();
}

}  // namespace nave::net
