#include "broker/event_socket.h"

#include "base/json_writer.h"
#include "net/sse.h"

#include <string>
#include <utility>

namespace nave::broker {

namespace {

// For how an event is written, and for the one that says goodbye.
constexpr std::size_t kFramingMax = std::size_t{64} << 10;

}  // namespace

EventSocket::EventSocket(std::shared_ptr<net::ResponseStream> stream, std::size_t buffered_max)
    : stream_(std::move(stream)), buffered_max_(buffered_max) {
    stream_->set_buffered_max(buffered_max + kFramingMax);
    // The stream keeps the socket until then.
    stream_->on_closed([self = EventSocketPtr(this)] { self->end(); });
}

bool EventSocket::send_text(std::string_view payload) {
    overflowed_ = overflowed_ || buffered() + payload.size() > buffered_max_;
    return open_ && !overflowed_ && stream_->write(net::sse_frame(std::nullopt, {}, payload));
}

bool EventSocket::send_binary(std::string_view payload) {
    return send_text(payload);
}

bool EventSocket::send(const net::SharedFrame& frame) {
    return send_text(frame.payload());
}

bool EventSocket::ping(std::string_view /*payload*/) {
    return open_;
}

std::size_t EventSocket::buffered() const {
    return open_ ? stream_->buffered() : 0;
}

void EventSocket::close(std::uint16_t code, std::string_view reason) {
    if (!open_) {
        return;
    }
    const EventSocketPtr kept(this);
    std::string data;
    json::ObjectWriter writer(data);
    writer.integer("code", code);
    writer.text("reason", reason);
    writer.close();
    stream_->write(net::sse_frame(std::nullopt, "close", data));
    stream_->close();
    end();
}

void EventSocket::keep_alive() {
    if (open_) {
        stream_->write(": \n\n");
    }
}

void EventSocket::end() {
    if (!std::exchange(open_, false)) {
        return;
    }
    if (auto on_end = std::exchange(on_end_, nullptr)) {
        on_end();
    }
}

}  // namespace nave::broker
