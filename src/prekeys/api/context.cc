#include "prekeys/api/context.h"

namespace nave::prekeys::api {
namespace {

Task<net::Response> run(Context& context, const net::Request& request, std::string_view operation,
                        Coroutine coroutine) {
    if (auto running = check_running(context); !running) {
        co_return failed(context, request, operation, running.error());
    }
    Result<net::Response> response = co_await coroutine(context, request);
    if (!response) {
        co_return failed(context, request, operation, response.error());
    }
    co_return std::move(*response);
}

}  // namespace

Caller caller_of(const net::Request& request) {
    return {request.client.limit_key()};
}

Result<json::Value> read_object(const net::Request& request) {
    TRY(json::Value value, json::parse(request.body));
    if (!value.is_object()) {
        return errors::validation("The body must be a JSON object.");
    }
    return value;
}

Result<void> check_body_size(const net::Request& request, Suite suite) {
    if (!uses_kem(suite) && request.body.size() > kBodyMax) {
        return errors::body_too_large();
    }
    return ok();
}

net::Response failed(Context& context, const net::Request& request, std::string_view operation,
                     const Error& error) {
    const bool ours = error.code == Code::unavailable || error.code == Code::timeout ||
                      error.code == Code::internal;
    if (ours && error.id != "SHADE_SHUTTING_DOWN") {
        context.metrics.on_store_error(operation);
        context.logger.failure(LogLevel::warn, "request failed", error,
                               {{"request_id", request.request_id}, {"operation", operation}});
    }
    return render_error(error, request.request_id);
}

net::Response answer(int status, std::string body) {
    net::Response response = net::json_response(status, std::move(body));
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

Result<void> check_running(const Context& context) {
    if (context.health.phase() == Health::Phase::stopping) {
        return errors::shutting_down();
    }
    return ok();
}

net::AsyncHandler handler(Context& context, std::string_view operation, Coroutine coroutine) {
    return [&context, operation, coroutine](const net::Request& request) {
        return run(context, request, operation, coroutine);
    };
}

}  // namespace nave::prekeys::api
