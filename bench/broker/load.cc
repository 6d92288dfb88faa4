// Load on the broker's WebSocket: one thread, epoll, raw sockets, so that the generator costs
// little beside the server it shares two cores with.
//
//   broker_load PORT MODE FILE SECONDS IN_FLIGHT BYTES
//
// FILE holds one line per connection: the key it is reached by, a tab, its hello. MODE:
//   direct  lines are pairs, sender and receiver; a message is done when the sender has its ack and
//           the receiver its push, and the next one is sent then
//   fanout  the first line broadcasts, the others receive; done when all have it
//   hello   connects every line once, 64 at a time
//   hold    connects every line and waits for standard input to close
// Prints one JSON object: messages, seconds, latency of send to push (ms).
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const std::string& what) {
    std::fprintf(stderr, "broker_load: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(1);
}

// A text frame under a fixed mask; the server unmasks it like any other.
std::string client_frame(char opcode, std::string_view payload) {
    constexpr char kMask[4] = {0x12, 0x34, 0x56, 0x78};
    std::string frame;
    frame.push_back(static_cast<char>(0x80 | opcode));
    const std::size_t size = payload.size();
    if (size < 126) {
        frame.push_back(static_cast<char>(0x80 | size));
    } else if (size < 65536) {
        frame.push_back(static_cast<char>(0x80 | 126));
        frame.push_back(static_cast<char>(size >> 8U));
        frame.push_back(static_cast<char>(size));
    } else {
        frame.push_back(static_cast<char>(0x80 | 127));
        for (int shift = 56; shift >= 0; shift -= 8) {
            frame.push_back(static_cast<char>(size >> static_cast<unsigned>(shift)));
        }
    }
    frame.append(kMask, 4);
    for (std::size_t i = 0; i < size; ++i) {
        frame.push_back(static_cast<char>(payload[i] ^ kMask[i % 4]));
    }
    return frame;
}

struct Connection {
    int fd = -1;
    std::string key;
    std::string hello;
    std::string input;
    std::string output;
    std::size_t sent = 0;
    bool upgraded = false;
    bool greeted = false;
    std::deque<Clock::time_point> started;  // receivers: when their messages were sent
    std::uint64_t acks = 0;
    std::uint64_t pushes = 0;
};

class Load {
  public:
    Load(int port, std::string mode, const std::string& file, double seconds, int in_flight,
         std::size_t bytes)
        : mode_(std::move(mode)), seconds_(seconds), in_flight_(in_flight), body_(bytes, 'x') {
        address_.sin_family = AF_INET;
        address_.sin_port = htons(static_cast<std::uint16_t>(port));
        address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        std::ifstream lines(file);
        for (std::string line; std::getline(lines, line);) {
            const auto tab = line.find('\t');
            Connection connection;
            connection.key = line.substr(0, tab);
            connection.hello = line.substr(tab + 1);
            connections_.push_back(std::move(connection));
        }
        epoll_ = ::epoll_create1(0);
    }

    int run() {
        const auto began = Clock::now();
        connect_all();
        if (mode_ == "hello" || mode_ == "hold") {
            const std::chrono::duration<double> took = Clock::now() - began;
            std::printf("{\"messages\":%zu,\"seconds\":%.6f,\"p50\":0,\"p99\":0}\n",
                        connections_.size(), took.count());
            std::fflush(stdout);
            if (mode_ == "hold") {
                for (std::string line; std::getline(std::cin, line);) {
                }
            }
            return 0;
        }
        const auto warm = Clock::now() + std::chrono::seconds(1);
        end_ = warm +
               std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds_));
        prime();
        turn_until(warm);
        measuring_ = true;
        done_ = 0;
        turn_until(end_);
        report();
        return 0;
    }

  private:
    void open(std::size_t index) {
        Connection& c = connections_[index];
        c.fd = ::socket(AF_INET, SOCK_STREAM, 0);
        if (c.fd < 0 ||
            ::connect(c.fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0) {
            die("connect");
        }
        const int one = 1;
        ::setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        ::fcntl(c.fd, F_SETFL, O_NONBLOCK);
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = index;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event);
        write(c,
              "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
              "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    }

    void connect_all() {
        constexpr std::size_t kAtOnce = 64;
        std::size_t opened = 0;
        while (greeted_ < connections_.size()) {
            while (opened < connections_.size() && opened - greeted_ < kAtOnce) {
                open(opened++);
            }
            turn(100);
        }
    }

    void prime() {
        if (mode_ == "fanout") {
            for (int i = 0; i < in_flight_; ++i) {
                broadcast();
            }
            return;
        }
        for (std::size_t pair = 0; pair + 1 < connections_.size(); pair += 2) {
            for (int i = 0; i < in_flight_; ++i) {
                direct(pair);
            }
        }
    }

    void direct(std::size_t pair) {
        Connection& receiver = connections_[pair + 1];
        receiver.started.push_back(Clock::now());
        write(connections_[pair],
              client_frame(1, "{\"type\":\"send\",\"id\":\"1\",\"targetSpec\":\"" + receiver.key +
                                  "\",\"priority\":\"next\",\"nonce\":\"\",\"ciphertext\":\"" +
                                  body_ + "\"}"));
    }

    void broadcast() {
        for (std::size_t i = 1; i < connections_.size(); ++i) {
            connections_[i].started.push_back(Clock::now());
        }
        write(connections_[0],
              client_frame(1,
                           "{\"type\":\"send\",\"id\":\"1\",\"targetSpec\":\"*\",\"priority\":"
                           "\"next\",\"nonce\":\"\",\"ciphertext\":\"" +
                               body_ + "\"}"));
    }

    void write(Connection& c, std::string_view bytes) {
        c.output.append(bytes);
        flush(c);
    }

    // What the kernel does not take now goes out after the next turn.
    void flush(Connection& c) {
        while (c.sent < c.output.size()) {
            const ssize_t n =
                ::send(c.fd, c.output.data() + c.sent, c.output.size() - c.sent, MSG_NOSIGNAL);
            if (n < 0) {
                if (errno == EAGAIN) {
                    return;
                }
                die("send");
            }
            c.sent += static_cast<std::size_t>(n);
        }
        c.output.clear();
        c.sent = 0;
    }

    void turn_until(Clock::time_point end) {
        while (Clock::now() < end) {
            turn(10);
        }
    }

    void turn(int timeout_ms) {
        epoll_event events[256];
        const int count = ::epoll_wait(epoll_, events, 256, timeout_ms);
        for (int i = 0; i < count; ++i) {
            read(static_cast<std::size_t>(events[i].data.u64));
        }
        for (Connection& c : connections_) {
            if (!c.output.empty()) {
                flush(c);
            }
        }
    }

    void read(std::size_t index) {
        Connection& c = connections_[index];
        char buffer[65536];
        const ssize_t n = ::recv(c.fd, buffer, sizeof buffer, 0);
        if (n <= 0) {
            if (n < 0 && errno == EAGAIN) {
                return;
            }
            die("the server closed a connection: " + c.input.substr(0, 300));
        }
        c.input.append(buffer, static_cast<std::size_t>(n));
        std::size_t at = 0;
        if (!c.upgraded) {
            const auto end = c.input.find("\r\n\r\n");
            if (end == std::string::npos) {
                return;
            }
            c.upgraded = true;
            at = end + 4;
            write(c, client_frame(1, c.hello));
        }
        at = frames(index, at);
        c.input.erase(0, at);
    }

    std::size_t frames(std::size_t index, std::size_t at) {
        Connection& c = connections_[index];
        while (c.input.size() - at >= 2) {
            const auto byte = [&](std::size_t i) {
                return static_cast<std::size_t>(static_cast<unsigned char>(c.input[at + i]));
            };
            std::size_t head = 2;
            std::size_t size = byte(1);
            if (size == 126) {
                if (c.input.size() - at < 4) {
                    break;
                }
                size = byte(2) << 8U | byte(3);
                head = 4;
            }
            if (c.input.size() - at < head + size) {
                break;
            }
            const std::string_view payload(c.input.data() + at + head, size);
            if ((byte(0) & 15U) == 9) {
                write(c, client_frame(10, payload));
            } else {
                message(index, payload);
            }
            at += head + size;
        }
        return at;
    }

    void message(std::size_t index, std::string_view payload) {
        Connection& c = connections_[index];
        if (payload.starts_with(R"({"type":"push")")) {
            c.pushes += 1;
            if (!c.started.empty()) {
                if (measuring_) {
                    latencies_.push_back(
                        std::chrono::duration<float, std::milli>(Clock::now() - c.started.front())
                            .count());
                }
                c.started.pop_front();
            }
            mode_ == "fanout" ? fanned_out() : pair_done(index - 1);
        } else if (payload.starts_with(R"({"type":"ack")")) {
            c.acks += 1;
            if (payload.find("\"queued\":true") == std::string_view::npos) {
                die("refused: " + std::string(payload));
            }
            mode_ == "fanout" ? fanned_out() : pair_done(index);
        } else if (payload.starts_with(R"({"type":"hello_ack")")) {
            if (!c.greeted) {
                c.greeted = true;
                greeted_ += 1;
            }
        } else if (payload.starts_with(R"({"type":"error")")) {
            die("error: " + std::string(payload));
        }
    }

    void pair_done(std::size_t sender) {
        Connection& from = connections_[sender];
        Connection& to = connections_[sender + 1];
        if (from.acks > 0 && to.pushes > 0) {
            from.acks -= 1;
            to.pushes -= 1;
            done_ += 1;
            direct(sender);
        }
    }

    void fanned_out() {
        pushed_ += 1;
        if (pushed_ == connections_.size()) {  // all receivers and the ack
            pushed_ = 0;
            done_ += 1;
            broadcast();
        }
    }

    void report() {
        std::ranges::sort(latencies_);
        const auto at = [&](double part) {
            const auto last = static_cast<double>(latencies_.size()) - 1;
            return latencies_.empty() ? 0.0F : latencies_[static_cast<std::size_t>(last * part)];
        };
        std::printf("{\"messages\":%llu,\"seconds\":%.6f,\"p50\":%.3f,\"p99\":%.3f}\n",
                    static_cast<unsigned long long>(done_), seconds_, static_cast<double>(at(0.5)),
                    static_cast<double>(at(0.99)));
    }

    std::string mode_;
    double seconds_;
    int in_flight_;
    std::string body_;
    sockaddr_in address_{};
    int epoll_ = -1;
    std::vector<Connection> connections_;
    std::size_t greeted_ = 0;
    std::uint64_t done_ = 0;
    std::size_t pushed_ = 0;
    bool measuring_ = false;
    Clock::time_point end_;
    std::vector<float> latencies_;
};

}  // namespace

int main(int count, char** values) {
    if (count != 7) {
        std::fprintf(stderr, "usage: broker_load PORT MODE FILE SECONDS IN_FLIGHT BYTES\n");
        return 2;
    }
    return Load(std::atoi(values[1]), values[2], values[3], std::atof(values[4]),
                std::atoi(values[5]), static_cast<std::size_t>(std::atol(values[6])))
        .run();
}
