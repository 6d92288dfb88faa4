#include "bus/redis/redis_fixture.h"

#include <boost/asio/write.hpp>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace nave::bus {
namespace {

namespace fs = std::filesystem;
namespace asio = boost::asio;
using asio::ip::tcp;

constexpr const char* kServer = "/usr/bin/redis-server";
constexpr std::chrono::seconds kStartWait{15};

std::uint16_t free_port() {
    asio::io_context context;
    const tcp::acceptor acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    return acceptor.local_endpoint().port();
}

}  // namespace

std::string RedisServer::missing() {
    return ::access(kServer, X_OK) == 0 ? "" : "redis-server is not installed";
}

RedisServer::RedisServer(std::vector<std::string> options)
    : options_(std::move(options)), port_(free_port()) {
    std::string pattern = fs::temp_directory_path() / "nave-redis-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error("mkdtemp failed");
    }
    directory_ = pattern;
    start();
}

RedisServer::~RedisServer() {
    stop();
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
}

void RedisServer::start() {
    std::vector<std::string> words{kServer,  "--port",    std::to_string(port_),
                                   "--bind", "127.0.0.1", "--save",
                                   "",       "--dir",     directory_.string()};
    words.insert(words.end(), options_.begin(), options_.end());
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) {
        arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    const std::string log = directory_ / "log";
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int file = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
        ::dup2(file, STDOUT_FILENO);
        ::dup2(file, STDERR_FILENO);
        ::execv(kServer, arguments.data());
        ::_exit(127);
    }
    const auto deadline = std::chrono::steady_clock::now() + kStartWait;
    while (!answers()) {
        if (std::chrono::steady_clock::now() > deadline) {
            throw std::runtime_error("redis-server did not start");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

bool RedisServer::answers() const {
    asio::io_context context;
    tcp::socket socket(context);
    boost::system::error_code error;
    socket.connect(tcp::endpoint(asio::ip::address_v4::loopback(), port_), error);
    return !error;
}

void RedisServer::stop() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
}

void RedisServer::freeze() {
    ::kill(pid_, SIGSTOP);
}

void RedisServer::thaw() {
    ::kill(pid_, SIGCONT);
}

std::string RedisServer::url(std::string_view credentials) const {
    return fmt::format("redis://{}127.0.0.1:{}", credentials, port_);
}

struct FakeRedis::Client {
    explicit Client(tcp::socket socket_in) : socket(std::move(socket_in)) {}
    tcp::socket socket;
    std::array<char, 4096> input{};
    std::string output;
};

FakeRedis::FakeRedis(Loop& loop, Answer answer)
    : loop_(loop),
      answer_(std::move(answer)),
      acceptor_(loop.context(), tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    accept();
}

std::string FakeRedis::url() const {
    return fmt::format("redis://127.0.0.1:{}", acceptor_.local_endpoint().port());
}

void FakeRedis::accept() {
    const std::weak_ptr<int> alive = alive_;
    acceptor_.async_accept([this, alive](boost::system::error_code error, tcp::socket socket) {
        if (!error && !alive.expired()) {
            ++accepted_;
            read(std::make_shared<Client>(std::move(socket)));
            accept();
        }
    });
}

void FakeRedis::read(const std::shared_ptr<Client>& client) {
    client->socket.async_read_some(
        asio::buffer(client->input), [this, client, alive = std::weak_ptr<int>(alive_)](
                                         boost::system::error_code error, std::size_t size) {
            if (error || alive.expired()) {
                return;
            }
            const std::string_view input(client->input.data(), size);
            received_ += input;
            client->output = answer_(input);
            asio::write(client->socket, asio::buffer(client->output), error);
            read(client);
        });
}

}  // namespace nave::bus
