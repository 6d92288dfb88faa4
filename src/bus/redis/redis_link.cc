#include "bus/redis/redis_link.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <utility>
#include <vector>

namespace nave::bus {
namespace {

using boost::asio::ip::tcp;
using Socket = boost::asio::basic_stream_socket<tcp, LoopExecutor>;
using Resolver = boost::asio::ip::basic_resolver<tcp, LoopExecutor>;

constexpr std::size_t kReadBytes = std::size_t{64} * 1024;
constexpr auto kToken = boost::asio::as_tuple(boost::asio::use_awaitable_t<LoopExecutor>());

bool is_pong(const RespValue& value) {
    if (value.type == RespValue::Type::text) {
        return value.text == "PONG";
    }
    return value.type == RespValue::Type::array && value.size == 2 &&
           value.elements[0].text == "pong";
}

// "WRONGPASS" of "WRONGPASS invalid username-password pair".
std::string error_word(std::string_view text) {
    const std::string_view word = text.substr(0, text.find(' '));
    const bool is_word = word.size() <= 32 && word.find_first_not_of(
                                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                  "_") == std::string_view::npos;
    return "Redis refused: " + std::string(is_word ? word : "an unreadable error");
}

}  // namespace

// One connection and its buffers; a write under way keeps it alive.
struct RedisLink::Wire {
    Wire(LoopExecutor executor, std::size_t bulk_bytes_max)
        : socket(executor), resolver(executor), parser(bulk_bytes_max), input(kReadBytes) {}

    Socket socket;
    Resolver resolver;
    RespParser parser;
    std::vector<char> input;
    std::string writing;
    std::string queued;

