// WebSocket (RFC 6455) as a service sees it: a route that accepts or refuses, a session object per
// socket that is called, and a socket to send with.
//
//     class Echo final : public WebSocketSession {
//         void on_message(WebSocket& socket, std::string_view payload, MessageType type) override {
//             type == MessageType::text ? socket.send_text(payload) : socket.send_binary(payload);
//         }
//     };
//     router.websocket("/ws", SyncHandler([](const Request& request) {
//         if (request.bearer_token() != "open sesame") {
//             return Response(401, "text/plain", "who are you?");  // any answer refuses
//         }
//         return accept_websocket(std::make_shared<Echo>());
//     }), WebSocketOptions{.message_bytes_max = 16 * 1024});
//
// The handler runs once the handshake is known to be valid, may be a coroutine, and sees the whole
// request. What it returns otherwise than from accept_websocket() is the HTTP answer.
//
// Everything is called on the loop thread, and nothing inside a call the session makes: on_close()
// after close() comes in a later turn. All that is sent to a socket in one turn leaves in one
// system call. A broadcast encodes once and sends the SharedFrame to every socket.
#pragma once

#include "net/request.h"
#include "net/response.h"
#include "net/ws_frame.h"

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nave::net {

enum class MessageType : std::uint8_t { text, binary };

// How a session ended.
struct WebSocketEnd {
    enum class By : std::uint8_t {
        peer,    // it sent a close frame
        server,  // the session called close(), a rule was broken, a limit met, or the server stops
        lost,    // no close frame: the connection broke, timed out or was cut
    };
    By by;
    std::uint16_t code;       // of the close frame; ws_close::kNoStatus and kAbnormal as well
    std::string_view reason;  // for people; valid during the call
};

// One open connection. Owned by the server; a plain pointer is good until on_close() has returned.
// Who may come later (a coroutine waiting for the database) keeps a WebSocketPtr: after the end the
// object is still there, and sending returns false.
class WebSocket
    : public boost::intrusive_ref_counter<WebSocket, boost::sp_adl_block::thread_unsafe_counter> {
  public:
    virtual ~WebSocket() = default;

    // Queues a message. False when the socket is not open (any more), or when this message brought
    // the queue over its limit: then the socket is a slow consumer and closes with 1013.
    // Text must be UTF-8.
    virtual bool send_text(std::string_view payload) = 0;
    virtual bool send_binary(std::string_view payload) = 0;
    // Refers to the frame's bytes instead of copying them, unless they are few.
    virtual bool send(const SharedFrame& frame) = 0;
    // Queues a ping of its own, of at most 125 bytes, behind what was sent before. Its answer
    // (on_pong) says that the peer's end has read all of that; no time limit is set for it.
    virtual bool ping(std::string_view payload) = 0;
    // Bytes queued here that the kernel has not taken.
    [[nodiscard]] virtual std::size_t buffered() const = 0;

    // Starts the closing handshake; messages still queued go out first, none is received any more.
    // The code must be one that may be sent (ws_frame.h); a reason over 123 bytes is cut.
    virtual void close(std::uint16_t code = ws_close::kNormal, std::string_view reason = {}) = 0;

    // Stops and goes on reading. What has been received already is kept, and the peer is held back
    // by TCP. Its leaving is not noticed while paused.
    virtual void pause() = 0;
    virtual void resume() = 0;

    [[nodiscard]] virtual bool is_open() const = 0;
    // The selected subprotocol, or empty.
    [[nodiscard]] virtual std::string_view protocol() const = 0;
};

using WebSocketPtr = boost::intrusive_ptr<WebSocket>;

// What a service keeps for one socket. The server holds it from accept_websocket() until on_close()
// has returned. An exception that leaves a callback closes the socket with 1011.
class WebSocketSession {
  public:
    virtual ~WebSocketSession() = default;

    virtual void on_open(WebSocket& /*socket*/) {}
    // `payload` is valid during the call. Text is UTF-8.
    virtual void on_message(WebSocket& socket, std::string_view payload, MessageType type) = 0;
    // The kernel has taken everything that was queued, after it had not for a while.
    virtual void on_drained(WebSocket& /*socket*/) {}
    virtual void on_pong(WebSocket& /*socket*/, std::string_view /*payload*/) {}
    // Once, and the last call. Comes at once when the end begins, without waiting for the peer to
    // finish the closing handshake.
    virtual void on_close(WebSocket& /*socket*/, const WebSocketEnd& /*end*/) {}
};

// Whether a page of `origin` may connect. Not asked when there is no Origin header, which browsers
// always send.
using OriginRule = std::function<bool(std::string_view origin, const Request& request)>;
// The page came from the host it connects to. Without it any page a user visits could use the
// user's cookies here.
[[nodiscard]] bool same_host_origin(std::string_view origin, const Request& request);
// For sockets that authenticate by their messages or a token alone.
[[nodiscard]] bool any_origin(std::string_view origin, const Request& request);

// Limits of one route's sockets. Zero turns a time off. Times are kept to the second.
struct WebSocketOptions {
    std::size_t message_bytes_max = 1024 * 1024;   // of a message, over all fragments: 1009
    std::size_t buffered_bytes_max = 1024 * 1024;  // queued for a peer: 1013. Over half of it,
                                                   // nothing is read from that peer
    std::chrono::milliseconds ping_interval{30'000};
    std::chrono::milliseconds pong_timeout{30'000};  // without any byte since a ping: cut
    std::chrono::milliseconds idle_timeout{0};       // without a message from the peer: 1001
    std::chrono::milliseconds close_timeout{5'000};  // for the peer's part of the handshake
    std::vector<std::string> protocols =
        {};  // known subprotocols; the first one offered is selected
    OriginRule origin_allowed = &same_host_origin;
};

// The answer of a websocket handler that takes the connection over. Headers may be added to it.
[[nodiscard]] Response accept_websocket(std::shared_ptr<WebSocketSession> session);

struct WebSocketStats {
    std::uint64_t open = 0;
    std::uint64_t opened = 0;
    std::uint64_t messages_in = 0;
    std::uint64_t messages_out = 0;
    std::uint64_t bytes_in = 0;   // with frame headers
    std::uint64_t bytes_out = 0;  // taken by the kernel
    std::uint64_t slow_consumers = 0;
    std::uint64_t timed_out_pong = 0;
    std::uint64_t timed_out_idle = 0;
    // Ends by code: 1000, 1001, 1005 | 1002, 1003, 1007 | 1008 | 1009 | 1011 | 1013 | 3000 to 4999
    // | 1006 and the rest.
    std::uint64_t closed_normal = 0;
    std::uint64_t closed_protocol = 0;
    std::uint64_t closed_policy = 0;
    std::uint64_t closed_too_big = 0;
    std::uint64_t closed_error = 0;
    std::uint64_t closed_overload = 0;
    std::uint64_t closed_application = 0;
    std::uint64_t closed_lost = 0;
};

}  // namespace nave::net
