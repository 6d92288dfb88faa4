#include "net/head_parser.h"

#include <gtest/gtest.h>

#include <string>

namespace nave::net {
namespace {

using Status = HeadParser::Status;

struct Outcome {
    Status status;
    HeadError error = HeadError::none;
};

Outcome parse(std::string_view text, HeadLimits limits = HeadLimits()) {
    HeadParser parser;
    const Status status = parser.parse(text, limits);
    return {.status = status, .error = parser.error()};
}

std::string with_host(std::string_view lines) {
    return "POST / HTTP/1.1\r\nHost: h\r\n" + std::string(lines) + "\r\n";
}

TEST(HeadParser, ReadsARequest) {
    const std::string text =
        "POST /v1/keys?x=1&y HTTP/1.1\r\nHost: example.org:80\r\ncontent-LENGTH: 12\r\n"
        "X-Empty:\r\nX-Blank: \t \r\nX-Text: \t a  b\x80\xff \r\n\r\nbody";
    HeadParser parser;
    ASSERT_EQ(parser.parse(text, HeadLimits()), Status::done);
    EXPECT_EQ(parser.head_size(), text.size() - 4);
    EXPECT_EQ(parser.method(), Method::post);
    EXPECT_EQ(parser.content_length(), 12U);
    EXPECT_FALSE(parser.is_chunked());
    EXPECT_TRUE(parser.keep_alive());
    Request request;
    parser.bind(request, text);
    EXPECT_EQ(request.target, "/v1/keys?x=1&y");
    EXPECT_EQ(request.path, "/v1/keys");
    EXPECT_EQ(request.query, "x=1&y");
    ASSERT_EQ(request.headers.size(), 5U);
    EXPECT_EQ(request.headers[2].value, "");
    EXPECT_EQ(request.headers[3].value, "");
    EXPECT_EQ(request.headers[4].value, "a  b\x80\xff");
}

TEST(HeadParser, BytesMayArriveOneByOneAndMove) {
    const std::string text = "\r\nGET /a?b HTTP/1.1\r\nHost: h\r\nConnection: x, CLOSE\r\n\r\n";
    HeadParser parser;
    std::string arrived;
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
        arrived.push_back(text[i]);
        const std::string moved = arrived;
        ASSERT_EQ(parser.parse(moved, HeadLimits()), Status::need_more) << i;
    }
    ASSERT_EQ(parser.parse(text, HeadLimits()), Status::done);
    Request request;
    parser.bind(request, text);
    EXPECT_EQ(request.path, "/a");
    EXPECT_EQ(request.header("connection"), "x, CLOSE");
    EXPECT_FALSE(parser.keep_alive());
    parser.reset();
    EXPECT_EQ(parser.parse("GET / HTTP/1.1\r\nHost: h\r\n\r\n", HeadLimits()), Status::done);
    EXPECT_TRUE(parser.keep_alive()) << "nothing is left of the request before";
}

TEST(HeadParser, MethodsAndTargets) {
    struct Case {
        std::string_view line;
        std::string_view path;  // "" when refused
    };
    for (const auto& [line, path] : {
             Case{"GET / HTTP/1.1", "/"},
             Case{"BREW /pot HTTP/1.1", "/pot"},
             Case{"GET /a%2fb;c=1?d?e HTTP/1.1", "/a%2fb;c=1"},
             Case{"GET /{a}|\"<>^`\\ HTTP/1.1", "/{a}|\"<>^`\\"},
             Case{"GET //a/../b HTTP/1.1", "//a/../b"},
             Case{"GET http://h/a?b HTTP/1.1", "/a"},
             Case{"GET HTTPS://h:443?b HTTP/1.1", "/"},
             Case{"GET http://[::1]:80/x HTTP/1.1", "/x"},
             Case{"OPTIONS * HTTP/1.1", "*"},
             Case{"GET * HTTP/1.1", ""},
             Case{"OPTIONS ** HTTP/1.1", ""},
             Case{"CONNECT h:443 HTTP/1.1", ""},
             Case{"GET a HTTP/1.1", ""},
             Case{"GET http:///a HTTP/1.1", ""},
             Case{"GET http://u@h/a HTTP/1.1", ""},
             Case{"GET ftp://h/a HTTP/1.1", ""},
             Case{"GET /a#b HTTP/1.1", ""},
             Case{"GET /\x80 HTTP/1.1", ""},
             Case{"GET /a\tb HTTP/1.1", ""},
             Case{"GET /a b HTTP/1.1", ""},
             Case{"GET  / HTTP/1.1", ""},
             Case{"GET /  HTTP/1.1", ""},
             Case{" GET / HTTP/1.1", ""},
             Case{"G(T / HTTP/1.1", ""},
             Case{"GET\t/ HTTP/1.1", ""},
             Case{"GET /", ""},
             Case{"GET", ""},
             Case{"GET / HTTP/1.1 ", ""},
             Case{"GET / http/1.1", ""},
             Case{"GET / HTTP/1.1x", ""},
             Case{"GET / HTTP/11", ""},
             Case{"GET / HTTP/a.1", ""},
             Case{"GET / HTTP/1.", ""},
             Case{"GET / HTTPS/1.1", ""},
         }) {
        const std::string text = std::string(line) + "\r\nHost: h\r\n\r\n";
        HeadParser parser;
        const Status status = parser.parse(text, HeadLimits());
        if (path.empty()) {
            EXPECT_EQ(status, Status::failed) << line;
            EXPECT_EQ(parser.error(), HeadError::malformed) << line;
            continue;
        }
        ASSERT_EQ(status, Status::done) << line;
        Request request;
        parser.bind(request, text);
        EXPECT_EQ(request.path, path) << line;
    }
}

TEST(HeadParser, KnowsItsMethods) {
    for (const Method method : {Method::get, Method::head, Method::post, Method::put, Method::patch,
                                Method::del, Method::options}) {
        HeadParser parser;
        const std::string name(method_name(method));
        ASSERT_EQ(parser.parse(name + " / HTTP/1.1\r\nHost: h\r\n\r\n", HeadLimits()),
                  Status::done);
        EXPECT_EQ(parser.method(), method) << name;
    }
    for (const std::string name : {"get", "GETS", "TRACE", "X", "PROPFINDS"}) {
        HeadParser parser;
        ASSERT_EQ(parser.parse(name + " / HTTP/1.1\r\nHost: h\r\n\r\n", HeadLimits()),
                  Status::done);
        EXPECT_EQ(parser.method(), Method::other) << name;
    }
}

TEST(HeadParser, Versions) {
    struct Case {
        std::string_view version;
        HeadError error;
    };
    for (const auto& [version, error] : {
             Case{"HTTP/1.1", HeadError::none},
             Case{"HTTP/1.0", HeadError::none},
             Case{"HTTP/1.2", HeadError::none},
             Case{"HTTP/0.9", HeadError::http_version},
             Case{"HTTP/2.0", HeadError::http_version},
             Case{"HTTP/3.0", HeadError::http_version},
         }) {
        EXPECT_EQ(parse("GET / " + std::string(version) + "\r\nHost: h\r\n\r\n").error, error)
            << version;
    }
    EXPECT_EQ(parse("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").error, HeadError::http_version);
}

TEST(HeadParser, RefusesWhatCanBeReadInTwoWays) {
    using namespace std::string_literals;
    struct Case {
        std::string text;
        HeadError error;
    };
    for (const auto& [text, error] : std::initializer_list<Case>{
             {"GET / HTTP/1.1\nHost: h\r\n\r\n", HeadError::malformed},
             {"GET / HTTP/1.1\r\nHost: h\n\r\n", HeadError::malformed},
             {"GET / HTTP/1.1\r\nHost: h\r\n\n", HeadError::malformed},
             {"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", HeadError::malformed},
             {"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", HeadError::malformed},
             {"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", HeadError::malformed},
             {with_host("X: a\r\n b\r\n"), HeadError::malformed},
             {with_host("X: a\r\n\tb\r\n"), HeadError::malformed},
             {"GET / HTTP/1.1\r\n Host: h\r\n\r\n", HeadError::malformed},
             {with_host("X : a\r\n"), HeadError::malformed},
             {with_host("Content-Length : 5\r\n"), HeadError::malformed},
             {with_host(": a\r\n"), HeadError::malformed},
             {with_host("X\r\n"), HeadError::malformed},
             {with_host("X(): a\r\n"), HeadError::malformed},
             {with_host("X\0: a\r\n"s), HeadError::malformed},
             {with_host("X: a\0b\r\n"s), HeadError::malformed},
             {with_host("X: a\x7f\r\n"), HeadError::malformed},
             {with_host("X: a\x1b\r\n"), HeadError::malformed},
             {with_host("\xc3\xa9: a\r\n"), HeadError::malformed},
             {with_host("Host: h\r\n"), HeadError::bad_framing},
             {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HeadError::bad_framing},
             {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HeadError::bad_framing},
             {"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", HeadError::bad_framing},
             {"GET / HTTP/1.1\r\n\r\n", HeadError::bad_framing},
             {"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", HeadError::bad_framing},
             {with_host("Content-Length: 5\r\nContent-Length: 5\r\n"), HeadError::bad_framing},
             {with_host("Content-Length: 5, 5\r\n"), HeadError::bad_framing},
             {with_host("Content-Length: +5\r\n"), HeadError::bad_framing},
             {with_host("Content-Length: -5\r\n"), HeadError::bad_framing},
             {with_host("Content-Length: 5 5\r\n"), HeadError::bad_framing},
             {with_host("Content-Length: 0x5\r\n"), HeadError::bad_framing},
             {with_host("Content-Length: 5.0\r\n"), HeadError::bad_framing},
             {with_host("Content-Length:\r\n"), HeadError::bad_framing},
             {with_host("Content-Length: 99999999999999999999\r\n"), HeadError::bad_framing},
             {with_host("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
              HeadError::bad_framing},
             {with_host("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
              HeadError::bad_framing},
             {with_host("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
              HeadError::bad_framing},
             {with_host("Transfer-Encoding: chunked, chunked\r\n"), HeadError::bad_framing},
             {with_host("Transfer-Encoding: chunked,\r\n"), HeadError::bad_framing},
             {with_host("Transfer-Encoding:\r\n"), HeadError::bad_framing},
             {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::bad_framing},
             {with_host("Transfer-Encoding: gzip, chunked\r\n"), HeadError::transfer_coding},
             {with_host("Transfer-Encoding: xchunked\r\n"), HeadError::transfer_coding},
             {with_host("Transfer-Encoding: chunked;q=1\r\n"), HeadError::transfer_coding},
             {with_host("Transfer-Encoding: \"chunked\"\r\n"), HeadError::transfer_coding},
             {with_host("Transfer-Encoding: \x0b"
                        "chunked\r\n"),
              HeadError::malformed},
             {with_host("Transfer-Encoding: identity\r\n"), HeadError::transfer_coding},
             {with_host("Expect: 200-ok\r\n"), HeadError::expectation},
         }) {
        EXPECT_EQ(parse(text).error, error) << text;
    }
}

TEST(HeadParser, TakesWhatIsUnusualButClear) {
    for (const std::string& text : {
             with_host("Transfer-Encoding: CHUNKED\r\n"),
             with_host("Transfer-Encoding:\t chunked \r\n"),
             with_host("Content-Length: 007\r\n"),
             with_host("Expect: 100-Continue\r\n"),
             std::string("GET / HTTP/1.1\r\nHost:\r\n\r\n"),
             std::string("GET / HTTP/1.0\r\n\r\n"),
             std::string("GET / HTTP/1.1\r\nhOST:[::1]:80\r\n\r\n"),
         }) {
        EXPECT_EQ(parse(text).status, Status::done) << text;
    }
}

TEST(HeadParser, KeepAliveByVersionAndWish) {
    struct Case {
        std::string_view version;
        std::string_view connection;
        bool keep;
    };
    for (const auto& [version, connection, keep] : {
             Case{"1.1", "", true},
             Case{"1.1", "Connection: close\r\n", false},
             Case{"1.1", "Connection: keep-alive\r\nConnection: upgrade , Close\r\n", false},
             Case{"1.1", "Connection: closed\r\n", true},
             Case{"1.0", "", false},
             Case{"1.0", "Connection: Keep-Alive\r\n", true},
             Case{"1.0", "Connection: keep-alive, close\r\n", false},
         }) {
        HeadParser parser;
        const std::string text = "GET / HTTP/" + std::string(version) + "\r\nHost: h\r\n" +
                                 std::string(connection) + "\r\n";
        ASSERT_EQ(parser.parse(text, HeadLimits()), Status::done);
        EXPECT_EQ(parser.keep_alive(), keep) << text;
    }
}

TEST(HeadParser, Limits) {
    const std::string long_target =
        "GET /" + std::string(8192, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n";
    EXPECT_EQ(parse(long_target).error, HeadError::target_too_long);
    EXPECT_EQ(parse("GET /" + std::string(8300, 'a')).error, HeadError::target_too_long)
        << "without waiting for the line to end";
    EXPECT_EQ(parse("GET /" + std::string(8191, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n").status,
              Status::done);

    for (const std::string& text :
         {"GET /" + std::string(9000, 'a') + "\n", "GET /" + std::string(9000, 'a') + "\r\n"}) {
        EXPECT_EQ(parse(text).error, HeadError::target_too_long)
            << "as when the bytes come one by one";
    }

    std::string headers;
    for (int i = 0; i < 63; ++i) {
        headers += "X: y\r\n";
    }
    EXPECT_EQ(parse(with_host(headers)).status, Status::done);
    EXPECT_EQ(parse(with_host(headers + "X: y\r\n")).error, HeadError::too_many_headers);

    const std::string big = with_host("X: " + std::string(16 * 1024, 'x') + "\r\n");
    EXPECT_EQ(parse(big).error, HeadError::head_too_large);
    EXPECT_EQ(parse(big.substr(0, 16 * 1024)).status, Status::need_more);
    EXPECT_EQ(parse(big.substr(0, 16 * 1024 + 1)).error, HeadError::head_too_large);
    std::string exact = with_host("X: \r\n");
    exact = with_host("X: " + std::string(16 * 1024 - exact.size(), 'x') + "\r\n");
    ASSERT_EQ(exact.size(), 16U * 1024);
    EXPECT_EQ(parse(exact + std::string(100'000, 'b')).status, Status::done)
        << "the body does not count";
    EXPECT_EQ(parse(exact, {.head_bytes_max = 16 * 1024 - 1}).error, HeadError::head_too_large);
}

}  // namespace
}  // namespace nave::net
