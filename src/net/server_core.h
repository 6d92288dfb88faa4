// ServerCore: what the connections of one HttpServer share: mounts, limits, counters, and the
// scratch space of the event being handled. One loop thread handles one event at a time, so one
// read buffer, one output buffer and one Request serve every connection; what has to outlive the
// event is copied into the connection.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "net/admission.h"
#include "net/head_parser.h"
#include "net/ip.h"
#include "net/request_id.h"
#include "net/router.h"
#include "net/server.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nave::net {

class Connection;
class WsCore;
struct Exchange;

// What is known about a request once its head has been read.
struct Routed {
    const Router* router = nullptr;  // null: nothing is mounted there
    Router::Match match;
    std::string_view prefix;
    RequestId id;
    IpAddress client;
    SteadyTime received{};
    Method method = Method::other;
    bool is_http_1_0 = false;
    bool keep_alive = false;
};

class ServerCore : public std::enable_shared_from_this<ServerCore> {
  public:
    static constexpr std::size_t kReadBufferBytes = 256 * 1024;

    ServerCore(Loop& loop_in, const Clock& clock_in, Entropy& entropy, Logger& logger_in,
               TrustedProxies proxies_in, ServerLimits limits_in);
    ~ServerCore();
    ServerCore(const ServerCore&) = delete;
    ServerCore& operator=(const ServerCore&) = delete;

    void mount(std::string prefix, const Router& router);
    void unmount(std::string_view prefix);
    // Fills `routed` and all of `request` but the body from a parsed head.
    void route(const HeadParser& head, std::string_view head_bytes, const IpAddress& peer,
               Routed& routed, Request& request);
    [[nodiscard]] ErrorRenderer renderer(const Routed& routed) const;
    void observe(const Routed& routed, int status) const;

    // Reads the clock; at the start of every event.
    void refresh_time();
    // Runs Connection::advance() for it once, after the current handler.
    void schedule_flush(Connection& connection);
    void add(const boost::intrusive_ptr<Connection>& connection);
    void remove(Connection& connection);
    void sweep();
    // Closes everything; running handlers are cancelled.
    void shut_down();
    [[nodiscard]] WsCore& websockets() { return *websockets_; }
    // Of both kinds.
    [[nodiscard]] std::size_t open_connections() const;

    Loop& loop;
    const Clock& clock;
    Logger& logger;
    const TrustedProxies proxies;
    const ServerLimits limits;
    ServerStats stats;
    BodyBudget bodies;
    const std::shared_ptr<PeerTable> peers;
    RequestIdSource request_ids;
    SteadyTime now{};
    std::string fixed_lines;  // of response heads, valid for this second
    bool draining = false;
    bool is_shut_down = false;
    bool is_parsing = false;  // the scratch below is in use by a connection further up the stack
    std::vector<boost::intrusive_ptr<Connection>> connections;
    std::list<Exchange*> running;  // asynchronous handlers

    // Scratch of the event being handled.
    std::unique_ptr<char[]> read_buffer;
    std::string out;
    HeadParser parser;
    Request request;
    Routed routed;

  private:
    struct Mount {
        std::string_view prefix;  // in prefixes_
        const Router* router;
    };

    void flush_scheduled();

    std::unique_ptr<WsCore> websockets_;
    std::vector<Mount> mounts_;        // longest first
    std::list<std::string> prefixes_;  // kept for good: requests point at them
    std::vector<boost::intrusive_ptr<Connection>> unflushed_;
    SteadyTime fixed_lines_until_{};
};

}  // namespace nave::net
