// Handlers that are coroutines, and the end of the server's life.
#include "net/server_fixture.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <optional>

namespace nave::net {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

// Suspends coroutines until released.
class Gate {
  public:
    explicit Gate(Loop& loop) : timer_(loop.context()) {
        timer_.expires_at(std::chrono::steady_clock::time_point::max());
    }
    Task<void> wait() {
        if (open_) {
            co_return;
        }
        boost::system::error_code ignored;
        co_await timer_.async_wait(
            asio::redirect_error(asio::use_awaitable_t<LoopExecutor>(), ignored));
    }
    void release() {
        open_ = true;
        timer_.cancel();
    }

  private:
    asio::steady_timer timer_;
    bool open_ = false;
};

class ServerAsyncTest : public ServerTest {
  protected:
    ServerAsyncTest() {
        router.add(Method::post, "/wait",
                   AsyncHandler([this](const Request& request) { return wait(this, request); }),
                   {.body_max = 200'000});
        router.add(Method::get, "/hello", SyncHandler([](const Request&) {
                       return Response(200, "text/plain", "hello");
                   }));
        router.add(Method::get, "/throw",
                   AsyncHandler([](const Request& request) { return throw_later(request); }));
        router.add(Method::get, "/throw-now", AsyncHandler([](const Request&) -> Task<Response> {
                       throw std::runtime_error("before the first suspension");
                   }));
        router.add(Method::get, "/page", SyncHandler([](const Request&) {
                       return Response(200, "text/plain", std::string(15'000, 'p'));
                   }));
        router.add(Method::get, "/at-once",
                   AsyncHandler([](const Request& request) { return at_once(request); }));
    }

    static Task<Response> wait(ServerAsyncTest* test, const Request& request) {
        ++test->started;
        co_await test->gate->wait();
        ++test->finished;
        // The request is still whole, whatever the connection has read meanwhile.
        std::string text = std::string(request.path) + "?" + std::string(request.query) + " " +
                           std::string(request.header("x-key")) + " " +
                           std::string(request.request_id) + " ";
        text.append(request.body);
        text.append(request.query == "large" ? 100'000 : 0, 'L');
        co_return Response(200, "text/plain", std::move(text));
    }
    static Task<Response> throw_later(const Request& request) {
        co_await asio::post(asio::use_awaitable_t<LoopExecutor>());
        throw std::runtime_error("hunter2 " + std::string(request.path));
    }
    static Task<Response> at_once(const Request& request) {
        co_return Response(200, "text/plain", "at once " + std::string(request.query));
    }

    // Runs drain() and polls until it has ended.
    bool drain(milliseconds deadline) {
        std::optional<bool> in_time;
        asio::co_spawn(loop.executor(), server->drain(deadline),
                       [&in_time](const std::exception_ptr& thrown, bool result) {
                           EXPECT_EQ(thrown, nullptr);
                           in_time = result;
                       });
        EXPECT_TRUE(poll_until([&] { return in_time.has_value(); }));
        return in_time.value_or(false);
    }

    std::unique_ptr<Gate> gate = std::make_unique<Gate>(loop);
    int started = 0;
    int finished = 0;
};

std::string post(std::string_view target, std::string_view body) {
    return "POST " + std::string(target) +
           " HTTP/1.1\r\nHost: h\r\nX-Key: k\r\nX-Request-Id: id\r\n" +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
constexpr std::string_view kHello = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(ServerAsyncTest, TheRequestOutlivesTheReadBuffer) {
    Client waiting(server->port());
    waiting.send(post("/wait?q=1", "the body"));
    settle();
    EXPECT_EQ(started, 1);
    Client other(server->port());
    other.send(post("/hello", std::string(60'000, 'z')));
    EXPECT_EQ(next_reply(other).status, 405) << "others are served, and overwrite the buffer";
    gate->release();
    EXPECT_EQ(next_reply(waiting).body, "/wait?q=1 k id the body");
}

TEST_F(ServerAsyncTest, BodiesOfEveryShapeArrive) {
    gate->release();
    const std::string large(150'000, 'L');
    Client client(server->port());
    std::string requests = post("/wait", "") + post("/wait", large) +
                           "POST /wait HTTP/1.1\r\nHost: h\r\nX-Key: k\r\nX-Request-Id: id\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" +
                           post("/wait", "end");
    std::size_t sent = 0;
    std::vector<std::string> bodies;
    ASSERT_TRUE(poll_until([&] {
        sent += client.send(std::string_view(requests).substr(sent));
        client.receive();
        for (Reply reply; take_reply(client.received, reply);) {
            bodies.push_back(reply.body);
        }
        return bodies.size() == 4;
    }));
    EXPECT_EQ(bodies[0], "/wait? k id ");
    EXPECT_EQ(bodies[1], "/wait? k id " + large);
    EXPECT_EQ(bodies[2], "/wait? k id abc");
    EXPECT_EQ(bodies[3], "/wait? k id end");
}

TEST_F(ServerAsyncTest, PipelinedRequestsWaitTheirTurn) {
    Client client(server->port());
    client.send(std::string(kHello) + post("/wait", "1") + post("/wait", "2") +
                std::string(kHello));
    EXPECT_EQ(next_reply(client).body, "hello") << "what is ready is not held back";
    settle();
    EXPECT_EQ(started, 1) << "one at a time";
    client.receive();
    EXPECT_EQ(client.received, "");
    gate->release();
    EXPECT_TRUE(next_reply(client).body.ends_with("1"));
    EXPECT_TRUE(next_reply(client).body.ends_with("2"));
    EXPECT_EQ(next_reply(client).body, "hello");
}

TEST_F(ServerAsyncTest, TasksThatNeverSuspendAreFine) {
    Client client(server->port());
    std::string requests;
    for (int i = 0; i < 100; ++i) {
        requests += "GET /at-once?" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
    }
    client.send(requests);
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(next_reply(client).body, "at once " + std::to_string(i));
    }
}

TEST_F(ServerAsyncTest, ExceptionsBecome500) {
    Client client(server->port());
    for (const std::string path : {"/throw", "/throw-now"}) {
        client.send("GET " + path + " HTTP/1.1\r\nHost: h\r\nX-Request-Id: rid\r\n\r\n");
        const Reply reply = next_reply(client);
        EXPECT_EQ(reply.status, 500);
        EXPECT_NE(reply.body.find(R"("code":"internal")"), std::string::npos);
        EXPECT_EQ(reply.body.find("hunter2"), std::string::npos);
    }
    ASSERT_EQ(log->lines.size(), 2U);
    EXPECT_NE(log->lines[0].find("hunter2 /throw"), std::string::npos);
    EXPECT_NE(log->lines[0].find(R"("requestId":"rid")"), std::string::npos);
    client.send(kHello);
    EXPECT_EQ(next_reply(client).body, "hello");
}

TEST_F(ServerAsyncTest, AVanishedClientDoesNotCancelTheWork) {
    auto client = std::make_unique<Client>(server->port());
    client->send(post("/wait", "x"));
    settle();
    EXPECT_EQ(started, 1);
    client.reset();
    settle();
    gate->release();
    ASSERT_TRUE(poll_until([&] { return finished == 1; }));
    ASSERT_TRUE(poll_until([&] { return server->stats().connections == 0; }));
}

// A handler may resume another request's coroutine in place, in the middle of a batch of answers.
TEST_F(ServerAsyncTest, AnswersDoNotMixWhenOneHandlerWakesAnother) {
    std::move_only_function<void()> wake;
    const auto sleeper = [](std::move_only_function<void()>* slot) -> Task<Response> {
        co_await asio::async_initiate<const asio::use_awaitable_t<LoopExecutor>, void()>(
            [slot](auto handler) {
                *slot = [h = std::move(handler)]() mutable { std::move(h)(); };
            },
            asio::use_awaitable_t<LoopExecutor>());
        co_return Response(200, "text/plain", "woken");
    };
    router.add(Method::get, "/sleep",
               AsyncHandler([&wake, sleeper](const Request&) { return sleeper(&wake); }));
    router.add(Method::get, "/wake", SyncHandler([&wake](const Request&) {
                   std::exchange(wake, nullptr)();
                   return Response(200, "text/plain", "waker");
               }));
    Client sleeping(server->port());
    sleeping.send("GET /sleep HTTP/1.1\r\nHost: h\r\n\r\n");
    settle();
    Client waking(server->port());
    waking.send(std::string(kHello) + "GET /wake HTTP/1.1\r\nHost: h\r\n\r\n" +
                std::string(kHello));
    EXPECT_EQ(next_reply(waking).body, "hello");
    EXPECT_EQ(next_reply(waking).body, "waker");
    EXPECT_EQ(next_reply(waking).body, "hello");
    EXPECT_EQ(next_reply(sleeping).body, "woken");
}

TEST_F(ServerAsyncTest, DrainLetsWorkFinish) {
    Client idle(server->port());
    idle.send(kHello);
    next_reply(idle);
    Client fresh(server->port());
    Client working(server->port());
    working.send(post("/wait", "work") + std::string(kHello));
    Client uploading(server->port());
    uploading.send("POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nda");
    settle();

    std::optional<bool> in_time;
    asio::co_spawn(loop.executor(), server->drain(milliseconds(10'000)),
                   [&](const std::exception_ptr&, bool result) { in_time = result; });
    settle();
    EXPECT_TRUE(closes(idle));
    EXPECT_TRUE(closes(fresh));
    EXPECT_FALSE(in_time.has_value());
    Client late(server->port());
    EXPECT_TRUE(closes(late)) << "nobody listens any more";

    gate->release();
    const Reply reply = next_reply(working);
    EXPECT_TRUE(reply.body.ends_with("work"));
    EXPECT_EQ(reply.header("connection"), "close");
    EXPECT_TRUE(closes(working));
    EXPECT_EQ(working.received, "") << "the request behind it is for another server";
    uploading.send("ta");
    EXPECT_TRUE(next_reply(uploading).body.ends_with("data"));
    ASSERT_TRUE(poll_until([&] { return in_time.has_value(); }));
    EXPECT_TRUE(*in_time);
    EXPECT_EQ(server->stats().connections, 0U);
}

TEST_F(ServerAsyncTest, DrainCutsWhatDoesNotFinish) {
    Client working(server->port());
    working.send(post("/wait", "work"));
    settle();
    EXPECT_FALSE(drain(milliseconds(20)));
    EXPECT_TRUE(closes(working));
    EXPECT_EQ(server->stats().connections, 0U);
    EXPECT_EQ(finished, 1) << "the cancelled wait was left";
}

TEST_F(ServerAsyncTest, DrainTellsStreams) {
    std::shared_ptr<ResponseStream> stream;
    int closed = 0;
    router.add(Method::get, "/stream", SyncHandler([&](const Request&) {
                   Response response(200, "text/plain", "");
                   response.stream = [&](std::shared_ptr<ResponseStream> opened) {
                       stream = std::move(opened);
                       stream->write("data");
                       stream->on_closed([&] {
                           ++closed;
                           stream.reset();
                       });
                   };
                   return response;
               }));
    Client client(server->port());
    client.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    settle();
    EXPECT_TRUE(drain(milliseconds(5'000)));
    EXPECT_EQ(closed, 1);
    EXPECT_TRUE(closes(client));
    EXPECT_FALSE(client.was_reset);
    EXPECT_TRUE(client.received.ends_with("4\r\ndata\r\n0\r\n\r\n")) << "a clean end";
}

TEST_F(ServerAsyncTest, DrainWithNothingToDo) {
    EXPECT_TRUE(drain(milliseconds(1'000)));
    EXPECT_TRUE(drain(milliseconds(1'000))) << "again";
}

TEST_F(ServerAsyncTest, TheServerMayGoWhileWorkRuns) {
    Client client(server->port());
    client.send(post("/wait", "x"));
    settle();
    server.reset();
    EXPECT_TRUE(closes(client));
    settle();
    EXPECT_EQ(finished, 1);
}

// The client has not read earlier answers when the coroutine ends: its answer waits behind them,
// and nothing of it reaches anybody else. How many answers the kernel takes is not known here, so
// all numbers are tried; the last 17 are of one batch with the coroutine's request.
TEST_F(ServerAsyncTest, AnAnswerWaitsBehindWhatIsNotYetSent) {
    for (int round = 0; round < 40; ++round) {
        const int pages = (round / 2) * 18 + 17;
        const std::string_view query = round % 2 == 0 ? "small" : "large";
        gate = std::make_unique<Gate>(loop);
        Client client(server->port(), 4096);
        std::string requests;
        for (int i = 0; i < pages; ++i) {
            requests += "GET /page HTTP/1.1\r\nHost: h\r\n\r\n";
        }
        requests += post("/wait?" + std::string(query), "the body");
        const int before = started;
        client.send(requests);
        settle();
        gate->release();
        settle();
        ASSERT_EQ(ask(kHello).body, "hello");
        for (int i = 0; i < pages; ++i) {
            ASSERT_EQ(next_reply(client).body.size(), 15'000U) << i;
        }
        const std::string last = next_reply(client).body;
        ASSERT_TRUE(last.contains(" id the body"));
        ASSERT_EQ(last.size() > 100'000, query == "large");
        ASSERT_EQ(client.received, "");
        ASSERT_EQ(started, before + 1);
    }
}

}  // namespace
}  // namespace nave::net
