// For tests: an HttpServer on a free loopback port, raw socket clients in the same thread, and a
// parser of what they receive. Nothing sleeps: the loop is polled until what is awaited is there.
#pragma once

#include "base/text.h"
#include "net/server.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace nave::net {

class CapturedLog final : public LogSink {
  public:
    void write(LogLevel /*level*/, std::string_view line) override { lines.emplace_back(line); }
    std::vector<std::string> lines;
};

struct Reply {
    int status = 0;
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;

    [[nodiscard]] std::string header(const std::string& name) const {
        const auto found = headers.find(name);
        return found == headers.end() ? "" : found->second;
    }
};

// Takes one reply off the front of `text`; false when it is incomplete.
inline bool take_reply(std::string& text, Reply& reply, bool to_head_request = false) {
    const auto end = text.find("\r\n\r\n");
    if (end == std::string::npos) {
        return false;
    }
    reply = Reply();
    reply.status = std::stoi(text.substr(9, 3));
    std::size_t at = text.find("\r\n") + 2;
    while (at < end + 2) {
        const auto line_end = text.find("\r\n", at);
        const std::string line = text.substr(at, line_end - at);
        const auto colon = line.find(':');
        reply.headers[lower(line.substr(0, colon))] = line.substr(colon + 2);
        at = line_end + 2;
    }
    const std::size_t length =
        to_head_request
            ? 0
            : static_cast<std::size_t>(parse_int(reply.header("content-length")).value_or(0));
    if (text.size() < end + 4 + length) {
        return false;
    }
    reply.body = text.substr(end + 4, length);
    text.erase(0, end + 4 + length);
    return true;
}

class Client {
  public:
    explicit Client(std::uint16_t port, int receive_buffer = 0) {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (receive_buffer > 0) {
            ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
        }
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to));
    }
    ~Client() { close(); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    // Bytes the kernel took.
    std::size_t send(std::string_view text) const {
        const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
        return sent < 0 ? 0 : static_cast<std::size_t>(sent);
    }
    // Appends what is there to `received`, at most `bytes_max`.
    void receive(std::size_t bytes_max = SIZE_MAX) {
        std::array<char, 65536> buffer;
        while (bytes_max > 0) {
            const ssize_t got = ::recv(fd_, buffer.data(), std::min(buffer.size(), bytes_max), 0);
            if (got > 0) {
                received.append(buffer.data(), static_cast<std::size_t>(got));
                bytes_max -= static_cast<std::size_t>(got);
                continue;
            }
            ended = ended || got == 0 || (errno != EAGAIN && errno != ENOTCONN);
            was_reset = was_reset || (got < 0 && errno == ECONNRESET);
            break;
        }
    }
    void finish_sending() const { ::shutdown(fd_, SHUT_WR); }
    void close() {
        if (fd_ >= 0) {
            ::close(std::exchange(fd_, -1));
        }
    }

    std::string received;
    bool ended = false;
    bool was_reset = false;

  private:
    int fd_ = -1;
};

class ServerTest : public testing::Test {
  protected:
    explicit ServerTest(ServerLimits limits = ServerLimits(), std::string_view proxies = "") {
        auto bound = HttpServer::bind(loop, clock, entropy, logger, "127.0.0.1:0",
                                      TrustedProxies::parse(proxies).value(), limits);
        server = std::move(bound).value();
        server->mount("", router);
        server->start();
    }

    // Polls the loop until `done`; false when that takes unreasonably long.
    bool poll_until(const std::function<bool()>& done) {
        const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!done()) {
            if (std::chrono::steady_clock::now() > give_up) {
                return false;
            }
            loop.poll();
        }
        return true;
    }
    // Enough turns for everything that has been sent to have its effect.
    void settle() {
        for (int i = 0; i < 20; ++i) {
            loop.poll();
        }
    }
    Reply next_reply(Client& client, bool to_head_request = false) {
        Reply reply;
        EXPECT_TRUE(poll_until([&] {
            client.receive();
            return take_reply(client.received, reply, to_head_request) || client.ended;
        }));
        return reply;
    }
    bool closes(Client& client) {
        return poll_until([&] {
            client.receive();
            return client.ended;
        });
    }
    // On a connection of its own.
    Reply ask(std::string_view request) {
        Client client(server->port());
        client.send(request);
        return next_reply(client);
    }
    void advance(std::chrono::milliseconds by) {
        clock.advance(by);
        server->sweep();
        settle();
    }

    Loop loop;
    ManualClock clock;
    SeededEntropy entropy{1};
    std::shared_ptr<CapturedLog> log = std::make_shared<CapturedLog>();
    Logger logger{"net", LogLevel::debug, LogFormat::json, log};
    Router router;
    std::unique_ptr<HttpServer> server;
};

}  // namespace nave::net
