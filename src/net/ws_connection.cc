#include "net/ws_connection.h"

#include "base/check.h"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <utility>

namespace nave::net {
namespace {

using boost::system::error_code;
using By = WebSocketEnd::By;

// What one socket may have read at once; more in a turn means fewer and larger sends.
constexpr std::size_t kReadBytes = ServerCore::kReadBufferBytes;
// Output beyond this is sent without waiting for the end of the turn.
constexpr std::size_t kEagerBytes = 256 * 1024;
constexpr int kDiscardsPerTurn = 4;

bool would_block(ssize_t result) {
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

int unacknowledged_bytes(int fd) {
    int bytes = 0;
    ::ioctl(fd, SIOCOUTQ, &bytes);
    return bytes;
}

}  // namespace

WsConnection::WsConnection(ServerCore& core, Socket socket, PeerTable::Slot slot,
                           const WebSocketUpgrade& upgrade)
    : socket_(std::move(socket)),
      slot_(std::move(slot)),
      core_(&core),
      session_(upgrade.session),
      options_(upgrade.options),
      protocol_(upgrade.protocol),
      parser_(upgrade.options->message_bytes_max),
      last_message_(core.now),
      next_ping_(core.now + upgrade.options->ping_interval),
      pinged_(core.now),
      deadline_(core.now) {}

WsConnection::~WsConnection() = default;

void WsConnection::start(std::string input) {
    output().start_with(core_->out);
    core_->out.clear();
    schedule();
    if (!input.empty()) {
        held_ = std::make_unique<std::string>(std::move(input));
    }
    shared().schedule_check(*this, next_due());
    call_session([this](WebSocketSession& session) { session.on_open(*this); });
    read_on();
}

// ---- reading

void WsConnection::arm_read() {
    if (read_armed_) {
        return;
    }
    read_armed_ = true;
    socket_.async_wait(Socket::wait_read,
                       [self = boost::intrusive_ptr<WsConnection>(this)](const error_code& error) {
                           self->on_readable(error.failed());
                       });
}

void WsConnection::on_readable(bool failed) {
    read_armed_ = false;
    if (phase_ == Phase::closed) {
        return;
    }
    core_->refresh_time();
    if (failed) {
        lose("the connection failed");
    } else if (phase_ == Phase::finishing || phase_ == Phase::lingering) {
        discard_input();
    } else if (!is_held()) {
        read();
    }
}

void WsConnection::read() {
    char* const buffer = core_->read_buffer.get();
    const ssize_t got = ::recv(fd(), buffer, kReadBytes, 0);
    if (got > 0) {
        shared().stats.bytes_in += static_cast<std::uint64_t>(got);
        awaits_pong_ = false;
        consume({buffer, static_cast<std::size_t>(got)});
        settle();
    } else if (would_block(got)) {
        arm_read();
    } else {
        lose("the connection ended without a close frame");
    }
}

void WsConnection::discard_input() {
    for (int i = 0; i < kDiscardsPerTurn; ++i) {
        const ssize_t got = ::recv(fd(), core_->read_buffer.get(), kReadBytes, 0);
        if (would_block(got)) {
            break;
        }
        if (got <= 0) {
            close_transport();
            return;
        }
    }
    arm_read();
}

bool WsConnection::is_held() const {
    return phase_ == Phase::open && (paused_ || buffered() > options_->buffered_bytes_max / 2);
}

void WsConnection::consume(std::span<char> input) {
    while (!input.empty() && !is_held() && (phase_ == Phase::open || phase_ == Phase::closing)) {
        handle(parser_.next(input));
    }
    parser_.release();
    if (!input.empty() && phase_ == Phase::open) {
        held_ = std::make_unique<std::string>(input.data(), input.size());
    }
    if (recount() > 0 && phase_ == Phase::open && shared().is_full()) {
        begin_close(ws_close::kTryAgainLater, "out of room for messages");
    }
}

void WsConnection::handle(WsParser::Event event) {
    const bool open = phase_ == Phase::open;
    switch (event) {
        case WsParser::Event::need_more:
            break;
        case WsParser::Event::text:
        case WsParser::Event::binary:
            if (open) {
                ++shared().stats.messages_in;
                last_message_ = core_->now;
                const auto type =
                    event == WsParser::Event::text ? MessageType::text : MessageType::binary;
                call_session([&](WebSocketSession& session) {
                    session.on_message(*this, parser_.payload(), type);
                });
            }
            break;
        case WsParser::Event::ping:
            if (open) {
                output().append(WsOpcode::pong, parser_.payload());
                static_cast<void>(sent_one());
            }
            break;
        case WsParser::Event::pong:
            if (open) {
                call_session(
                    [&](WebSocketSession& session) { session.on_pong(*this, parser_.payload()); });
            }
            break;
        case WsParser::Event::close:
            peer_closes();
            break;
        case WsParser::Event::failed:
            break_off(parser_.error_code(), parser_.error_text());
            break;
    }
}

void WsConnection::read_on() {
    const boost::intrusive_ptr<WsConnection> self(this);
    while (held_ && !is_held()) {
        const std::unique_ptr<std::string> held = std::move(held_);
        consume(*held);
    }
    if (phase_ != Phase::closed && !is_held()) {
        arm_read();
    }
}

void WsConnection::pause() {
    paused_ = true;
}

void WsConnection::resume() {
    if (std::exchange(paused_, false) && phase_ == Phase::open) {
        // Nothing was heard because nothing was read.
        last_message_ = core_->now;
        pinged_ = core_->now;
        schedule();
    }
}

template <class Fn>
void WsConnection::call_session(Fn fn) {
    in_session_ = true;
    try {
        fn(*session_);
    } catch (...) {
        log_thrown();
        if (phase_ == Phase::open) {
            begin_close(ws_close::kInternalError, "internal error");
        }
    }
    in_session_ = false;
    if (phase_ == Phase::closed) {
        tell_closed();  // cut in the meantime
    }
}

// ---- writing

bool WsConnection::send_text(std::string_view payload) {
    DCHECK(is_whole_utf8(payload), "a text message is UTF-8");
    if (phase_ != Phase::open) {
        return false;
    }
    ++shared().stats.messages_out;
    output().append(WsOpcode::text, payload);
    return sent_one();
}

bool WsConnection::send_binary(std::string_view payload) {
    if (phase_ != Phase::open) {
        return false;
    }
    ++shared().stats.messages_out;
    output().append(WsOpcode::binary, payload);
    return sent_one();
}

bool WsConnection::send(const SharedFrame& frame) {
    if (phase_ != Phase::open) {
        return false;
    }
    ++shared().stats.messages_out;
    output().append(frame);
    return sent_one();
}

bool WsConnection::ping(std::string_view payload) {
    CHECK(payload.size() <= kWsControlMax, "a control frame holds 125 bytes");
    if (phase_ != Phase::open) {
        return false;
    }
    output().append(WsOpcode::ping, payload);
    return sent_one();
}

std::size_t WsConnection::buffered() const {
    return output_ ? output_->unsent() : 0;
}

WsOutput& WsConnection::output() {
    if (!output_) {
        output_ = shared().take_output();
    }
    return *output_;
}

// After a frame has been queued; false when that was one too many.
bool WsConnection::sent_one() {
    const std::size_t grown = recount();
    if (!write_armed_) {
        schedule();
        if (output_->unsent() > std::min(kEagerBytes, options_->buffered_bytes_max)) {
            push();
        } else {
            shared().note_queued(grown);
        }
    }
    const bool full = write_armed_ && shared().is_full();
    if (buffered() <= options_->buffered_bytes_max && !full) {
        return true;
    }
    ++shared().stats.slow_consumers;
    output_->drop_unsent();
    recount();
    begin_close(ws_close::kTryAgainLater, "slow consumer");
    return false;
}

std::size_t WsConnection::recount() {
    if (phase_ == Phase::closed) {
        return 0;
    }
    const std::size_t now =
        (output_ ? output_->own_bytes() : 0) + (held_ ? held_->size() : 0) + parser_.gathered();
    const std::size_t before = std::exchange(counted_, now);
    shared().note_buffered(before, now);
    return now > before ? now - before : 0;
}

void WsConnection::schedule() {
    if (!flush_scheduled_) {
        flush_scheduled_ = true;
        shared().schedule_flush(*this);
    }
}

void WsConnection::run_scheduled() {
    flush_scheduled_ = false;
    if (phase_ != Phase::closed) {
        push();
        settle();
    }
}

void WsConnection::push() {
    if (!output_ || write_armed_ || broken_) {
        return;
    }
    switch (output_->send(fd(), shared().stats.bytes_out)) {
        case WsOutput::Sent::all:
            shared().give_back(std::move(output_));
            break;
        case WsOutput::Sent::blocked:
            was_blocked_ = true;
            in_kernel_ = unacknowledged_bytes(fd());
            if (phase_ == Phase::open) {
                deadline_ = core_->now + core_->limits.write_timeout;
            }
            arm_write();
            break;
        case WsOutput::Sent::failed:
            broken_ = true;
            schedule();
            break;
    }
    recount();
}

void WsConnection::arm_write() {
    write_armed_ = true;
    socket_.async_wait(Socket::wait_write,
                       [self = boost::intrusive_ptr<WsConnection>(this)](const error_code& error) {
                           self->on_writable(error.failed());
                       });
}

void WsConnection::on_writable(bool failed) {
    write_armed_ = false;
    if (phase_ == Phase::closed) {
        return;
    }
    core_->refresh_time();
    if (failed) {
        lose("the connection failed");
        return;
    }
    push();
    settle();
}

void WsConnection::settle() {
    const boost::intrusive_ptr<WsConnection> self(this);
    if (phase_ != Phase::closed && broken_) {
        lose("the connection failed");
        return;
    }
    if (end_) {
        tell_closed();
    }
    if (phase_ == Phase::closed) {
        return;
    }
    if (!output_ && phase_ == Phase::finishing) {
        finish();
        return;
    }
    if (!output_ && std::exchange(was_blocked_, false) && phase_ == Phase::open) {
        pinged_ = core_->now;  // the ping may have been stuck as well
        call_session([this](WebSocketSession& session) { session.on_drained(*this); });
    }
    read_on();
}

// ---- time

SteadyTime WsConnection::next_due() const {
    if (phase_ != Phase::open) {
        return deadline_;
    }
    const WebSocketOptions& o = *options_;
    SteadyTime due = SteadyTime::max();
    const auto consider = [&due](std::chrono::milliseconds span, SteadyTime at) {
        if (span.count() > 0) {
            due = std::min(due, at);
        }
    };
    consider(o.ping_interval, next_ping_);
    consider(o.idle_timeout, last_message_ + o.idle_timeout);
    if (awaits_pong_) {
        consider(o.pong_timeout, pinged_ + o.pong_timeout);
    }
    // An output can get stuck at any time.
    return std::min(due, core_->now + core_->limits.write_timeout);
}

void WsConnection::check() {
    if (phase_ == Phase::closed) {
        return;
    }
    const boost::intrusive_ptr<WsConnection> self(this);
    const SteadyTime now = core_->now;
    const WebSocketOptions& o = *options_;
    const auto is_over = [now](std::chrono::milliseconds span, SteadyTime since) {
        return span.count() > 0 && now >= since + span;
    };
    if (phase_ != Phase::open) {
        if (now >= deadline_) {
            reset("the closing handshake took too long");
            return;
        }
    } else if (write_armed_) {
        // Whether the peer lives shows in what it acknowledges; a ping would wait like the rest.
        if (now >= deadline_) {
            const int in_kernel = unacknowledged_bytes(fd());
            if (std::exchange(in_kernel_, in_kernel) <= in_kernel) {
                ++shared().stats.slow_consumers;
                reset("the peer does not read");
                return;
            }
            deadline_ = now + core_->limits.write_timeout;
        }
    } else if (!is_held() && awaits_pong_ && is_over(o.pong_timeout, pinged_)) {
        ++shared().stats.timed_out_pong;
        reset("no answer to a ping");
        return;
    } else if (!is_held() && is_over(o.idle_timeout, last_message_)) {
        ++shared().stats.timed_out_idle;
        begin_close(ws_close::kGoingAway, "idle");
    } else if (o.ping_interval.count() > 0 && now >= next_ping_) {
        next_ping_ = now + o.ping_interval;
        if (!std::exchange(awaits_pong_, true)) {
            pinged_ = now;
        }
        output().append(WsOpcode::ping, {});
        static_cast<void>(sent_one());
    }
    shared().schedule_check(*this, next_due());
}

}  // namespace nave::net
