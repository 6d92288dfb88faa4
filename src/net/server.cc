#include "net/server.h"

#include "net/connection.h"
#include "net/exchange.h"
#include "net/listener.h"
#include "net/server_core.h"
#include "net/websocket.h"
#include "net/ws_core.h"

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

namespace nave::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, LoopExecutor>;

constexpr int kAcceptsPerTurn = 64;
constexpr std::chrono::milliseconds kSweepEvery{1000};
constexpr std::chrono::milliseconds kAcceptBackoff{100};
constexpr std::chrono::milliseconds kDrainStep{5};
// How long cancelled handlers get to unwind.
constexpr std::chrono::milliseconds kUnwind{100};

IpAddress to_ip(const asio::ip::address& address) {
    const asio::ip::address_v6 v6 =
        address.is_v4() ? asio::ip::make_address_v6(asio::ip::v4_mapped, address.to_v4())
                        : address.to_v6();
    return IpAddress(v6.to_bytes());
}

// The connection went away before it was accepted; anything else is the listener's own trouble,
// such as having run out of descriptors.
bool concerns_one_connection(int error) {
    return error == ECONNABORTED || error == EPROTO || error == EINTR;
}

}  // namespace

struct HttpServer::State : std::enable_shared_from_this<HttpServer::State> {
    State(std::shared_ptr<ServerCore> core_in, Acceptor acceptor_in)
        : core(std::move(core_in)),
          acceptor(std::move(acceptor_in)),
          sweep_timer(core->loop.executor()),
          backoff_timer(core->loop.executor()) {}

    std::shared_ptr<ServerCore> core;
    Acceptor acceptor;
    Timer sweep_timer;
    Timer backoff_timer;
    tcp::endpoint listening_on;
    bool accepting = false;
    bool sweeping = false;
    bool backing_off = false;  // since the last successful accept

    void wait_for_clients() {
        acceptor.async_wait(Acceptor::wait_read,
                            [self = shared_from_this()](const error_code& error) {
                                if (!error && self->accepting) {
                                    self->accept_batch();
                                }
                            });
    }

    void accept_batch() {
        core->refresh_time();
        for (int i = 0; i < kAcceptsPerTurn; ++i) {
            sockaddr_storage storage{};
            socklen_t size = sizeof(storage);
            auto* const peer = reinterpret_cast<sockaddr*>(&storage);
            const int fd =
                ::accept4(acceptor.native_handle(), peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0) {
                backing_off = false;
                tcp::endpoint endpoint;
                std::memcpy(endpoint.data(), peer,
                            std::min<std::size_t>(size, endpoint.capacity()));
                admit(fd, endpoint);
            } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
                break;
            } else if (!concerns_one_connection(errno)) {
                back_off(errno);
                return;
            }
        }
        wait_for_clients();
    }

    void admit(int fd, const tcp::endpoint& peer) {
        ++core->stats.accepted;
        if (core->open_connections() >= core->limits.connections_max) {
            ++core->stats.refused_full;
            ::close(fd);
            return;
        }
        const IpAddress address = to_ip(peer.address());
        PeerTable::Slot slot;
        if (!core->proxies.trusts(address) && !core->peers->admit(address, slot)) {
            ++core->stats.refused_client;
            ::close(fd);
            return;
        }
        Connection::Socket socket(core->loop.executor());
        error_code error;
        socket.assign(peer.protocol(), fd, error);
        if (error) {
            ::close(fd);
            return;
        }
        const boost::intrusive_ptr<Connection> connection(
            new Connection(*core, std::move(socket), address, std::move(slot)));
        core->add(connection);
        connection->start();
    }

    // The waiting connection keeps the listener readable, so trying again at once would spin.
    void back_off(int error) {
        if (!backing_off) {
            core->logger.warn("cannot accept connections",
                              {{"error", std::string_view(std::strerror(error))},
                               {"connections", core->open_connections()}});
        }
        backing_off = true;
        backoff_timer.expires_after(kAcceptBackoff);
        backoff_timer.async_wait([self = shared_from_this()](const error_code& cancelled) {
            if (!cancelled && self->accepting) {
                self->wait_for_clients();
            }
        });
    }

    void sweep_later() {
        sweep_timer.expires_after(kSweepEvery);
        sweep_timer.async_wait([weak = weak_from_this()](const error_code& cancelled) {
            const auto self = weak.lock();
            if (!cancelled && self && self->sweeping) {
                self->core->sweep();
                self->sweep_later();
            }
        });
    }

    void stop_accepting() {
        accepting = false;
        error_code ignored;
        acceptor.close(ignored);
        backoff_timer.cancel();
    }

    void stop_sweeping() {
        sweeping = false;
        sweep_timer.cancel();
    }
};

