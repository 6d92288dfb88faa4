// Connection: one client of the HTTP server, driven by readiness callbacks.
//
// It reads into the buffer of its ServerCore, runs every complete request found there, and sends
// all their responses at once; an idle connection owns no buffers. Reading stops while a response
// waits for the client to read or for a coroutine, so a client cannot queue work. Closing is
// idempotent and drops the server's reference; callbacks that are still queued see Phase::closed.
//
// Implemented in connection.cc (reading, writing, closing), connection_requests.cc (from bytes to
// handlers), connection_responses.cc (from responses to bytes), connection_stream.cc (unfinished
// responses) and connection_upgrade.cc (from here to net/ws_connection.h).
#pragma once

#include "net/chunked_body.h"
#include "net/server_core.h"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nave::net {

class Connection final
    : public boost::intrusive_ref_counter<Connection, boost::sp_adl_block::thread_unsafe_counter> {
  public:
    using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, LoopExecutor>;

    Connection(ServerCore& core, Socket socket, const IpAddress& peer, PeerTable::Slot slot);
    ~Connection();

    void start();
    // Applies the timeouts as of core.now.
    void sweep();
    // Closes when idle, ends a stream, and otherwise closes after the response under way.
    void drain();
    // Without ceremony; a stream is told.
    void close_now();
    // Whether closing now would cut a request or a response short.
    [[nodiscard]] bool is_busy() const;
    void run_scheduled_flush();

    void set_index(std::size_t index) { index_ = static_cast<std::uint32_t>(index); }
    [[nodiscard]] std::size_t index() const { return index_; }

  private:
    class Stream;
    enum class Phase : std::uint8_t {
        fresh,      // accepted, nothing received yet
        idle,       // between requests; `incoming_` holds unparsed bytes, if any
        head,       // part of a head is in `incoming_`
        body,       // part of a body is in `incoming_`
        handling,   // a coroutine is running
        streaming,  // a response is being written by its handler
        upgrading,  // the handshake has been answered in core.out: becomes a WebSocket
        lingering,  // our side is shut; what the client still sends is dropped
        closed,
    };
    // A request that has not arrived completely.
    struct Incoming {
        HeadParser head;
        std::string bytes;
        std::uint64_t body_missing = 0;
        std::optional<ChunkedBody> chunked;
        BodyBudget::Share share;
        Routed routed;
    };
    // What the kernel has not taken yet.
    struct Outgoing {
        std::string bytes;
        std::string_view tail;   // after `bytes`: a body too large to copy
        std::string tail_owner;  // of `tail`, unless it is a fixed body
        std::size_t sent = 0;    // of both
        int in_kernel = 0;       // bytes the client had not acknowledged when last looked at
        [[nodiscard]] std::size_t unsent() const { return bytes.size() + tail.size() - sent; }
    };

    // The answer of a coroutine that ended while an earlier one was not yet sent.
    struct LateAnswer {
        std::shared_ptr<Exchange> exchange;
        Response response;
    };

    // connection.cc
    void arm_read();
    void arm_write();
    void on_readable(bool failed);
    void on_writable(bool failed);
    void read_request();
    void read_while_streaming();
    void discard_input();
    // Sends what can be sent; false when the connection closed or must wait for the client.
    [[nodiscard]] bool flush();
    [[nodiscard]] bool flush_outgoing();
    enum class Sent : std::uint8_t { all, some, failed };
    [[nodiscard]] Sent send_outgoing();
    // After any event: sends, runs requests that were held back, closes or waits for more.
    void advance();
    // Notes that the kernel takes no more, and waits until it does.
    void wait_for_client();
    [[nodiscard]] bool client_made_progress();
    void finish_close();
    void reset_connection();
    [[nodiscard]] int fd() { return socket_.native_handle(); }

    // connection_requests.cc
    [[nodiscard]] bool may_parse() const;
    void consume(std::string_view input);
    void consume_requests(std::string_view input);
    void keep_partial_head(std::string_view input);
    void hold(std::string_view input);
    void begin_request(std::string_view& input);
    void begin_body(std::string_view& input, std::size_t body_max);
    [[nodiscard]] bool continue_body(std::string_view& input);
    void refuse_body(const Error& error);
    void dispatch(std::string_view head_bytes, std::string_view body);
    void dispatch_incoming();
    void run(const SyncHandler& handler);
    void spawn(const AsyncHandler& handler, std::string bytes, std::string chunked_body,
               BodyBudget::Share share);
    // After the coroutine of an exchange has ended.
    static void finish(const std::shared_ptr<Exchange>& exchange, const std::exception_ptr& thrown,
                       Response response);
    void answer(const std::shared_ptr<Exchange>& exchange, Response response);

    // connection_responses.cc
    [[nodiscard]] Response answer_unrouted(const Routed& routed, const Request& request) const;
    void respond(const Routed& routed, Response response);
    void refuse(const Routed& routed, const Error& error);
    // For a request whose head was not understood, or did not arrive.
    void refuse_unrouted(const Error& error);
    void refuse_head(HeadError error);
    void become_idle();
    void accept_upgrade(const Routed& routed, Response& response);
    // Hands the socket over; this connection is closed then.
    void become_websocket();

    // connection_stream.cc
    void start_stream(Response& response, bool chunked);
    [[nodiscard]] bool stream_write(std::string_view bytes);
    void stream_flush();
    [[nodiscard]] std::size_t unsent() const { return outgoing_ ? outgoing_->unsent() : 0; }
    void stream_end();
    void stream_abort();

    Socket socket_;
    ServerCore* core_;  // not used once closed
    std::unique_ptr<Incoming> incoming_;
    std::unique_ptr<Outgoing> outgoing_;
    std::unique_ptr<LateAnswer> late_answer_;
    std::shared_ptr<WebSocketUpgrade> upgrade_;
    Stream* stream_ = nullptr;
    SteadyTime deadline_{};        // of the phase
    SteadyTime write_deadline_{};  // while there is unsent output
    IpAddress peer_;
    PeerTable::Slot slot_;
    std::uint32_t index_ = 0;  // in core.connections
    Phase phase_ = Phase::fresh;
    bool read_armed_ = false;
    bool write_armed_ = false;
    bool flush_scheduled_ = false;
    bool closing_ = false;  // once the output is sent
    bool linger_ = false;   // input may still come, so close by way of Phase::lingering
    bool doomed_ = false;   // a stream overran its buffer
    bool stream_chunked_ = false;
};

}  // namespace nave::net
