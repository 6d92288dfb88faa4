#include "generator.h"

#include "websocket.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

constexpr std::chrono::milliseconds kWarmUp{500};
constexpr std::chrono::seconds kDrain{10};
constexpr std::size_t kConnectAtOnce = 64;
constexpr std::size_t kReadBytes = 256 * 1024;

}  // namespace

void die(std::string_view what) {
    std::fprintf(stderr, "load: %.*s (%s)\n", static_cast<int>(what.size()), what.data(),
                 std::strerror(errno));
    std::exit(1);
}

Generator::Generator(Options options, std::unique_ptr<Protocol> protocol)
    : options_(std::move(options)),
      protocol_(std::move(protocol)),
      mark_("run" + std::to_string(::getpid()) + "."),
      body_(mark_),
      websocket_(!protocol_->websocket_path().empty()),
      epoll_(::epoll_create1(0)) {
    body_.resize(std::max(options_.bytes, mark_.size()), 'x');
    std::ifstream lines(options_.file);
    for (std::string line; std::getline(lines, line);) {
        const auto first = line.find('\t');
        const auto second = line.find('\t', first + 1);
        if (second == std::string::npos) {
            die("not a line of port, key and hello: " + line);
        }
        Connection connection;
        connection.port = static_cast<std::uint16_t>(std::atoi(line.c_str()));
        connection.key = line.substr(first + 1, second - first - 1);
        connection.hello = line.substr(second + 1);
        connections_.push_back(std::move(connection));
    }
}

bool Generator::is_own(std::string_view message) const {
    return message.find(mark_) != std::string_view::npos;
}

bool Generator::receives(std::size_t index) const {
    switch (options_.mode) {
        case Mode::direct:
            return index % 2 == 1;
        case Mode::fanout:
            return index > 0;
        case Mode::hold:
            return true;
    }
    return false;
}

void Generator::run() {
    const auto began = Clock::now();
    connect_all();
    if (options_.mode == Mode::hold) {
        hold(began);
        return;
    }
    for (std::size_t i = 0; i < connections_.size(); ++i) {
        for (int n = 0; !receives(i) && n < options_.in_flight; ++n) {
            send_one(i);
        }
    }
    flush();
    turn_until(Clock::now() + kWarmUp);
    // The caller reads the servers' processor time when it sees this line and the report.
    std::puts("measuring");
    std::fflush(stdout);
    measuring_ = true;
    messages_ = 0;
    const auto start = Clock::now();
    turn_until(start + std::chrono::duration_cast<Clock::duration>(
                           std::chrono::duration<double>(options_.seconds)));
    options_.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    report();
    // Nothing is left behind for the next run.
    ending_ = true;
    for (const auto end = Clock::now() + kDrain; in_flight_ > 0 && Clock::now() < end;) {
        turn(10);
    }
    if (in_flight_ > 0) {
        std::fprintf(stderr, "load: %llu messages did not arrive within %lld s\n",
                     static_cast<unsigned long long>(in_flight_),
                     static_cast<long long>(kDrain.count()));
    }
}

void Generator::connect_all() {
    std::size_t opened = 0;
    while (ready_ < connections_.size()) {
        while (opened < connections_.size() && opened - ready_ < kConnectAtOnce) {
            open(opened++);
        }
        flush();
        turn(100);
    }
}

