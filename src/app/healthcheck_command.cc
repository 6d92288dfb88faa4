// A health probe without curl: one HTTP/1.0 request on a plain socket, bounded in time and size.
#include "app/commands.h"
#include "app/exit_codes.h"
#include "app/server_process.h"
#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <memory>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace nave::app {
namespace {

constexpr std::chrono::seconds kTimeout{5};
constexpr std::size_t kAnswerMax = 64 * 1024;

struct Target {
    std::string host;
    std::string port;
    std::string path;
};

Result<Target> parse_url(std::string_view url) {
    constexpr std::string_view kScheme = "http://";
    if (!url.starts_with(kScheme)) {
        return fail(Code::invalid, "app.url", "--url must begin with http://");
    }
    url.remove_prefix(kScheme.size());
    const auto slash = url.find('/');
    const std::string_view authority = url.substr(0, slash);
    const auto colon = authority.rfind(':');
    Target target;
    target.path = slash == std::string_view::npos ? "/health" : std::string(url.substr(slash));
    target.host = authority.substr(0, colon);
    target.port = colon == std::string_view::npos ? "80" : std::string(authority.substr(colon + 1));
    if (target.host.starts_with('[') && target.host.ends_with(']')) {
        target.host = target.host.substr(1, target.host.size() - 2);
    }
    return target;
}

// That address, seen from this machine.
Target own_target(const std::string& address) {
    const auto colon = address.rfind(':');
    Target target{address.substr(0, colon), address.substr(colon + 1), "/health"};
    if (target.host.empty() || target.host == "0.0.0.0" || target.host == "[::]") {
        target.host = "127.0.0.1";
    }
    return target;
}

// Where a server with these settings listens; with `any` also where each of the services would
// alone.
std::vector<Target> own_targets(const Settings& settings, const Chosen& chosen, bool any) {
    std::vector<std::string> addresses{
        listen_address(ServeOptions{chosen, chosen.size() == 1}, settings)};
    if (any) {
        for (const ServiceEntry* service : chosen) {
            std::string address = listen_address(ServeOptions{{service}, true}, settings);
            if (std::ranges::find(addresses, address) == addresses.end()) {
                addresses.push_back(std::move(address));
            }
        }
    }
    std::vector<Target> targets;
    std::ranges::transform(addresses, std::back_inserter(targets), own_target);
    return targets;
}

class Socket {
  public:
    explicit Socket(int fd) : fd_(fd) {}
    ~Socket() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    [[nodiscard]] int fd() const { return fd_; }

  private:
    int fd_;
};

using Deadline = std::chrono::steady_clock::time_point;

bool wait_for(int fd, short events, Deadline deadline) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd entry{fd, events, 0};
    return left.count() > 0 && ::poll(&entry, 1, static_cast<int>(left.count())) == 1;
}

Result<std::string> fetch(const Target& target, Deadline deadline) {
    const auto unreachable = [&](std::string_view why) {
        return fail(Code::unavailable, "app.unreachable",
                    fmt::format("http://{}:{}{} cannot be reached: {}", target.host, target.port,
                                target.path, why));
    };
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int problem = ::getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found);
        problem != 0) {
        return unreachable(::gai_strerror(problem));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
    const Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (socket.fd() < 0) {
        return unreachable(std::strerror(errno));
    }
    if (::connect(socket.fd(), found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS) {
        return unreachable(std::strerror(errno));
    }
    int problem = 0;
    socklen_t size = sizeof problem;
    if (!wait_for(socket.fd(), POLLOUT, deadline)) {
        return unreachable("timed out");
    }
    ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem != 0) {
        return unreachable(std::strerror(problem));
    }
    const std::string request = fmt::format("GET {} HTTP/1.0\r\nHost: {}:{}\r\n\r\n", target.path,
                                            target.host, target.port);
    if (::send(socket.fd(), request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
        return unreachable("cannot send");
    }
    std::string answer;
    std::array<char, 4096> chunk{};
    while (answer.size() < kAnswerMax) {
        if (!wait_for(socket.fd(), POLLIN, deadline)) {
            return unreachable("timed out");
        }
        const ssize_t got = ::recv(socket.fd(), chunk.data(), chunk.size(), 0);
        if (got <= 0) {
            break;
        }
        answer.append(chunk.data(), static_cast<std::size_t>(got));
    }
    return answer;
}

}  // namespace

int healthcheck_command(const Settings& settings, const Chosen& chosen, const std::string& url,
                        bool any) {
    std::vector<Target> targets;
    if (url.empty()) {
        targets = own_targets(settings, chosen, any);
    } else {
        auto parsed = parse_url(url);
        if (!parsed) {
            return complain(parsed.error(), kExitUsage);
        }
        targets.push_back(std::move(*parsed));
    }
    const Deadline deadline = std::chrono::steady_clock::now() + kTimeout;
    auto answer = fetch(targets.front(), deadline);
    for (std::size_t next = 1; !answer && next < targets.size(); ++next) {
        if (auto other = fetch(targets[next], deadline)) {
            answer = std::move(other);
        }
    }
    if (!answer) {
        return complain(answer.error(), kExitFailed);
    }
    const auto body_at = answer->find("\r\n\r\n");
    const std::string_view body = body_at == std::string::npos
                                      ? std::string_view()
                                      : std::string_view(*answer).substr(body_at + 4);
    fmt::print("{}\n", trim(body));
    const bool healthy = answer->starts_with("HTTP/1.1 200") || answer->starts_with("HTTP/1.0 200");
    return healthy ? kExitOk : kExitFailed;
}

}  // namespace nave::app
