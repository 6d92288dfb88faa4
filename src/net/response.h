// Response: what a handler answers. Either a whole body, or a stream that starts once the head has
// been written.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nave::net {

struct WebSocketUpgrade;

// The write side of an unfinished response (SSE). Loop thread only.
class ResponseStream {
  public:
    virtual ~ResponseStream() = default;
    // Queues bytes; false once the client has gone. Never blocks: watch buffered().
    virtual bool write(std::string_view bytes) = 0;
    // Hands the kernel what it takes of the queue, without waiting for the end of this loop turn.
    // Never ends the stream.
    virtual void flush() {}
    // Bytes queued and not yet taken by the kernel.
    [[nodiscard]] virtual std::size_t buffered() const = 0;
    // How many may be: beyond it the stream is aborted. ServerLimits::stream_buffer_max unless set.
    virtual void set_buffered_max(std::size_t /*bytes*/) {}
    // Ends the response cleanly; abort() resets the connection.
    virtual void close() = 0;
    virtual void abort() = 0;
    // Called once when the client goes away or the server shuts down, not after close().
    virtual void on_closed(std::move_only_function<void()> fn) = 0;
};

struct Response {
    int status = 200;
    std::string_view content_type;  // must be a literal or outlive the process; "" for none
    std::string body;
    std::string_view fixed_body;  // instead of `body`: an embedded asset, never copied until sent
    std::vector<std::pair<std::string_view, std::string>> headers;          // names are literals
    std::move_only_function<void(std::shared_ptr<ResponseStream>)> stream;  // instead of a body
    std::shared_ptr<WebSocketUpgrade> websocket;  // from accept_websocket() (net/websocket.h)
    bool close = false;                           // close the connection after this response

    Response() = default;
    Response(int status_in, std::string_view content_type_in, std::string body_in)
        : status(status_in), content_type(content_type_in), body(std::move(body_in)) {}

    Response&& with(std::string_view name, std::string value) && {
        headers.emplace_back(name, std::move(value));
        return std::move(*this);
    }
};

[[nodiscard]] inline Response json_response(int status, std::string body) {
    return {status, "application/json", std::move(body)};
}

// The one mapping of error codes to HTTP status.
[[nodiscard]] int http_status(Code code);
// The same, but telling apart the conditions of HTTP itself (405, 408, 414, 417, 426, 431, 501,
// 505), which have ids and no codes of their own. Error renderers use this one.
[[nodiscard]] int http_status(const Error& error);
// Adds Retry-After (whole seconds, rounded up) to a 429 or 503 whose error says when to come back.
void set_retry_after(Response& response, const Error& error);
// RFC 9457 problem document; services with an error format of their own supply another renderer.
[[nodiscard]] Response problem_response(const Error& error, std::string_view request_id);
using ErrorRenderer = Response (*)(const Error& error, std::string_view request_id);

}  // namespace nave::net
