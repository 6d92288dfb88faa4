// HTTP semantics over real sockets: framing, routing, limits, persistence.
#include "net/server_fixture.h"

namespace nave::net {
namespace {

class ServerProtocolTest : public ServerTest {
  protected:
    ServerProtocolTest() {
        router.add(Method::get, "/hello", SyncHandler([](const Request&) {
                       return json_response(200, R"({"hello":1})");
                   }));
        router.add(Method::post, "/echo", SyncHandler([](const Request& request) {
                       ++*calls;
                       return Response(200, "text/plain", std::string(request.body));
                   }),
                   {.body_max = 100'000});
        router.add(Method::post, "/tiny", SyncHandler([](const Request& request) {
                       ++*calls;
                       return Response(200, "text/plain", std::string(request.body));
                   }),
                   {.body_max = 10});
        router.add(Method::get, "/who/{name}", SyncHandler([](const Request& request) {
                       return Response(200, "text/plain",
                                       request.param("name") + "|" + request.client.text() + "|" +
                                           std::string(request.prefix) + "|" +
                                           std::string(request.request_id) + "|" +
                                           std::string(request.query));
                   }));
        router.add(Method::get, "/nothing",
                   SyncHandler([](const Request&) { return Response(204, "", "ignored"); }));
        router.add(Method::get, "/cached", SyncHandler([](const Request&) {
                       return Response(304, "", "ignored").with("ETag", "\"1\"");
                   }));
        router.add(Method::get, "/bye", SyncHandler([](const Request&) {
                       Response response(200, "text/plain", "bye");
                       response.close = true;
                       return response;
                   }));
        *calls = 0;
    }
    static inline const std::shared_ptr<int> calls = std::make_shared<int>(0);
};

std::string post(std::string_view path, std::string_view body, std::string_view lines = "") {
    return "POST " + std::string(path) +
           " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           std::string(lines) + "\r\n" + std::string(body);
}

constexpr std::string_view kHello = "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(ServerProtocolTest, AnswersWithAllHeaders) {
    const Reply reply = ask(kHello);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, R"({"hello":1})");
    EXPECT_EQ(reply.header("content-type"), "application/json");
    EXPECT_EQ(reply.header("x-content-type-options"), "nosniff");
    EXPECT_EQ(reply.header("date"), "Tue, 14 Nov 2023 22:13:20 GMT");
    EXPECT_FALSE(reply.header("x-request-id").empty());
    EXPECT_EQ(reply.headers.count("connection"), 0U);
}

TEST_F(ServerProtocolTest, DateFollowsTheClock) {
    Client client(server->port());
    client.send(kHello);
    EXPECT_EQ(next_reply(client).header("date"), "Tue, 14 Nov 2023 22:13:20 GMT");
    clock.advance(std::chrono::milliseconds(999));
    client.send(kHello);
    EXPECT_EQ(next_reply(client).header("date"), "Tue, 14 Nov 2023 22:13:20 GMT");
    clock.advance(std::chrono::milliseconds(1));
    client.send(kHello);
    EXPECT_EQ(next_reply(client).header("date"), "Tue, 14 Nov 2023 22:13:21 GMT");
}

TEST_F(ServerProtocolTest, RequestIdIsTakenOverOrMade) {
    const auto id_for = [&](const std::string& line) {
        return ask("GET /hello HTTP/1.1\r\nHost: h\r\n" + line + "\r\n").header("x-request-id");
    };
    EXPECT_EQ(id_for("X-Request-Id: abc.DEF_1-2\r\n"), "abc.DEF_1-2");
    EXPECT_NE(id_for("X-Request-Id: a b\r\n"), "a b");
    EXPECT_NE(id_for(""), id_for(""));
    const Reply error = ask("GET /no HTTP/1.1\r\nHost: h\r\nX-Request-Id: mine\r\n\r\n");
    EXPECT_EQ(error.header("x-request-id"), "mine");
    EXPECT_NE(error.body.find(R"("requestId":"mine")"), std::string::npos);
}

TEST_F(ServerProtocolTest, RouteErrorsAreProblems) {
    struct Case {
        std::string_view line;
        int status;
        std::string_view code;
        std::string_view allow;
    };
    for (const auto& [line, status, code, allow] : {
             Case{"GET /no", 404, "net.no_route", ""},
             Case{"DELETE /hello", 405, "net.method_not_allowed", "GET, HEAD, OPTIONS"},
             Case{"BREW /hello", 405, "net.method_not_allowed", "GET, HEAD, OPTIONS"},
             Case{"GET /who/%zz", 400, "net.bad_escape", ""},
             Case{"OPTIONS /hello", 204, "", "GET, HEAD, OPTIONS"},
             Case{"OPTIONS *", 204, "", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
         }) {
        const Reply reply = ask(std::string(line) + " HTTP/1.1\r\nHost: h\r\n\r\n");
        EXPECT_EQ(reply.status, status) << line;
        EXPECT_EQ(reply.header("allow"), allow) << line;
        if (status == 204) {
            EXPECT_EQ(reply.headers.count("content-length"), 0U) << line;
            continue;
        }
        EXPECT_EQ(reply.header("content-type"), "application/problem+json") << line;
        EXPECT_NE(reply.body.find("\"code\":\"" + std::string(code) + "\""), std::string::npos)
            << reply.body;
    }
}

TEST_F(ServerProtocolTest, HeadHasTheLengthButNoBody) {
    Client client(server->port());
    client.send("HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    const Reply reply = next_reply(client, true);
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.header("content-length"), "11");
    client.send(kHello);
    EXPECT_EQ(next_reply(client).body, R"({"hello":1})") << "nothing was left between the replies";
}

TEST_F(ServerProtocolTest, NoBodyWhereThereMayBeNone) {
    Client client(server->port());
    client.send("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\nGET /cached HTTP/1.1\r\nHost: h\r\n\r\n");
    const Reply nothing = next_reply(client);
    EXPECT_EQ(nothing.status, 204);
    EXPECT_EQ(nothing.headers.count("content-length"), 0U);
    const Reply cached = next_reply(client);
    EXPECT_EQ(cached.status, 304);
    EXPECT_EQ(cached.header("etag"), "\"1\"");
    EXPECT_EQ(client.received, "");
}

TEST_F(ServerProtocolTest, EverySplitGivesTheSameAnswers) {
    const std::string stream =
        post("/echo", "first body") +
        "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "6;x=y\r\nsecond\r\n5\r\n body\r\n0\r\nT: v\r\n\r\n" +
        std::string(kHello);
    for (std::size_t split = 0; split <= stream.size(); ++split) {
        Client client(server->port());
        client.send(std::string_view(stream).substr(0, split));
        settle();
        client.send(std::string_view(stream).substr(split));
        ASSERT_EQ(next_reply(client).body, "first body") << split;
        ASSERT_EQ(next_reply(client).body, "second body") << split;
        ASSERT_EQ(next_reply(client).body, R"({"hello":1})") << split;
        ASSERT_EQ(client.received, "") << split;
    }
    EXPECT_EQ(server->stats().malformed, 0U);
}

TEST_F(ServerProtocolTest, OneByteAtATime) {
    const std::string stream =
        post("/echo", "slow") + post("/echo", "", "X: y\r\n") + std::string(kHello);
    Client client(server->port());
    for (const char c : stream) {
        client.send({&c, 1});
        loop.poll();
    }
    EXPECT_EQ(next_reply(client).body, "slow");
    EXPECT_EQ(next_reply(client).body, "");
    EXPECT_EQ(next_reply(client).body, R"({"hello":1})");
}

TEST_F(ServerProtocolTest, PipelinedRequestsAreAnsweredInOrder) {
    std::string stream;
    for (int i = 0; i < 500; ++i) {
        stream += post("/echo", "body " + std::to_string(i));
    }
    Client client(server->port());
    EXPECT_EQ(client.send(stream), stream.size());
    for (int i = 0; i < 500; ++i) {
        ASSERT_EQ(next_reply(client).body, "body " + std::to_string(i));
    }
}

TEST_F(ServerProtocolTest, LargeBodiesComeBackWhole) {
    std::string body;
    for (int i = 0; body.size() < 99'000; ++i) {
        body += std::to_string(i) + ",";
    }
    Client client(server->port());
    const std::string request = post("/echo", body) + post("/echo", body);
    std::size_t sent = 0;
    Reply first;
    ASSERT_TRUE(poll_until([&] {
        sent += client.send(std::string_view(request).substr(sent));
        client.receive();
        return take_reply(client.received, first);
    }));
    EXPECT_EQ(first.body, body);
    ASSERT_TRUE(poll_until([&] {
        sent += client.send(std::string_view(request).substr(sent));
        return sent == request.size();
    }));
    EXPECT_EQ(next_reply(client).body, body);
}

TEST_F(ServerProtocolTest, PersistenceByVersion) {
    {
        Client client(server->port());
        client.send("GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        EXPECT_EQ(next_reply(client).header("connection"), "close");
        EXPECT_TRUE(closes(client));
    }
    {
        Client client(server->port());
        client.send("GET /hello HTTP/1.0\r\n\r\n");
        EXPECT_EQ(next_reply(client).status, 200);
        EXPECT_TRUE(closes(client));
    }
    {
        Client client(server->port());
        client.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        EXPECT_EQ(next_reply(client).header("connection"), "keep-alive");
        client.send(kHello);
        EXPECT_EQ(next_reply(client).status, 200);
    }
    {
        Client client(server->port());
        client.send("GET /bye HTTP/1.1\r\nHost: h\r\n\r\n" + std::string(kHello));
        EXPECT_EQ(next_reply(client).body, "bye");
        EXPECT_TRUE(closes(client));
        EXPECT_EQ(client.received, "") << "what follows a closing response is not answered";
    }
}

TEST_F(ServerProtocolTest, AClosingServerDoesNotResetWhoIsStillSending) {
    Client client(server->port());
    client.send("GET /bye HTTP/1.1\r\nHost: h\r\n\r\n");
    settle();
    client.send(kHello);  // sent before the answer was read
    settle();
    EXPECT_EQ(next_reply(client).body, "bye");
    EXPECT_TRUE(closes(client));
    EXPECT_FALSE(client.was_reset);
}

TEST_F(ServerProtocolTest, HalfClosedClientsAreStillAnswered) {
    Client client(server->port());
    client.send(post("/echo", "last words"));
    client.finish_sending();
    EXPECT_EQ(next_reply(client).body, "last words");
    EXPECT_TRUE(closes(client));
    EXPECT_EQ(server->stats().connections, 0U);
}

TEST_F(ServerProtocolTest, InvitesBodiesThatItWants) {
    Client client(server->port());
    client.send(
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    ASSERT_TRUE(poll_until([&] {
        client.receive();
        return !client.received.empty();
    }));
    EXPECT_EQ(client.received, "HTTP/1.1 100 Continue\r\n\r\n");
    client.received.clear();
    client.send("abc");
    EXPECT_EQ(next_reply(client).body, "abc");

    client.send(
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nxyz");
    EXPECT_EQ(next_reply(client).body, "xyz") << "no invitation for what is there already";
}

TEST_F(ServerProtocolTest, DoesNotInviteBodiesThatItRefuses) {
    struct Case {
        std::string_view head;
        int status;
    };
    for (const auto& [head, status] : {
             Case{"POST /tiny HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: 100-continue",
                  413},
             Case{"POST /no HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue", 404},
             Case{"PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue",
                  405},
             Case{"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: more", 417},
         }) {
        Client client(server->port());
        client.send(std::string(head) + "\r\n\r\n");
        const Reply reply = next_reply(client);
        EXPECT_EQ(reply.status, status) << head;
        EXPECT_EQ(reply.header("connection"), "close") << head;
        EXPECT_TRUE(closes(client));
    }
    EXPECT_EQ(*calls, 0);
}

TEST_F(ServerProtocolTest, BodyLimitsOfTheRoute) {
    Client client(server->port());
    client.send(post("/tiny", "0123456789"));
    EXPECT_EQ(next_reply(client).body, "0123456789");
    client.send(
        "POST /tiny HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "a\r\n0123456789\r\n0\r\n\r\n");
    EXPECT_EQ(next_reply(client).body, "0123456789");
    *calls = 0;
    for (const std::string& request :
         {post("/tiny", "0123456789x"),
          std::string("POST /tiny HTTP/1.1\r\nHost: h\r\n"
                      "Content-Length: 999999999999\r\n\r\n"),
          std::string("POST /tiny HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "5\r\n01234\r\n6\r\n")}) {
        const Reply reply = ask(request);
        EXPECT_EQ(reply.status, 413) << request;
        EXPECT_EQ(reply.header("connection"), "close");
        EXPECT_NE(reply.body.find("net.body_too_large"), std::string::npos);
    }
    EXPECT_EQ(*calls, 0);
    EXPECT_EQ(ask(post("/no", std::string(70'000, 'x'))).status, 404) << "no route, no body limit";
    const Reply chunked =
        ask("POST /no HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n");
    EXPECT_EQ(chunked.status, 404);
    EXPECT_EQ(chunked.header("connection"), "close");
    client.send(post("/no", "small") + post("/tiny", "next"));
    EXPECT_EQ(next_reply(client).status, 404);
    EXPECT_EQ(next_reply(client).body, "next") << "a small body is read past";
}

// The client is still sending when it is refused: closing at once would reset the connection and
// destroy the answer before the client reads it.
TEST_F(ServerProtocolTest, RefusedUploadersCanReadTheAnswer) {
    Client client(server->port());
    client.send("POST /tiny HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n");
    settle();
    const std::string chunk(64 * 1024, 'x');
    std::size_t sent = 0;
    for (int i = 0; i < 400; ++i) {
        sent += client.send(chunk);
        loop.poll();
    }
    EXPECT_GT(sent, 5'000'000U);
    EXPECT_EQ(next_reply(client).status, 413);
    EXPECT_TRUE(closes(client));
    EXPECT_FALSE(client.was_reset);
    EXPECT_EQ(server->stats().connections, 1U) << "lingers until the client closes too";
    client.close();
    settle();
    EXPECT_EQ(server->stats().connections, 0U);
}

TEST_F(ServerProtocolTest, ProtocolErrorsCloseTheConnection) {
    struct Case {
        std::string text;
        int status;
    };
    std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
    for (int i = 0; i < 64; ++i) {
        many += "X: y\r\n";
    }
    for (const auto& [text, status] : {
             Case{"\x16\x03\x01\x02\n", 400},
             Case{"GET / HTTP/1.1\r\n\r\n", 400},
             Case{"GET /" + std::string(9000, 'a'), 414},
             Case{"GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(17'000, 'a'), 431},
             Case{many + "\r\n", 431},
             Case{"GET / HTTP/2.0\r\n", 505},
             Case{"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n", 501},
             Case{"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                  400},
         }) {
        Client client(server->port());
        client.send(text);
        const Reply reply = next_reply(client);
        EXPECT_EQ(reply.status, status) << text.substr(0, 80);
        EXPECT_EQ(reply.header("connection"), "close");
        EXPECT_EQ(reply.header("content-type"), "application/problem+json");
        EXPECT_FALSE(reply.header("x-request-id").empty());
        client.finish_sending();
        EXPECT_TRUE(closes(client));
    }
    EXPECT_EQ(server->stats().malformed, 8U);
}

// In each, a lenient parser would find a second request in what a strict one calls the body, or the
// other way round. Nothing after the ambiguity may be answered.
TEST_F(ServerProtocolTest, NothingIsSmuggled) {
    const std::string hidden = "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nhidden";
    for (const std::string& head : {
             std::string("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
             std::string("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
             std::string("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"),
             std::string("Transfer-Encoding: x, chunked\r\n\r\n0\r\n\r\n"),
             std::string("Transfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n"),
             std::string("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
             std::string("Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"),
             std::string("X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
             std::string("X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
             std::string("X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
             std::string("Content-Length: 0\r\nContent-Length: 60\r\n\r\n"),
             std::string("Content-Length: 0, 60\r\n\r\n"),
             std::string("Content-Length: 0x0\r\n\r\n"),
             std::string("Content-Length: -0\r\n\r\n"),
             std::string("Content-Length: 0\x0b\r\n\r\n"),
             std::string("Host: other\r\n\r\n"),
             std::string("Transfer-Encoding: chunked\r\n\r\n0\n\n"),
             std::string("Transfer-Encoding: chunked\r\n\r\n0 \r\n\r\n"),
             std::string("Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n"),
             std::string("Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n"),
             std::string("Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\r\n\r\n"),
         }) {
        Client client(server->port());
        client.send("POST /echo HTTP/1.1\r\nHost: h\r\n" + head + hidden);
        const Reply reply = next_reply(client);
        EXPECT_TRUE(reply.status == 400 || reply.status == 501) << head << reply.status;
        client.finish_sending();
        EXPECT_TRUE(closes(client));
        EXPECT_EQ(client.received, "") << head;
    }
    EXPECT_EQ(*calls, 0);
}

TEST_F(ServerProtocolTest, MountsByLongestPrefix) {
    Router other;
    other.add(Method::get, "/who/{name}", SyncHandler([](const Request& request) {
                  return Response(
                      200, "text/plain",
                      "other " + std::string(request.prefix) + " " + std::string(request.path));
              }));
    other.add(Method::get, "/", SyncHandler([](const Request&) {
                  return Response(200, "text/plain", "other root");
              }));
    other.default_header("X-Other", "yes");
    server->mount("/other", other);
    const auto get = [&](const std::string& path) {
        return ask("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n");
    };
    EXPECT_EQ(get("/other/who/a").body, "other /other /other/who/a");
    EXPECT_EQ(get("/other/who/a").header("x-other"), "yes");
    EXPECT_EQ(get("/other").body, "other root");
    EXPECT_EQ(get("/other/").body, "other root");
    EXPECT_EQ(get("/otherwho/a").status, 404);
    EXPECT_EQ(get("/hello").header("x-other"), "");
    EXPECT_EQ(get("/hello").status, 200);
    server->unmount("/other");
    EXPECT_EQ(get("/other/who/a").status, 404);
    server->unmount("");
    EXPECT_EQ(get("/hello").status, 404);
    server->mount("", other);
    EXPECT_EQ(get("/who/b").body, "other  /who/b");
    server->mount("", router);
    EXPECT_EQ(get("/hello").status, 200) << "mounting again replaces";
}

TEST_F(ServerProtocolTest, ServicesHaveTheirOwnErrorFormat) {
    Router custom(+[](const Error& error, std::string_view id) {
        return json_response(http_status(error), error.id + "/" + std::string(id));
    });
    custom.add(Method::post, "/x", SyncHandler([](const Request&) { return Response(); }),
               {.body_max = 1});
    server->mount("", custom);
    const Reply large = ask(post("/x", "ab", "X-Request-Id: i\r\n"));
    EXPECT_EQ(large.status, 413);
    EXPECT_EQ(large.body, "net.body_too_large/i");
    const Reply method = ask("GET /x HTTP/1.1\r\nHost: h\r\nX-Request-Id: i\r\n\r\n");
    EXPECT_EQ(method.status, 405);
    EXPECT_EQ(method.body, "net.method_not_allowed/i");
    EXPECT_EQ(method.header("allow"), "POST, OPTIONS");
    const Reply broken = ask("GET / HTTP/2.0\r\n");
    EXPECT_EQ(broken.status, 505);
    EXPECT_EQ(broken.body.substr(0, 16), "net.http_version");
}

TEST_F(ServerProtocolTest, ObserverSeesTemplatesNotPaths) {
    std::vector<std::string> seen;
    router.observe(
        [&](std::string_view route, Method method, int status, std::chrono::nanoseconds took) {
            EXPECT_GE(took.count(), 0);
            seen.push_back(std::string(route) + " " + std::string(method_name(method)) + " " +
                           std::to_string(status));
        });
    ask("GET /who/secret HTTP/1.1\r\nHost: h\r\n\r\n");
    ask("GET /secret HTTP/1.1\r\nHost: h\r\n\r\n");
    ask("POST /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    ask(post("/tiny", "far too large"));
    EXPECT_EQ(seen, (std::vector<std::string>{"/who/{name} GET 200", "unmatched GET 404",
                                              "unmatched POST 405", "/tiny POST 413"}));
}

TEST_F(ServerProtocolTest, HandlersSeeTheRequest) {
    const Reply reply =
        ask("GET /who/a%20b?x=1 HTTP/1.1\r\nHost: h\r\nX-Request-Id: rid\r\n"
            "X-Forwarded-For: 9.9.9.9\r\n\r\n");
    EXPECT_EQ(reply.body, "a b|127.0.0.1||rid|x=1") << "nobody is trusted to speak for others";
}

class TrustedProxyTest : public ServerTest {
  protected:
    TrustedProxyTest() : ServerTest(ServerLimits(), "127.0.0.1, 10.0.0.0/8") {
        router.add(Method::get, "/", SyncHandler([](const Request& request) {
                       return Response(200, "text/plain", request.client.text());
                   }));
    }
};

TEST_F(TrustedProxyTest, ClientIsWhomTheProxySaw) {
    const auto client_for = [&](const std::string& lines) {
        return ask("GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n").body;
    };
    EXPECT_EQ(client_for(""), "127.0.0.1");
    EXPECT_EQ(client_for("X-Forwarded-For: 1.2.3.4, 198.51.100.7, 10.1.1.1\r\n"), "198.51.100.7");
    EXPECT_EQ(client_for("X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 198.51.100.7\r\n"),
              "198.51.100.7")
        << "a proxy that adds a line instead of extending the client's";
}

TEST_F(ServerProtocolTest, HandlerExceptionsAreOursAlone) {
    router.add(Method::get, "/throw", SyncHandler([](const Request&) -> Response {
                   throw std::runtime_error("password is hunter2");
               }));
    router.add(Method::get, "/throw-int", SyncHandler([](const Request&) -> Response { throw 7; }));
    Client client(server->port());
    for (const std::string path : {"/throw", "/throw-int"}) {
        client.send("GET " + path + " HTTP/1.1\r\nHost: h\r\nX-Request-Id: r-7\r\n\r\n");
        const Reply reply = next_reply(client);
        EXPECT_EQ(reply.status, 500);
        EXPECT_NE(reply.body.find(R"("code":"internal")"), std::string::npos);
        EXPECT_EQ(reply.body.find("hunter2"), std::string::npos);
    }
    ASSERT_EQ(log->lines.size(), 2U);
    EXPECT_NE(log->lines[0].find("hunter2"), std::string::npos);
    EXPECT_NE(log->lines[0].find(R"("requestId":"r-7")"), std::string::npos);
    client.send(kHello);
    EXPECT_EQ(next_reply(client).status, 200) << "the connection lives on";
}

}  // namespace
}  // namespace nave::net
