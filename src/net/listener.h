// Opens the listening socket of a server, so that a busy port is known before anything else starts.
#pragma once

#include "base/result.h"
#include "runtime/loop.h"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <string_view>

namespace nave::net {

using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, LoopExecutor>;

// `host:port`, `[v6]:port`, `:port` (all interfaces, both families). Non-blocking. A peer that
// leaves data unacknowledged for `user_timeout` is taken for gone. Errors: "net.bad_address",
// "net.port_busy", "net.permission".
[[nodiscard]] Result<Acceptor> open_listener(Loop& loop, std::string_view address,
                                             std::chrono::milliseconds user_timeout);

}  // namespace nave::net