void Generator::open(std::size_t index) {
    Connection& c = connections_[index];
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(c.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c.fd = ::socket(AF_INET, SOCK_STREAM, 0);
    if (c.fd < 0 ||
        ::connect(c.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        die("connect");
    }
    const int one = 1;
    ::setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    ::fcntl(c.fd, F_SETFL, O_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event);
    if (websocket_) {
        send_raw(index, upgrade_request(protocol_->websocket_path(), protocol_->subprotocol()));
    } else {
        c.opened = true;
        protocol_->greet(*this, index);
    }
}

void Generator::send_one(std::size_t sender) {
    if (ending_) {
        return;
    }
    connections_[sender].starts.push_back(Clock::now());
    in_flight_ += 1;
    if (options_.mode == Mode::fanout) {
        protocol_->broadcast(*this, sender);
    } else {
        protocol_->direct(*this, sender, sender + 1);
    }
}

void Generator::write(std::size_t index, std::string_view bytes) {
    if (!websocket_) {
        send_raw(index, bytes);
        return;
    }
    append_frame(connections_[index].output, protocol_->frame(), bytes);
    send_raw(index, {});
}

void Generator::send_raw(std::size_t index, std::string_view bytes) {
    Connection& c = connections_[index];
    c.output.append(bytes);
    if (!c.waiting) {
        c.waiting = true;
        waiting_.push_back(index);
    }
}

// What the kernel does not take now is tried again after the next turn.
void Generator::flush() {
    std::size_t kept = 0;
    for (const std::size_t index : waiting_) {
        Connection& c = connections_[index];
        const ssize_t n = ::send(c.fd, c.output.data(), c.output.size(), MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            die("send");
        }
        c.output.erase(0, n < 0 ? 0 : static_cast<std::size_t>(n));
        c.waiting = !c.output.empty();
        if (c.waiting) {
            waiting_[kept++] = index;
        }
    }
    waiting_.resize(kept);
}

void Generator::turn_until(Clock::time_point end) {
    while (Clock::now() < end) {
        turn(10);
    }
}

void Generator::turn(int timeout_ms) {
    epoll_event events[256];
    const int count = ::epoll_wait(epoll_, events, 256, timeout_ms);
    for (int i = 0; i < count; ++i) {
        read(static_cast<std::size_t>(events[i].data.u64));
    }
    flush();
}

void Generator::read(std::size_t index) {
    static std::vector<char> buffer(kReadBytes);
    Connection& c = connections_[index];
    const ssize_t n = ::recv(c.fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        die("the server closed a connection: " + c.input.substr(0, 300) + c.stream.substr(0, 300));
    }
    c.input.append(buffer.data(), static_cast<std::size_t>(n));
    if (!c.opened) {
        const auto end = c.input.find("\r\n\r\n");
        if (end == std::string::npos) {
            return;
        }
        if (!c.input.starts_with("HTTP/1.1 101")) {
            die("no upgrade: " + c.input);
        }
        c.input.erase(0, end + 4);
        c.opened = true;
        protocol_->greet(*this, index);
    }
    if (websocket_) {
        consume_frames(index);
    } else {
        c.input.erase(0, protocol_->consume(*this, index, c.input));
    }
}

void Generator::consume_frames(std::size_t index) {
    Connection& c = connections_[index];
    std::string_view rest = c.input;
    while (const auto frame = first_frame(rest)) {
        rest.remove_prefix(frame->size);
        if (frame->opcode == kPingFrame) {
            std::string pong;
            append_frame(pong, kPongFrame, frame->payload);
            send_raw(index, pong);
        } else if (c.stream.empty()) {
            const auto taken = protocol_->consume(*this, index, frame->payload);
            c.stream.assign(frame->payload.substr(taken));
        } else {
            c.stream.append(frame->payload);
            c.stream.erase(0, protocol_->consume(*this, index, c.stream));
        }
    }
    c.input.erase(0, c.input.size() - rest.size());
}

void Generator::ready(std::size_t index) {
    if (!connections_[index].ready) {
        connections_[index].ready = true;
        ready_ += 1;
    }
}

void Generator::acknowledged(std::size_t sender) {
    connections_[sender].acks += 1;
    if (options_.mode == Mode::fanout) {
        settle_broadcasts();
    } else {
        settle_pair(sender);
    }
}

void Generator::received(std::size_t receiver) {
    Connection& c = connections_[receiver];
    c.pushes += 1;
    if (options_.mode == Mode::fanout) {
        note_latency(connections_[0].starts.at(c.pushes - 1));
        settle_broadcasts();
    } else {
        settle_pair(receiver - 1);
    }
}

void Generator::settle_pair(std::size_t sender) {
    Connection& from = connections_[sender];
    const std::size_t pushes = connections_[sender + 1].pushes;
    const std::size_t complete = protocol_->acknowledges() ? std::min(from.acks, pushes) : pushes;
    while (from.done < complete) {
        note_latency(from.starts[from.done]);
        from.done += 1;
        settled(sender);
    }
}

// With several in flight a receiver may be ahead of another: what counts is that as many have
// arrived as belong to one broadcast.
void Generator::settle_broadcasts() {
    broadcast_events_ += 1;
    const std::size_t of_one = connections_.size() - (protocol_->acknowledges() ? 0 : 1);
    if (broadcast_events_ == of_one) {
        broadcast_events_ = 0;
        settled(0);
    }
}

void Generator::settled(std::size_t sender) {
    in_flight_ -= 1;
    messages_ += 1;
    send_one(sender);
}

void Generator::note_latency(Clock::time_point start) {
    if (measuring_) {
        latencies_.push_back(
            std::chrono::duration<float, std::milli>(Clock::now() - start).count());
    }
}

void Generator::hold(Clock::time_point began) const {
    const std::chrono::duration<double> took = Clock::now() - began;
    std::printf("{\"messages\":%zu,\"seconds\":%.6f}\n", connections_.size(), took.count());
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {
    }
}

void Generator::report() {
    std::ranges::sort(latencies_);
    const auto at = [&](double part) {
        const auto last = static_cast<double>(latencies_.size()) - 1;
        return latencies_.empty() ? 0.0F : latencies_[static_cast<std::size_t>(last * part)];
    };
    std::printf("{\"messages\":%llu,\"seconds\":%.6f,\"p50\":%.3f,\"p99\":%.3f}\n",
                static_cast<unsigned long long>(messages_), options_.seconds,
                static_cast<double>(at(0.5)), static_cast<double>(at(0.99)));
    std::fflush(stdout);
}