    void close() {
        boost::system::error_code ignored;
        resolver.cancel();
        socket.close(ignored);
    }
};

RedisLink::RedisLink(Loop& loop, const Clock& clock, const Logger& logger, std::string name,
                     const RedisAddress& address, RedisTimes times, RedisLinkLimits limits,
                     std::uint32_t seed, RedisLinkClient& client)
    : loop_(loop),
      clock_(clock),
      logger_(logger),
      name_(std::move(name)),
      address_(address),
      times_(times),
      limits_(limits),
      client_(client),
      backoff_(seed) {}

RedisLink::~RedisLink() {
    close();
}

void RedisLink::close() {
    if (wire_) {
        wire_->close();
    }
}

Task<void> RedisLink::run() {
    for (;;) {
        wire_ = std::make_shared<Wire>(loop_.executor(), limits_.bulk_bytes_max);
        phase_ = Phase::connecting;
        since_ = clock_.steady();
        why_closed_.clear();
        std::string why = co_await converse(wire_);
        if (!why_closed_.empty()) {
            why = why_closed_;
        }
        wire_->close();
        const bool was_live = live();
        if (was_live && clock_.steady() - since_ >= times_.steady_after) {
            backoff_.reset();
        }
        phase_ = Phase::waiting;
        log_loss(why);
        if (was_live) {
            client_.on_lost();
        }
        co_await loop_.sleep(backoff_.next());
    }
}

void RedisLink::log_loss(std::string_view why) {
    if (!std::exchange(loss_logged_, true)) {
        logger_.warn("redis lost", {{"link", name_}, {"server", address_.shown()}, {"why", why}});
    }
}

Task<std::string> RedisLink::converse(std::shared_ptr<Wire> wire) {
    const auto [resolve_error, endpoints] =
        co_await wire->resolver.async_resolve(address_.host, address_.port, kToken);
    if (resolve_error) {
        co_return resolve_error.message();
    }
    const auto [connect_error, endpoint] =
        co_await boost::asio::async_connect(wire->socket, endpoints, kToken);
    if (connect_error) {
        co_return connect_error.message();
    }
    boost::system::error_code ignored;
    wire->socket.set_option(tcp::no_delay(true), ignored);
    if (address_.password.empty()) {
        greet();
    } else {
        phase_ = Phase::authenticating;
        if (address_.user.empty()) {
            append_command(wire->queued, {"AUTH", address_.password.reveal()});
        } else {
            append_command(wire->queued, {"AUTH", address_.user, address_.password.reveal()});
        }
        write(wire);
    }
    co_return co_await read(wire);
}

Task<std::string> RedisLink::read(std::shared_ptr<Wire> wire) {
    for (;;) {
        const auto [error, size] =
            co_await wire->socket.async_read_some(boost::asio::buffer(wire->input), kToken);
        if (error) {
            co_return error.message();
        }
        wire->parser.feed({wire->input.data(), size});
        RespValue value;
        for (;;) {
            const RespParser::Outcome outcome = wire->parser.next(value);
            if (outcome == RespParser::Outcome::need_more) {
                break;
            }
            std::string wrong = outcome == RespParser::Outcome::failed
                                    ? std::string("the server does not speak RESP")
                                    : take(value);
            if (!wrong.empty()) {
                co_return wrong;
            }
        }
    }
}

// What is wrong with an answer, or nothing.
std::string RedisLink::take(const RespValue& value) {
    if (value.type == RespValue::Type::error) {
        return error_word(value.text);
    }
    switch (phase_) {
        case Phase::authenticating:
            if (value.type != RespValue::Type::text || value.text != "OK") {
                return "an unexpected answer to AUTH";
            }
            greet();
            return {};
        case Phase::greeting:
            if (!is_pong(value)) {
                return "an unexpected answer to PING";
            }
            become_live();
            return {};
        case Phase::live:
            if (is_pong(value)) {
                awaits_pong_ = false;
                return {};
            }
            return client_.on_value(value) ? std::string() : "an unexpected answer";
        case Phase::waiting:
        case Phase::connecting:
            break;
    }
    return "an answer to no question";
}

void RedisLink::greet() {
    phase_ = Phase::greeting;
    append_command(wire_->queued, {"PING"});
    write(wire_);
}

void RedisLink::become_live() {
    phase_ = Phase::live;
    since_ = clock_.steady();
    pinged_at_ = since_;
    awaits_pong_ = false;
    loss_logged_ = false;
    logger_.info("redis connected", {{"link", name_}, {"server", address_.shown()}});
    client_.on_live();
}

void RedisLink::check() {
    const SteadyTime now = clock_.steady();
    const auto give_up = [&](std::string why) {
        why_closed_ = std::move(why);
        wire_->close();
    };
    switch (phase_) {
        case Phase::waiting:
            break;
        case Phase::connecting:
        case Phase::authenticating:
        case Phase::greeting:
            if (now - since_ >= times_.connect) {
                give_up("no answer while connecting");
            }
            break;
        case Phase::live:
            if (awaits_pong_ && now - pinged_at_ >= times_.answer) {
                give_up("no answer to PING");
            } else if (!awaits_pong_ && now - pinged_at_ >= times_.ping_every) {
                awaits_pong_ = true;
                pinged_at_ = now;
                append_command(wire_->queued, {"PING"});
                write(wire_);
            }
            break;
    }
}

std::size_t RedisLink::output_bytes() const {
    return wire_ ? wire_->writing.size() + wire_->queued.size() : 0;
}

bool RedisLink::send(std::initializer_list<std::string_view> words) {
    if (!live()) {
        return false;
    }
    std::size_t bytes = output_bytes();
    for (const std::string_view word : words) {
        bytes += word.size();
    }
    if (bytes > limits_.output_bytes_max) {
        return false;
    }
    append_command(wire_->queued, words);
    write(wire_);
    return true;
}

// What is queued while a write is under way leaves with the next one.
void RedisLink::write(const std::shared_ptr<Wire>& wire) {
    if (!wire->writing.empty() || wire->queued.empty()) {
        return;
    }
    wire->writing.swap(wire->queued);
    boost::asio::async_write(wire->socket, boost::asio::buffer(wire->writing),
                             [wire](boost::system::error_code error, std::size_t) {
                                 wire->writing.clear();
                                 if (error) {
                                     wire->close();  // which ends the read
                                     return;
                                 }
                                 write(wire);
                             });
}

}  // namespace nave::bus
