#include "net/listener.h"

#include "net/listen_address.h"

#include <boost/asio/ip/v6_only.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace nave::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr int kBacklog = 4096;

std::unexpected<Error> listen_failure(std::string_view address, const error_code& error) {
    const std::string detail = error.message();
    if (error == asio::error::address_in_use) {
        return fail(Code::conflict, "net.port_busy",
                    fmt::format("Another program already listens on {}.", address), detail);
    }
    if (error == asio::error::access_denied) {
        return fail(Code::forbidden, "net.permission",
                    fmt::format("This user may not listen on {}; ports below 1024 are privileged.",
                                address),
                    detail);
    }
    return fail(Code::invalid, "net.bad_address",
                fmt::format("Cannot listen on '{}': {}.", address, detail), detail);
}

// What the kernel is told, next to the address. Accepted sockets inherit options on Linux, which
// saves system calls for each.
struct ListenOptions {
    bool dual_stack = false;
    std::chrono::milliseconds user_timeout{};  // for acknowledgements: ends half-open streams
};

error_code set_options(Acceptor& acceptor, const ListenOptions& options) {
    error_code error;
    acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && options.dual_stack) {
        acceptor.set_option(asio::ip::v6_only(false), error);
    }
    if (!error) {
        acceptor.set_option(tcp::no_delay(true), error);
    }
    const auto millis = static_cast<unsigned>(options.user_timeout.count());
    ::setsockopt(acceptor.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &millis, sizeof(millis));
    return error;
}

error_code open_and_listen(Acceptor& acceptor, const tcp::endpoint& endpoint,
                           const ListenOptions& options) {
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) {
        ::fcntl(acceptor.native_handle(), F_SETFD, FD_CLOEXEC);
        error = set_options(acceptor, options);
    }
    if (!error) {
        acceptor.bind(endpoint, error);
    }
    if (!error) {
        acceptor.listen(kBacklog, error);
    }
    if (!error) {
        acceptor.non_blocking(true, error);
    }
    if (error) {
        error_code ignored;
        acceptor.close(ignored);
    }
    return error;
}

error_code listen_on(Loop& loop, Acceptor& acceptor, const ListenAddress& where,
                     ListenOptions options) {
    if (where.host.empty()) {
        options.dual_stack = true;
        const error_code error =
            open_and_listen(acceptor, tcp::endpoint(tcp::v6(), where.port), options);
        if (error != asio::error::address_family_not_supported && error.value() != EADDRNOTAVAIL) {
            return error;
        }
        options.dual_stack = false;
        return open_and_listen(acceptor, tcp::endpoint(tcp::v4(), where.port), options);
    }
    error_code error;
    const auto literal = asio::ip::make_address(where.host, error);
    if (!error) {
        return open_and_listen(acceptor, tcp::endpoint(literal, where.port), options);
    }
    // A name, looked up while starting, before anything is served.
    asio::ip::basic_resolver<tcp, LoopExecutor> resolver(loop.executor());
    const auto found = resolver.resolve(where.host, "", error);
    if (error) {
        return error;
    }
    return open_and_listen(acceptor, tcp::endpoint(found.begin()->endpoint().address(), where.port),
                           options);
}

}  // namespace

Result<Acceptor> open_listener(Loop& loop, std::string_view address,
                               std::chrono::milliseconds user_timeout) {
    const auto where = parse_listen_address(address);
    if (!where) {
        return fail(Code::invalid, "net.bad_address",
                    fmt::format("'{}' is not host:port, [v6]:port or :port.", address));
    }
    Acceptor acceptor(loop.executor());
    const ListenOptions options{.dual_stack = false, .user_timeout = user_timeout};
    if (const error_code error = listen_on(loop, acceptor, *where, options)) {
        return listen_failure(address, error);
    }
    return acceptor;
}

}  // namespace nave::net
