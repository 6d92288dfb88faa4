// For tests: a private redis-server that can be stopped, started again and frozen, and a server
// that answers what a test tells it to.
#pragma once

#include "runtime/loop.h"

#include <boost/asio/ip/tcp.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nave::bus {

class RedisServer {
  public:
    // Empty when redis-server is installed, else why there is none.
    static std::string missing();

    explicit RedisServer(std::vector<std::string> options = {});
    ~RedisServer();
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;

    void start();
    void stop();  // killed, as by a crash; the port stays
    void freeze();
    void thaw();
    [[nodiscard]] std::string url(std::string_view credentials = "") const;

  private:
    [[nodiscard]] bool answers() const;

    std::filesystem::path directory_;
    std::vector<std::string> options_;
    std::uint16_t port_ = 0;
    int pid_ = -1;
};

// Accepts connections and hands what arrives to `answer`, which returns what to send back.
class FakeRedis {
  public:
    using Answer = std::function<std::string(std::string_view input)>;

    FakeRedis(Loop& loop, Answer answer);
    [[nodiscard]] std::string url() const;
    [[nodiscard]] int accepted() const { return accepted_; }
    [[nodiscard]] std::string received() const { return received_; }

  private:
    struct Client;
    void accept();
    void read(const std::shared_ptr<Client>& client);

    Loop& loop_;
    Answer answer_;
    boost::asio::ip::tcp::acceptor acceptor_;
    int accepted_ = 0;
    std::string received_;
    std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace nave::bus
