// EventSocket: what stands for a WebSocket where a peer receives by server-sent events. Every
// message is one event without a name, its data the JSON text; a close is an event `close` with
// code and reason. Comments keep the stream alive.
#pragma once

#include "net/response.h"
#include "net/websocket.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

namespace nave::broker {

class EventSocket final : public net::WebSocket {
  public:
    // A reader that leaves more than `buffered_max` bytes unread is too slow.
    EventSocket(std::shared_ptr<net::ResponseStream> stream, std::size_t buffered_max);

    // Called once, when the stream ends by either side.
    void on_end(std::move_only_function<void()> fn) { on_end_ = std::move(fn); }

    bool send_text(std::string_view payload) override;
    bool send_binary(std::string_view payload) override;
    bool send(const net::SharedFrame& frame) override;
    // Nothing: a reader of events cannot answer.
    bool ping(std::string_view payload) override;
    [[nodiscard]] std::size_t buffered() const override;
    void close(std::uint16_t code, std::string_view reason) override;
    void pause() override {}
    void resume() override {}
    [[nodiscard]] bool is_open() const override { return open_; }
    [[nodiscard]] std::string_view protocol() const override { return {}; }

    void keep_alive();
    // The reader is too slow: messages are dropped, and the owner is to close the stream.
    [[nodiscard]] bool overflowed() const { return overflowed_; }

  private:
    void end();

    std::shared_ptr<net::ResponseStream> stream_;
    std::move_only_function<void()> on_end_;
    std::size_t buffered_max_;
    bool open_ = true;
    bool overflowed_ = false;
};
using EventSocketPtr = boost::intrusive_ptr<EventSocket>;

}  // namespace nave::broker
