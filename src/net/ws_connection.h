// WsConnection: a WebSocket after its handshake, driven by readiness callbacks like
// net/connection.h, whose socket it has taken over.
//
// Reads into the buffer all connections share; an open socket that is silent owns neither an input
// nor an output buffer. Output is sent once per loop turn, or earlier when it is much. The session
// hears of the end as soon as it begins; the closing handshake is finished without it.
#pragma once

#include "net/server_core.h"
#include "net/websocket.h"
#include "net/ws_core.h"
#include "net/ws_handshake.h"
#include "net/ws_output.h"
#include "net/ws_parser.h"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace nave::net {

class WsConnection final : public WebSocket, public WsTimerHook {
  public:
    using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, LoopExecutor>;

    WsConnection(ServerCore& core, Socket socket, PeerTable::Slot slot,
                 const WebSocketUpgrade& upgrade);
    ~WsConnection() override;

    // Sends the answer to the handshake, which is in core.out. `input` is what the client has sent
    // behind its request.
    void start(std::string input);
    void run_scheduled();
    // Sends what can be sent, and calls nobody.
    void push();
    // Applies the timeouts as of core.now.
    void check();
    void drain();
    // Without ceremony; the session is told.
    void cut();

    void set_index(std::size_t index) { index_ = static_cast<std::uint32_t>(index); }
    [[nodiscard]] std::size_t index() const { return index_; }

    bool send_text(std::string_view payload) override;
    bool send_binary(std::string_view payload) override;
    bool send(const SharedFrame& frame) override;
    bool ping(std::string_view payload) override;
    [[nodiscard]] std::size_t buffered() const override;
    void close(std::uint16_t code, std::string_view reason) override;
    void pause() override;
    void resume() override;
    [[nodiscard]] bool is_open() const override { return phase_ == Phase::open; }
    [[nodiscard]] std::string_view protocol() const override { return protocol_; }

  private:
    enum class Phase : std::uint8_t {
        open,
        closing,    // our close frame is queued or sent, the peer's is awaited
        finishing,  // nothing more is received; shuts its side when the output is sent
        lingering,  // our side is shut; what the peer still sends is dropped
        closed,
    };
    struct End {
        WebSocketEnd::By by;
        std::uint16_t code;
        std::string reason;
    };

    // Reading.
    void arm_read();
    void on_readable(bool failed);
    void read();
    void discard_input();
    void consume(std::span<char> input);
    void handle(WsParser::Event event);
    [[nodiscard]] bool is_held() const;
    void read_on();

    // Writing.
    void arm_write();
    void on_writable(bool failed);
    [[nodiscard]] WsOutput& output();
    [[nodiscard]] bool sent_one();
    void schedule();
    // Tells the server how much this socket holds; by how much it has grown.
    std::size_t recount();

    // Ending.
    void begin_close(std::uint16_t code, std::string_view reason);
    void peer_closes();
    void break_off(std::uint16_t code, std::string_view reason);
    void note_end(WebSocketEnd::By by, std::uint16_t code, std::string_view reason);
    void set_close_deadline();
    void lose(std::string_view why);
    void reset(std::string_view why);
    void finish();
    void close_transport();
    void tell_closed();
    void count_end(std::uint16_t code) const;

    // After any event: tells the session what happened, sends the rest, goes on reading.
    void settle();
    [[nodiscard]] SteadyTime next_due() const;
    template <class Fn>
    void call_session(Fn fn);
    void log_thrown() const;
    [[nodiscard]] WsCore& shared() const { return core_->websockets(); }
    [[nodiscard]] int fd() { return socket_.native_handle(); }

    Socket socket_;
    PeerTable::Slot slot_;
    ServerCore* core_;                           // not used once closed
    std::shared_ptr<WebSocketSession> session_;  // null once told of the end
    std::shared_ptr<const WebSocketOptions> options_;
    std::string_view protocol_;  // in options_
    WsParser parser_;
    std::unique_ptr<WsOutput> output_;   // null: nothing to send
    std::unique_ptr<std::string> held_;  // received, not yet parsed
    std::unique_ptr<End> end_;           // set when the session is over
    SteadyTime last_message_;
    SteadyTime next_ping_;
    SteadyTime pinged_;        // the first ping without an answer
    SteadyTime deadline_;      // of the closing handshake; while open, of a blocked output
    int in_kernel_ = 0;        // bytes the peer had not acknowledged when last looked at
    std::size_t counted_ = 0;  // what recount() has said
    std::uint32_t index_ = 0;
    Phase phase_ = Phase::open;
    bool read_armed_ = false;
    bool write_armed_ = false;  // the kernel takes no more
    bool was_blocked_ = false;
    bool flush_scheduled_ = false;
    bool awaits_pong_ = false;
    bool paused_ = false;
    bool broken_ = false;  // a send failed
    bool in_session_ = false;
};

}  // namespace nave::net
