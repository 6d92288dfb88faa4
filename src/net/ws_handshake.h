// The opening handshake (RFC 6455, section 4.2), as handlers around those of a service.
#pragma once

#include "base/result.h"
#include "net/router.h"
#include "net/websocket.h"

#include <memory>
#include <string>
#include <string_view>

namespace nave::net {

// What turns an HTTP connection into a WebSocket once the 101 has been written.
struct WebSocketUpgrade {
    std::shared_ptr<WebSocketSession> session;
    std::shared_ptr<const WebSocketOptions> options;
    std::string_view protocol;  // one of the options', or empty
};

// Upgrade: websocket and Connection: upgrade, whatever else is wrong with it.
[[nodiscard]] bool asks_for_websocket(const Request& request);
// Errors "net.upgrade_required", "net.websocket_version" (both 426), "net.websocket_handshake"
// (400), "net.origin_refused" (403).
[[nodiscard]] Result<void> check_websocket_handshake(const Request& request,
                                                     const WebSocketOptions& options);
// The first protocol offered that is known; empty when there is none.
[[nodiscard]] std::string_view select_protocol(const Request& request,
                                               const WebSocketOptions& options);
// Sec-WebSocket-Accept for a client's key.
[[nodiscard]] std::string websocket_accept(std::string_view key);

[[nodiscard]] SyncHandler websocket_handler(SyncHandler handler,
                                            std::shared_ptr<const WebSocketOptions> options,
                                            ErrorRenderer render_error);
[[nodiscard]] AsyncHandler websocket_handler(AsyncHandler handler,
                                             std::shared_ptr<const WebSocketOptions> options,
                                             ErrorRenderer render_error);

}  // namespace nave::net