HttpServer::HttpServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

HttpServer::~HttpServer() {
    state_->stop_accepting();
    state_->stop_sweeping();
    state_->core->shut_down();
}

Result<std::unique_ptr<HttpServer>> HttpServer::bind(Loop& loop, const Clock& clock,
                                                     Entropy& entropy, Logger& logger,
                                                     std::string_view address,
                                                     TrustedProxies proxies, ServerLimits limits) {
    TRY(auto acceptor, open_listener(loop, address, limits.write_timeout));
    auto core =
        std::make_shared<ServerCore>(loop, clock, entropy, logger, std::move(proxies), limits);
    auto state = std::make_shared<State>(std::move(core), std::move(acceptor));
    state->listening_on = state->acceptor.local_endpoint();
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

void HttpServer::mount(std::string prefix, const Router& router) {
    state_->core->mount(std::move(prefix), router);
}

void HttpServer::unmount(std::string_view prefix) {
    state_->core->unmount(prefix);
}

void HttpServer::start() {
    state_->accepting = true;
    state_->sweeping = true;
    state_->wait_for_clients();
    state_->sweep_later();
}

void HttpServer::stop_accepting() {
    state_->stop_accepting();
}

Task<bool> HttpServer::drain(std::chrono::milliseconds deadline) {
    const auto state = state_;
    const auto core = state->core;
    state->stop_accepting();
    core->refresh_time();
    core->draining = true;
    for (const auto& connection : std::vector(core->connections)) {
        connection->drain();
    }
    core->websockets().drain();
    const auto busy = [&core] {
        return !core->running.empty() || core->websockets().is_busy() ||
               std::ranges::any_of(core->connections,
                                   [](const auto& connection) { return connection->is_busy(); });
    };
    for (auto waited = std::chrono::milliseconds{0}; busy() && waited < deadline;
         waited += kDrainStep) {
        co_await core->loop.sleep(kDrainStep);
    }
    const bool in_time = !busy();
    state->stop_sweeping();
    core->shut_down();
    for (auto waited = std::chrono::milliseconds{0}; !core->running.empty() && waited < kUnwind;
         waited += kDrainStep) {
        co_await core->loop.sleep(kDrainStep);
    }
    co_return in_time;
}

std::uint16_t HttpServer::port() const {
    return state_->listening_on.port();
}

std::string HttpServer::address() const {
    const auto& ip = state_->listening_on.address();
    return fmt::format(fmt::runtime(ip.is_v6() ? "[{}]:{}" : "{}:{}"), ip.to_string(), port());
}

ServerStats HttpServer::stats() const {
    ServerStats stats = state_->core->stats;
    stats.connections = state_->core->open_connections();
    stats.body_bytes = state_->core->bodies.used();
    return stats;
}

WebSocketStats HttpServer::websocket_stats() const {
    WebSocketStats stats = state_->core->websockets().stats;
    stats.open = state_->core->websockets().size();
    return stats;
}

void HttpServer::sweep() {
    state_->core->sweep();
}

}  // namespace nave::net
