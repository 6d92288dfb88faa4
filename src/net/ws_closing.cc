// The end of a WsConnection: the closing handshake (RFC 6455, section 7) and what goes wrong.
#include "base/check.h"
#include "net/ws_connection.h"

#include <exception>
#include <sys/socket.h>
#include <utility>

namespace nave::net {

using By = WebSocketEnd::By;

void WsConnection::close(std::uint16_t code, std::string_view reason) {
    CHECK(is_wire_close_code(code), "a close code that may be sent");
    if (phase_ == Phase::open) {
        begin_close(code, reason);
    }
}

void WsConnection::begin_close(std::uint16_t code, std::string_view reason) {
    core_->refresh_time();
    output().append_close(code, reason);
    phase_ = Phase::closing;
    note_end(By::server, code, reason);
    set_close_deadline();
    schedule();
}

void WsConnection::peer_closes() {
    if (phase_ == Phase::open) {
        // The answer repeats the code (section 5.5.1).
        output().append_close(parser_.close_code(), {});
        note_end(By::peer, parser_.close_code(), parser_.payload());
        set_close_deadline();
        schedule();
    }
    phase_ = Phase::finishing;
}

// The peer broke a rule: what it sends from here on means nothing.
void WsConnection::break_off(std::uint16_t code, std::string_view reason) {
    if (phase_ == Phase::open) {
        begin_close(code, reason);
    }
    phase_ = Phase::finishing;
}

void WsConnection::note_end(By by, std::uint16_t code, std::string_view reason) {
    if (session_ && !end_) {
        end_ = std::make_unique<End>(by, code, std::string(reason));
    }
}

void WsConnection::set_close_deadline() {
    deadline_ = core_->now + options_->close_timeout;
    shared().schedule_check(*this, deadline_);
}

void WsConnection::drain() {
    if (phase_ == Phase::open) {
        begin_close(ws_close::kGoingAway, "shutting down");
    }
}

void WsConnection::cut() {
    if (phase_ == Phase::lingering) {
        close_transport();  // what is on its way may still arrive
    } else {
        reset("cut");
    }
}

// Sends a reset, so that the kernel does not go on trying to deliver.
void WsConnection::reset(std::string_view why) {
    if (phase_ != Phase::closed) {
        const linger at_once{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        lose(why);
    }
}

void WsConnection::lose(std::string_view why) {
    const boost::intrusive_ptr<WsConnection> self(this);
    note_end(By::lost, ws_close::kAbnormal, why);
    close_transport();
    tell_closed();
}

// Both close frames are through, or ours is and the peer's does not matter. Closing at once, with
// input unread, would send a reset and destroy the close frame on its way (section 7.1.1).
void WsConnection::finish() {
    ::shutdown(fd(), SHUT_WR);
    phase_ = Phase::lingering;
    shared().note_lingering(+1);
    set_close_deadline();
    arm_read();
}

void WsConnection::close_transport() {
    if (phase_ == Phase::closed) {
        return;
    }
    const boost::intrusive_ptr<WsConnection> self(this);
    if (phase_ == Phase::lingering) {
        shared().note_lingering(-1);
    }
    phase_ = Phase::closed;
    unlink();
    shared().give_back(std::move(output_));
    held_.reset();
    shared().note_buffered(std::exchange(counted_, 0), 0);
    boost::system::error_code ignored;
    socket_.close(ignored);
    slot_ = PeerTable::Slot();
    shared().remove(*this);
}

void WsConnection::tell_closed() {
    if (in_session_ || !session_ || !end_) {
        return;
    }
    const std::shared_ptr<WebSocketSession> session = std::move(session_);
    const std::unique_ptr<End> end = std::move(end_);
    count_end(end->code);
    try {
        session->on_close(*this, {.by = end->by, .code = end->code, .reason = end->reason});
    } catch (...) {
        log_thrown();
    }
}

void WsConnection::count_end(std::uint16_t code) const {
    WebSocketStats& stats = shared().stats;
    switch (code) {
        case ws_close::kNormal:
        case ws_close::kGoingAway:
        case ws_close::kNoStatus:
            ++stats.closed_normal;
            break;
        case ws_close::kProtocolError:
        case ws_close::kUnsupported:
        case ws_close::kInvalidPayload:
            ++stats.closed_protocol;
            break;
        case ws_close::kPolicy:
            ++stats.closed_policy;
            break;
        case ws_close::kTooBig:
            ++stats.closed_too_big;
            break;
        case ws_close::kInternalError:
            ++stats.closed_error;
            break;
        case ws_close::kTryAgainLater:
            ++stats.closed_overload;
            break;
        default:
            ++(code >= 3000 ? stats.closed_application : stats.closed_lost);
            break;
    }
}

// In a catch block.
void WsConnection::log_thrown() const {
    try {
        throw;
    } catch (const std::exception& e) {
        core_->logger.error("websocket session failed", {{"error", std::string_view(e.what())}});
    } catch (...) {
        core_->logger.error("websocket session failed");
    }
}

}  // namespace nave::net
