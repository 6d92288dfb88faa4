#include "net/connection.h"

#include "net/connection_stream.h"
#include "net/exchange.h"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>

namespace nave::net {
namespace {

using boost::system::error_code;

// Bounds what one connection can leave behind when its next request has to wait.
constexpr std::size_t kHeadReadBytes = 64 * 1024;
constexpr std::chrono::seconds kLinger{5};
constexpr std::size_t kStreamInputMax = 16 * 1024;
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

Connection::Connection(ServerCore& core, Socket socket, const IpAddress& peer, PeerTable::Slot slot)
    : socket_(std::move(socket)), core_(&core), peer_(peer), slot_(std::move(slot)) {}

Connection::~Connection() = default;

void Connection::start() {
    deadline_ = core_->now + core_->limits.head_timeout;
    arm_read();
}

void Connection::arm_read() {
    if (read_armed_) {
        return;
    }
    read_armed_ = true;
    socket_.async_wait(Socket::wait_read,
                       [self = boost::intrusive_ptr<Connection>(this)](const error_code& error) {
                           self->on_readable(error.failed());
                       });
}

void Connection::arm_write() {
    if (write_armed_) {
        return;
    }
    write_armed_ = true;
    socket_.async_wait(Socket::wait_write,
                       [self = boost::intrusive_ptr<Connection>(this)](const error_code& error) {
                           self->on_writable(error.failed());
                       });
}

void Connection::on_readable(bool failed) {
    read_armed_ = false;
    if (phase_ == Phase::closed) {
        return;
    }
    core_->refresh_time();
    if (failed) {
        close_now();
    } else if (phase_ == Phase::lingering) {
        discard_input();
    } else if (phase_ == Phase::streaming) {
        read_while_streaming();
    } else if (may_parse()) {
        read_request();
    }
}

void Connection::on_writable(bool failed) {
    write_armed_ = false;
    if (phase_ == Phase::closed) {
        return;
    }
    core_->refresh_time();
    if (failed) {
        close_now();
        return;
    }
    advance();
}

void Connection::read_request() {
    char* const buffer = core_->read_buffer.get();
    std::size_t kept = 0;
    if (phase_ == Phase::head) {
        kept = incoming_->bytes.size();
        std::memcpy(buffer, incoming_->bytes.data(), kept);
    }
    const std::size_t room = phase_ == Phase::body ? ServerCore::kReadBufferBytes : kHeadReadBytes;
    const ssize_t got = ::recv(fd(), buffer + kept, room, 0);
    if (got > 0) {
        consume({buffer, kept + static_cast<std::size_t>(got)});
        advance();
    } else if (would_block(got)) {
        arm_read();
    } else {
        close_now();
    }
}

// What comes during a stream is the next request, or the end of the connection.
void Connection::read_while_streaming() {
    const ssize_t got = ::recv(fd(), core_->read_buffer.get(), kStreamInputMax, 0);
    if (got > 0) {
        hold({core_->read_buffer.get(), static_cast<std::size_t>(got)});
        if (incoming_->bytes.size() > kStreamInputMax) {
            close_now();
            return;
        }
        arm_read();
    } else if (would_block(got)) {
        arm_read();
    } else {
        close_now();
    }
}

void Connection::discard_input() {
    for (int i = 0; i < kDiscardsPerTurn; ++i) {
        const ssize_t got = ::recv(fd(), core_->read_buffer.get(), ServerCore::kReadBufferBytes, 0);
        if (would_block(got)) {
            break;
        }
        if (got <= 0) {
            close_now();
            return;
        }
    }
    arm_read();
}

bool Connection::flush() {
    if (outgoing_) {
        return flush_outgoing();
    }
    std::string& out = core_->out;
    if (out.empty()) {
        return true;
    }
    const ssize_t sent = ::send(fd(), out.data(), out.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(out.size())) [[likely]] {
        out.clear();
        return true;
    }
    if (sent < 0 && !would_block(sent)) {
        out.clear();
        close_now();
        return false;
    }
    outgoing_ = std::make_unique<Outgoing>();
    outgoing_->bytes.assign(out, sent < 0 ? 0 : static_cast<std::size_t>(sent));
    out.clear();
    wait_for_client();
    return false;
}

bool Connection::flush_outgoing() {
    if (write_armed_) {
        return false;
    }
    switch (send_outgoing()) {
        case Sent::all:
            outgoing_.reset();
            return true;
        case Sent::some:
            wait_for_client();
            return false;
        case Sent::failed:
            close_now();
            return false;
    }
    return false;
}

Connection::Sent Connection::send_outgoing() {
    Outgoing& o = *outgoing_;
    Sent outcome = Sent::all;
    while (o.unsent() > 0) {
        const std::size_t head_sent = std::min(o.sent, o.bytes.size());
        std::array<iovec, 2> parts{};
        parts[0] = {.iov_base = o.bytes.data() + head_sent, .iov_len = o.bytes.size() - head_sent};
        const std::string_view tail = o.tail.substr(o.sent - head_sent);
        parts[1] = {.iov_base = const_cast<char*>(tail.data()), .iov_len = tail.size()};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        const ssize_t sent = ::sendmsg(fd(), &message, MSG_NOSIGNAL);
        if (sent > 0) {
            o.sent += static_cast<std::size_t>(sent);
        } else {
            outcome = would_block(sent) ? Sent::some : Sent::failed;
            break;
        }
    }
    // What has been sent is dropped now, so that a slow stream does not keep it all.
    const std::size_t done = std::min(o.sent, o.bytes.size());
    o.bytes.erase(0, done);
    o.sent -= done;
    return outcome;
}

void Connection::wait_for_client() {
    write_deadline_ = core_->now + core_->limits.write_timeout;
    outgoing_->in_kernel = unacknowledged_bytes(fd());
    arm_write();
}

// A socket becomes writable only when much of its buffer is free, which takes a slow client long;
// that it reads at all shows in what it acknowledges.
bool Connection::client_made_progress() {
    const int in_kernel = unacknowledged_bytes(fd());
    return std::exchange(outgoing_->in_kernel, in_kernel) > in_kernel;
}

void Connection::advance() {
    for (;;) {
        if (phase_ == Phase::upgrading) {
            become_websocket();
            return;
        }
        if (phase_ == Phase::closed || !flush()) {
            break;
        }
        if (closing_ && phase_ != Phase::streaming) {
            finish_close();
            return;
        }
        if (late_answer_) {
            const auto late = std::move(late_answer_);
            respond(late->exchange->routed, std::move(late->response));
            continue;
        }
        if (phase_ != Phase::idle || !incoming_) {
            break;
        }
        const std::string held = std::move(incoming_->bytes);
        incoming_.reset();
        consume(held);
    }
    const bool stream = phase_ == Phase::streaming;
    if (phase_ != Phase::closed && (stream || may_parse())) {
        arm_read();
    }
}

void Connection::finish_close() {
    if (!linger_) {
        close_now();
        return;
    }
    // Closing with unread input sends a reset, which would destroy the answer on its way
    // (RFC 9112, section 9.6).
    ::shutdown(fd(), SHUT_WR);
    phase_ = Phase::lingering;
    deadline_ = core_->now + kLinger;
    incoming_.reset();
    arm_read();
}

void Connection::close_now() {
    if (phase_ == Phase::closed) {
        return;
    }
    const boost::intrusive_ptr<Connection> self(this);
    phase_ = Phase::closed;
    incoming_.reset();
    outgoing_.reset();
    if (const auto late = std::move(late_answer_)) {
        core_->observe(late->exchange->routed, late->response.status);
    }
    error_code ignored;
    socket_.close(ignored);
    slot_ = PeerTable::Slot();
    core_->remove(*this);
    if (stream_ != nullptr) {
        std::exchange(stream_, nullptr)->tell_closed();
    }
}

void Connection::reset_connection() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close_now();
}

bool Connection::is_busy() const {
    const bool waiting = phase_ == Phase::fresh || (phase_ == Phase::idle && !incoming_);
    return phase_ != Phase::lingering && (!waiting || outgoing_ != nullptr);
}

void Connection::sweep() {
    if (outgoing_) {
        if (core_->now < write_deadline_) {
            return;
        }
        if (client_made_progress()) {
            write_deadline_ = core_->now + core_->limits.write_timeout;
        } else {
            ++core_->stats.timed_out_write;
            reset_connection();
        }
        return;
    }
    if (phase_ == Phase::handling || phase_ == Phase::streaming || core_->now < deadline_) {
        return;
    }
    if (phase_ == Phase::head || phase_ == Phase::body) {
        ++(phase_ == Phase::head ? core_->stats.timed_out_head : core_->stats.timed_out_body);
        refuse_unrouted(Error(Code::timeout, "net.request_timeout",
                              "The request did not arrive completely in time."));
        advance();
        return;
    }
    if (phase_ == Phase::fresh) {
        ++core_->stats.timed_out_head;
    }
    close_now();
}

void Connection::drain() {
    if (!is_busy()) {
        close_now();
    } else if (phase_ == Phase::streaming) {
        const boost::intrusive_ptr<Connection> self(this);
        closing_ = true;
        std::exchange(stream_, nullptr)->tell_closed();
        stream_end();
    }
}

}  // namespace nave::net
