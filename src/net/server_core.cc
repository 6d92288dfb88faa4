#include "net/server_core.h"

#include "base/check.h"
#include "base/text.h"
#include "net/connection.h"
#include "net/exchange.h"
#include "net/response_head.h"
#include "net/ws_core.h"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace nave::net {
namespace {

// Several X-Forwarded-For lines are one list (RFC 9110, section 5.3). Looking at the first alone
// would believe a client whose proxy adds a line instead of extending it.
IpAddress client_of(const Request& request, const TrustedProxies& proxies, const IpAddress& peer) {
    if (proxies.empty()) {
        return peer;
    }
    std::string all;
    for (const Header& header : request.headers) {
        if (equal_ignoring_case(header.name, "x-forwarded-for")) {
            all.append(all.empty() ? "" : ",").append(header.value);
        }
    }
    return proxies.client(peer, all);
}

}  // namespace

ServerCore::ServerCore(Loop& loop_in, const Clock& clock_in, Entropy& entropy, Logger& logger_in,
                       TrustedProxies proxies_in, ServerLimits limits_in)
    : loop(loop_in),
      clock(clock_in),
      logger(logger_in),
      proxies(std::move(proxies_in)),
      limits(limits_in),
      bodies(limits.body_bytes_max),
      peers(std::make_shared<PeerTable>(limits.connections_per_client_max)),
      request_ids(entropy),
      read_buffer(std::make_unique<char[]>(kReadBufferBytes)) {
    refresh_time();
    websockets_ = std::make_unique<WsCore>(*this);
}

ServerCore::~ServerCore() = default;

void ServerCore::mount(std::string prefix, const Router& router) {
    CHECK(prefix.empty() || (prefix.starts_with('/') && !prefix.ends_with('/')),
          "a prefix is empty or starts with a slash and does not end in one");
    unmount(prefix);
    auto kept = std::ranges::find(prefixes_, prefix);
    if (kept == prefixes_.end()) {
        kept = prefixes_.insert(prefixes_.end(), std::move(prefix));
    }
    const auto longer = [](const Mount& a, const Mount& b) {
        return a.prefix.size() > b.prefix.size();
    };
    const Mount added{.prefix = *kept, .router = &router};
    mounts_.insert(std::ranges::upper_bound(mounts_, added, longer), added);
}

void ServerCore::unmount(std::string_view prefix) {
    std::erase_if(mounts_, [&](const Mount& mount) { return mount.prefix == prefix; });
}

void ServerCore::route(const HeadParser& head, std::string_view head_bytes, const IpAddress& peer,
                       Routed& to, Request& of) {
    head.bind(of, head_bytes);
    to.router = nullptr;
    to.match = Router::Match();
    to.prefix = {};
    to.received = now;
    to.method = head.method();
    to.is_http_1_0 = head.minor_version() == 0;
    to.keep_alive = head.keep_alive();
    to.client = client_of(of, proxies, peer);
    if (!to.id.assign_inbound(of.header("x-request-id"))) {
        request_ids.next(to.id);
    }
    for (const Mount& mount : mounts_) {
        const std::string_view rest =
            of.path.starts_with(mount.prefix) ? of.path.substr(mount.prefix.size()) : "*";
        if (rest.empty() || rest.starts_with('/')) {
            to.router = mount.router;
            to.prefix = mount.prefix;
            to.match = mount.router->match(to.method, rest.empty() ? "/" : rest);
            break;
        }
    }
}

ErrorRenderer ServerCore::renderer(const Routed& of) const {
    if (of.router != nullptr) {
        return of.router->error_renderer();
    }
    const bool has_root = !mounts_.empty() && mounts_.back().prefix.empty();
    return has_root ? mounts_.back().router->error_renderer() : &problem_response;
}

void ServerCore::observe(const Routed& of, int status) const {
    if (of.router == nullptr || !of.router->observer()) {
        return;
    }
    const std::string_view route = of.match.route != nullptr
                                       ? std::string_view(of.match.route->path_template)
                                       : std::string_view("unmatched");
    of.router->observer()(route, of.method, status, clock.steady() - of.received);
}

void ServerCore::refresh_time() {
    now = clock.steady();
    if (now >= fixed_lines_until_) {
        const UnixMillis wall = clock.now();
        fixed_lines = fixed_head_lines(wall);
        fixed_lines_until_ = now + std::chrono::milliseconds(1000 - wall % 1000);
    }
}

void ServerCore::schedule_flush(Connection& connection) {
    unflushed_.emplace_back(&connection);
    if (unflushed_.size() == 1) {
        boost::asio::post(loop.executor(),
                          [self = shared_from_this()] { self->flush_scheduled(); });
    }
}

void ServerCore::flush_scheduled() {
    std::vector<boost::intrusive_ptr<Connection>> batch;
    batch.swap(unflushed_);
    if (is_shut_down) {
        return;  // everything is closed, and the clock may be gone
    }
    refresh_time();
    for (const auto& connection : batch) {
        connection->run_scheduled_flush();
    }
}

void ServerCore::add(const boost::intrusive_ptr<Connection>& connection) {
    connection->set_index(connections.size());
    connections.push_back(connection);
}

void ServerCore::remove(Connection& connection) {
    const std::size_t index = connection.index();
    connections[index].swap(connections.back());
    connections[index]->set_index(index);
    connections.pop_back();
}

void ServerCore::sweep() {
    refresh_time();
    // Backwards, since a connection that closes is replaced by the last one; closing one may close
    // others, hence the second look at the size.
    for (std::size_t i = connections.size(); i-- > 0;) {
        if (i < connections.size()) {
            const boost::intrusive_ptr<Connection> connection = connections[i];
            connection->sweep();
        }
    }
    websockets_->sweep();
}

std::size_t ServerCore::open_connections() const {
    return connections.size() + websockets_->size();
}

void ServerCore::shut_down() {
    is_shut_down = true;
    for (Exchange* exchange : std::vector<Exchange*>(running.begin(), running.end())) {
        exchange->cancel.emit(boost::asio::cancellation_type::terminal);
    }
    while (!connections.empty()) {
        const boost::intrusive_ptr<Connection> last = connections.back();
        last->close_now();
    }
    websockets_->shut_down();
}

}  // namespace nave::net
