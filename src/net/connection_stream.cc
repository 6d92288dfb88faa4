#include "net/connection_stream.h"

#include <fmt/format.h>

#include <exception>
#include <iterator>
#include <utility>

namespace nave::net {

bool Connection::Stream::write(std::string_view bytes) {
    return connection_ && connection_->stream_write(bytes);
}

void Connection::Stream::flush() {
    if (connection_) {
        connection_->stream_flush();
    }
}

std::size_t Connection::Stream::buffered() const {
    return connection_ ? connection_->unsent() : 0;
}

void Connection::Stream::set_buffered_max(std::size_t bytes) {
    buffered_max_ = bytes;
}

void Connection::Stream::close() {
    on_closed_ = nullptr;
    if (const auto connection = std::exchange(connection_, nullptr)) {
        connection->stream_ = nullptr;
        connection->stream_end();
    }
}

void Connection::Stream::abort() {
    on_closed_ = nullptr;
    if (const auto connection = std::exchange(connection_, nullptr)) {
        connection->stream_ = nullptr;
        connection->stream_abort();
    }
}

void Connection::Stream::on_closed(std::move_only_function<void()> fn) {
    if (connection_) {
        on_closed_ = std::move(fn);
    }
}

void Connection::Stream::tell_closed() {
    connection_ = nullptr;
    if (auto fn = std::exchange(on_closed_, nullptr)) {
        fn();  // may drop the last reference to this
    }
}

void Connection::start_stream(Response& response, bool chunked) {
    // From here on output is written between events, so it moves out of the shared buffer.
    outgoing_ = std::make_unique<Outgoing>();
    outgoing_->bytes = core_->out;
    core_->out.clear();
    write_deadline_ = core_->now + core_->limits.write_timeout;
    phase_ = Phase::streaming;
    stream_chunked_ = chunked;
    auto stream = std::make_shared<Stream>(*this, core_->limits.stream_buffer_max);
    stream_ = stream.get();
    try {
        response.stream(std::move(stream));
    } catch (const std::exception& e) {
        core_->logger.error("stream failed", {{"error", std::string_view(e.what())}});
        stream_abort();
    }
}

bool Connection::stream_write(std::string_view bytes) {
    if (doomed_) {
        return false;
    }
    if (bytes.empty()) {
        return true;
    }
    if (!outgoing_) {
        outgoing_ = std::make_unique<Outgoing>();
        write_deadline_ = core_->now + core_->limits.write_timeout;
    }
    std::string& out = outgoing_->bytes;
    if (stream_chunked_) {
        fmt::format_to(std::back_inserter(out), "{:x}\r\n", bytes.size());
        out.append(bytes).append("\r\n");
    } else {
        out.append(bytes);
    }
    // Closing calls back into the writer, so it waits until the writer has returned.
    doomed_ = unsent() > stream_->buffered_max();
    if (!flush_scheduled_) {
        flush_scheduled_ = true;
        core_->schedule_flush(*this);
    }
    return !doomed_;
}

// A failure is left to the scheduled flush: closing calls back into the writer.
void Connection::stream_flush() {
    if (phase_ == Phase::streaming && outgoing_ && !write_armed_ && !doomed_) {
        static_cast<void>(send_outgoing());
    }
}

void Connection::stream_end() {
    if (phase_ != Phase::streaming) {
        return;
    }
    if (!outgoing_) {
        outgoing_ = std::make_unique<Outgoing>();
        write_deadline_ = core_->now + core_->limits.write_timeout;
    }
    if (stream_chunked_) {
        outgoing_->bytes.append("0\r\n\r\n");
    }
    become_idle();
    if (!flush_scheduled_) {
        flush_scheduled_ = true;
        core_->schedule_flush(*this);
    }
}

void Connection::stream_abort() {
    if (phase_ == Phase::streaming) {
        reset_connection();
    }
}

void Connection::run_scheduled_flush() {
    flush_scheduled_ = false;
    if (phase_ == Phase::closed) {
        return;
    }
    if (doomed_) {
        reset_connection();
    } else {
        advance();
    }
}

}  // namespace nave::net
