#include "base/check.h"
#include "net/connection.h"
#include "net/response_head.h"
#include "net/ws_connection.h"
#include "net/ws_core.h"
#include "net/ws_handshake.h"

#include <utility>

namespace nave::net {

void Connection::accept_upgrade(const Routed& routed, Response& response) {
    CHECK(response.websocket->options != nullptr, "accepted in a handler of Router::websocket()");
    if (core_->draining) {
        refuse(routed, {Code::unavailable, "net.stopping", "The server is stopping."});
        return;
    }
    HeadOptions options;
    options.fixed_lines = core_->fixed_lines;
    options.request_id = routed.id.view();
    options.default_headers = &routed.router->default_headers();
    options.says_upgrade = true;
    append_response_head(core_->out, response, options);
    core_->observe(routed, response.status);
    upgrade_ = std::move(response.websocket);
    phase_ = Phase::upgrading;
}

void Connection::become_websocket() {
    // An answer is not written before the ones ahead of it are sent.
    CHECK(!outgoing_, "the handshake's answer is the only output");
    const boost::intrusive_ptr<Connection> self(this);
    ServerCore& core = *core_;
    const boost::intrusive_ptr<WsConnection> socket(
        new WsConnection(core, std::move(socket_), std::move(slot_), *upgrade_));
    upgrade_.reset();
    std::string input = incoming_ ? std::move(incoming_->bytes) : std::string();
    incoming_.reset();
    phase_ = Phase::closed;
    core.remove(*this);
    core.websockets().add(socket);
    socket->start(std::move(input));
}

}  // namespace nave::net
