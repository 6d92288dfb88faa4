// A server for the WebSocket tests and benchmarks: echoes what it is sent, and does what a message
// asks for. Prints its port and runs until SIGTERM, which drains it.
//
//   GET /ws            echo; subprotocols echo.v1, echo.v2; messages up to 1 MiB
//   GET /small         echo; messages up to 1000 bytes, 256 KiB queued, ping every second, and the
//                      peer has 8 seconds for anything
//   GET /room          every message goes to everybody in the room
//   GET /speak         the same, from outside: hears nothing
//   GET /refused       401
//   GET /stats         counters, as JSON
//   GET /strict/ws     echo; any other upgrade below /strict is cut
//
// Commands (text): "/close CODE REASON", "/flood COUNT BYTES", "/throw", "/pause MILLISECONDS".
#include "base/entropy.h"
#include "base/text.h"
#include "net/server.h"
#include "net/websocket.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/task_group.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <set>
#include <stdexcept>
#include <string>

namespace {

using namespace nave;
using namespace nave::net;
using namespace std::chrono_literals;

class NoLog final : public LogSink {
    void write(LogLevel /*level*/, std::string_view /*line*/) override {}
};

struct World {
    Loop& loop;
    TaskGroup& tasks;
    std::set<WebSocket*> room;
};

Task<void> resume_later(Loop& loop, WebSocketPtr socket, std::chrono::milliseconds wait) {
    co_await loop.sleep(wait);
    socket->resume();
}

class EchoSession final : public WebSocketSession {
  public:
    explicit EchoSession(World& world) : world_(world) {}

    void on_message(WebSocket& socket, std::string_view payload, MessageType type) override {
        if (type == MessageType::text && payload.starts_with('/') && obey(socket, payload)) {
            return;
        }
        if (type == MessageType::text) {
            socket.send_text(payload);
        } else {
            socket.send_binary(payload);
        }
    }

  private:
    bool obey(WebSocket& socket, std::string_view command) {
        const auto words = split(command, ' ');
        const auto number = [&](std::size_t i) {
            return i < words.size() ? parse_int(words[i]).value_or(0) : 0;
        };
        if (words[0] == "/close") {
            socket.close(static_cast<std::uint16_t>(number(1)), words.size() > 2 ? words[2] : "");
        } else if (words[0] == "/flood") {
            const SharedFrame frame =
                SharedFrame::binary(std::string(static_cast<std::size_t>(number(2)), 'f'));
            for (std::int64_t i = 0; i < number(1) && socket.send(frame); ++i) {
            }
        } else if (words[0] == "/throw") {
            throw std::runtime_error("asked for");
        } else if (words[0] == "/pause") {
            socket.pause();
            world_.tasks.spawn("resume", resume_later(world_.loop, WebSocketPtr(&socket),
                                                      std::chrono::milliseconds(number(1))));
        } else {
            return false;
        }
        return true;
    }

    World& world_;
};

class RoomSession final : public WebSocketSession {
  public:
    RoomSession(World& world, bool hears) : world_(world), hears_(hears) {}
    void on_open(WebSocket& socket) override {
        if (hears_) {
            world_.room.insert(&socket);
        }
    }
    void on_close(WebSocket& socket, const WebSocketEnd& /*end*/) override {
        world_.room.erase(&socket);
    }
    void on_message(WebSocket& /*socket*/, std::string_view payload, MessageType type) override {
        const SharedFrame frame =
            type == MessageType::text ? SharedFrame::text(payload) : SharedFrame::binary(payload);
        for (WebSocket* socket : world_.room) {
            socket->send(frame);
        }
    }

  private:
    World& world_;
    bool hears_;
};

std::string stats_json(const WebSocketStats& s) {
    return fmt::format(
        R"({{"open":{},"opened":{},"messagesIn":{},"messagesOut":{},"slowConsumers":{},)"
        R"("timedOutPong":{},"closedNormal":{},"closedProtocol":{},"closedTooBig":{},)"
        R"("closedError":{},"closedOverload":{},"closedApplication":{},"closedLost":{}}})",
        s.open, s.opened, s.messages_in, s.messages_out, s.slow_consumers, s.timed_out_pong,
        s.closed_normal, s.closed_protocol, s.closed_too_big, s.closed_error, s.closed_overload,
        s.closed_application, s.closed_lost);
}

void add_routes(Router& router, Router& strict, World& world, HttpServer& server) {
    const auto echo = [&world](const Request&) {
        return accept_websocket(std::make_shared<EchoSession>(world));
    };
    WebSocketOptions options;
    options.origin_allowed = &any_origin;
    options.protocols = {"echo.v1", "echo.v2"};
    router.websocket("/ws", SyncHandler(echo), options);
    strict.websocket("/ws", SyncHandler(echo), options);
    strict.cut_other_upgrades();
    WebSocketOptions small;
    small.message_bytes_max = 1000;
    small.buffered_bytes_max = 256 * 1024;
    small.ping_interval = 1s;
    small.pong_timeout = 8s;
    small.close_timeout = 8s;
    router.websocket("/small", SyncHandler(echo), small);
    for (const bool hears : {true, false}) {
        router.websocket(hears ? "/room" : "/speak", SyncHandler([&world, hears](const Request&) {
                             return accept_websocket(std::make_shared<RoomSession>(world, hears));
                         }),
                         options);
    }
    router.websocket("/refused", SyncHandler([](const Request&) {
                         return Response(401, "text/plain", "not you");
                     }),
                     options);
    router.add(Method::get, "/stats", SyncHandler([&server](const Request&) {
                   return json_response(200, stats_json(server.websocket_stats()));
               }));
}

Task<void> live(Loop& loop, HttpServer& server, TaskGroup& tasks,
                boost::asio::signal_set& signals) {
    co_await signals.async_wait(boost::asio::use_awaitable_t<LoopExecutor>());
    const bool drained = co_await server.drain(3s);
    co_await tasks.stop(1s);
    std::printf("%s\n", drained ? "drained" : "cut");
    std::fflush(stdout);
    loop.stop();
}

}  // namespace

int main(int argc, char** argv) {
    ::signal(SIGPIPE, SIG_IGN);
    Loop loop;
    const SystemClock clock;
    SystemEntropy entropy;
    Logger logger("ws_echo", LogLevel::error, LogFormat::json, std::make_shared<NoLog>());
    TaskGroup tasks(loop, logger);
    World world{loop, tasks, {}};
    Router router;
    Router strict;
    ServerLimits limits;
    limits.connections_max = 200'000;
    auto bound = HttpServer::bind(loop, clock, entropy, logger, argc > 1 ? argv[1] : "127.0.0.1:0",
                                  TrustedProxies::parse("").value(), limits);
    if (!bound) {
        std::fprintf(stderr, "%s\n", bound.error().message.c_str());
        return 1;
    }
    HttpServer& server = **bound;
    add_routes(router, strict, world, server);
    server.mount("", router);
    server.mount("/strict", strict);
    server.start();
    std::printf("%d\n", server.port());
    std::fflush(stdout);
    boost::asio::signal_set signals(loop.context(), SIGTERM, SIGINT);
    boost::asio::co_spawn(loop.executor(), live(loop, server, tasks, signals),
                          [](const std::exception_ptr&) {});
    loop.run();
    return 0;
}
