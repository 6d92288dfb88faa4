// HttpServer: HTTP/1.1 on the event loop. Requests of one connection are answered in order; reading
// pauses while one is being handled, so a client cannot queue work without limit.
//
// The request head is parsed by our own code (net/head_parser.h) and responses are assembled into
// one send per loop turn: ARCHITECTURE.md gives the measurement that justifies not using Beast
// here.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "base/result.h"
#include "net/ip.h"
#include "net/router.h"
#include "runtime/loop.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace nave {
class Logger;
}

namespace nave::net {

struct WebSocketStats;

struct ServerLimits {
    std::size_t connections_max = 16'384;           // WebSockets included
    std::size_t connections_per_client_max = 0;     // by address or /64, proxies exempt; 0 for any
    std::size_t body_bytes_max = 64 * 1024 * 1024;  // of all bodies that are kept at once
    std::size_t head_bytes_max = 16 * 1024;
    std::size_t headers_max = 64;
    std::chrono::milliseconds head_timeout{10'000};  // from first byte (or accept) to full head
    std::chrono::milliseconds body_timeout{30'000};  // from head to last byte of the body
    std::chrono::milliseconds keep_alive_timeout{75'000};  // idle between requests
    std::chrono::milliseconds write_timeout{30'000};       // no progress towards a slow reader
    std::size_t stream_buffer_max = 1024 * 1024;           // per stream; beyond it it is aborted
    // Unsent output and unfinished messages of all WebSockets together. Beyond it a peer that adds
    // to them is closed with 1013.
    std::size_t websockets_buffered_max = std::size_t{256} << 20;
};

struct ServerStats {
    std::size_t connections = 0;  // WebSockets included
    std::uint64_t accepted = 0;
    std::uint64_t refused_full = 0;    // over connections_max
    std::uint64_t refused_client = 0;  // over connections_per_client_max
    std::uint64_t refused_bodies = 0;  // over body_bytes_max
    std::size_t body_bytes = 0;        // kept now
    std::uint64_t timed_out_head = 0;
    std::uint64_t timed_out_body = 0;
    std::uint64_t timed_out_write = 0;
    std::uint64_t malformed = 0;
};

class HttpServer {
  public:
    // `host:port`, `[v6]:port`, `:port`; port 0 picks a free one. Binds and listens at once, so a
    // busy port is reported before anything else is touched: id "net.port_busy", "net.bad_address",
    // "net.permission".
    [[nodiscard]] static Result<std::unique_ptr<HttpServer>> bind(
        Loop& loop, const Clock& clock, Entropy& entropy, Logger& logger, std::string_view address,
        TrustedProxies proxies, ServerLimits limits = ServerLimits());
    ~HttpServer();

    // Prefix "" or "/name". The router must outlive the server. A longer prefix wins. Mounting is
    // allowed while serving (start-up serves /health alone first); so is unmounting by remount.
    void mount(std::string prefix, const Router& router);
    void unmount(std::string_view prefix);

    // Accepts until stop_accepting().
    void start();
    void stop_accepting();
    // Lets running handlers finish and closes connections as they fall idle; streams are told,
    // WebSockets are closed with 1001.
    // False when some were still busy at the deadline and were cut.
    Task<bool> drain(std::chrono::milliseconds deadline);

    [[nodiscard]] std::uint16_t port() const;
    [[nodiscard]] std::string address() const;  // "127.0.0.1:3900"
    [[nodiscard]] ServerStats stats() const;
    [[nodiscard]] WebSocketStats websocket_stats() const;
    // Applies all timeouts as of the clock's steady time; called every second while started, and by
    // tests after moving a manual clock.
    void sweep();

  private:
    struct State;
    explicit HttpServer(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

}  // namespace nave::net
