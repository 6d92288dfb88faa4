// Load on a message server: one thread, epoll, raw sockets, so that the generator costs little
// beside the server it shares two cores with. A closed loop: what is done is sent again, so that as
// many messages as asked for are always in flight.
#pragma once

#include "protocol.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

enum class Mode {
    direct,  // lines are pairs of sender and receiver; done when acknowledged and received
    fanout,  // the first line broadcasts, the others receive; done when acknowledged and all have
             // it
    hold,    // connects all and waits for standard input to close
};

struct Options {
    Mode mode = Mode::direct;
    std::string file;  // one line per connection: its port, its key, its hello, with tabs between
    double seconds = 0;
    int in_flight = 0;  // of each sender
    std::size_t bytes = 0;
};

// Prints why and ends the program.
[[noreturn]] void die(std::string_view what);

class Generator {
  public:
    Generator(Options options, std::unique_ptr<Protocol> protocol);

    void run();

    // For protocols.
    [[nodiscard]] const std::string& key(std::size_t index) const {
        return connections_[index].key;
    }
    [[nodiscard]] const std::string& hello(std::size_t index) const {
        return connections_[index].hello;
    }
    // Begins with what no other run's messages begin with.
    [[nodiscard]] const std::string& body() const { return body_; }
    // Whether this is a message of this run: a server may give again what it gave an earlier one.
    [[nodiscard]] bool is_own(std::string_view message) const;
    [[nodiscard]] Mode mode() const { return options_.mode; }
    [[nodiscard]] bool receives(std::size_t index) const;
    // Leaves at the end of the turn, in one piece with what else the connection has to say.
    void write(std::size_t index, std::string_view bytes);
    void ready(std::size_t index);
    [[nodiscard]] bool is_ready(std::size_t index) const { return connections_[index].ready; }
    void acknowledged(std::size_t sender);
    void received(std::size_t receiver);

  private:
    using Clock = std::chrono::steady_clock;

    struct Connection {
        int fd = -1;
        std::uint16_t port = 0;
        std::string key;
        std::string hello;
        std::string input;   // bytes of the socket
        std::string stream;  // payload of frames that the protocol has not consumed
        std::string output;
        bool opened = false;
        bool ready = false;
        bool waiting = false;                   // listed in waiting_
        std::vector<Clock::time_point> starts;  // senders: when each message was sent
        std::size_t acks = 0;
        std::size_t pushes = 0;
        std::size_t done = 0;
    };

    void connect_all();
    void open(std::size_t index);
    void send_one(std::size_t sender);
    void send_raw(std::size_t index, std::string_view bytes);
    void flush();
    void turn(int timeout_ms);
    void turn_until(Clock::time_point end);
    void read(std::size_t index);
    void consume_frames(std::size_t index);
    void settle_pair(std::size_t sender);
    void settle_broadcasts();
    void settled(std::size_t sender);
    void note_latency(Clock::time_point start);
    void hold(Clock::time_point began) const;
    void report();

    Options options_;
    std::unique_ptr<Protocol> protocol_;
    std::string mark_;
    std::string body_;
    bool websocket_ = false;
    int epoll_ = -1;
    std::vector<Connection> connections_;
    std::vector<std::size_t> waiting_;  // connections with output
    std::size_t ready_ = 0;
    std::size_t broadcast_events_ = 0;
    std::uint64_t in_flight_ = 0;
    std::uint64_t messages_ = 0;
    bool measuring_ = false;
    bool ending_ = false;
    std::vector<float> latencies_;  // ms
};
