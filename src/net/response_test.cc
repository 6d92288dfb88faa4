#include "net/response.h"

#include "net/request_id.h"
#include "net/response_head.h"

#include <gtest/gtest.h>

namespace nave::net {
namespace {

using std::chrono::milliseconds;

TEST(ProblemResponse, SaysWhatAClientMayKnow) {
    Error error(Code::forbidden, "demo.locked", "The \"door\" is locked.", "secret detail");
    error.details_json = R"({"door":7})";
    const Response response = problem_response(error, "req-1");
    EXPECT_EQ(response.status, 403);
    EXPECT_EQ(response.content_type, "application/problem+json");
    EXPECT_EQ(response.body,
              R"({"type":"about:blank","title":"Forbidden","status":403,)"
              R"("detail":"The \"door\" is locked.","code":"demo.locked","details":{"door":7},)"
              R"("requestId":"req-1"})");
    EXPECT_TRUE(response.headers.empty());
}

TEST(ProblemResponse, RetryAfterIsWholeSecondsRoundedUp) {
    struct Case {
        Code code;
        milliseconds wait;
        std::string_view seconds;
    };
    for (const auto& [code, wait, seconds] : {
             Case{Code::rate_limited, milliseconds(1), "1"},
             Case{Code::rate_limited, milliseconds(0), "1"},
             Case{Code::rate_limited, milliseconds(1000), "1"},
             Case{Code::rate_limited, milliseconds(1001), "2"},
             Case{Code::unavailable, milliseconds(30'000), "30"},
             Case{Code::invalid, milliseconds(1000), ""},
         }) {
        Error error(code, "demo.wait", "Wait.");
        error.retry_after = wait;
        const Response response = problem_response(error, "");
        if (seconds.empty()) {
            EXPECT_TRUE(response.headers.empty());
            continue;
        }
        ASSERT_EQ(response.headers.size(), 1U);
        EXPECT_EQ(response.headers[0].first, "Retry-After");
        EXPECT_EQ(response.headers[0].second, seconds);
    }
}

TEST(HttpStatus, CodesAndProtocolConditions) {
    struct Case {
        Code code;
        const char* id;
        int status;
    };
    for (const auto& [code, id, status] : {
             Case{Code::invalid, "x", 400},
             Case{Code::unauthenticated, "x", 401},
             Case{Code::not_found, "x", 404},
             Case{Code::conflict, "x", 409},
             Case{Code::gone, "x", 410},
             Case{Code::too_large, "x", 413},
             Case{Code::unprocessable, "x", 422},
             Case{Code::rate_limited, "x", 429},
             Case{Code::internal, "x", 500},
             Case{Code::unavailable, "x", 503},
             Case{Code::timeout, "x", 504},
             Case{Code::invalid, "net.method_not_allowed", 405},
             Case{Code::timeout, "net.request_timeout", 408},
             Case{Code::too_large, "net.head_too_large", 431},
             Case{Code::invalid, "net.http_version", 505},
         }) {
        EXPECT_EQ(http_status(Error(code, id, "")), status) << id;
    }
}

TEST(ResponseHead, IsAssembledInOrder) {
    const std::vector<std::pair<std::string, std::string>> defaults = {{"X-Default", "yes"},
                                                                       {"cache-control", "no"}};
    Response response(404, "text/plain", "");
    response.headers.emplace_back("Cache-Control", "no-store");
    HeadOptions options;
    options.fixed_lines = "Date: now\r\n";
    options.request_id = "id-1";
    options.content_length = 12;
    options.default_headers = &defaults;
    options.says_close = true;
    std::string out;
    append_response_head(out, response, options);
    EXPECT_EQ(out,
              "HTTP/1.1 404 Not Found\r\nDate: now\r\nContent-Type: text/plain\r\n"
              "Content-Length: 12\r\nCache-Control: no-store\r\nX-Default: yes\r\n"
              "Connection: close\r\nX-Request-Id: id-1\r\n\r\n");
}

TEST(ResponseHead, LineBreaksInValuesCannotStartHeaders) {
    const Response response =
        Response(302, "", "").with("Location", "/a\r\nSet-Cookie: evil=1\n\0\tx");
    std::string out;
    append_response_head(out, response, HeadOptions());
    EXPECT_EQ(out.find("\nSet-Cookie"), std::string::npos);
    EXPECT_NE(out.find("Location: /a  Set-Cookie: evil=1 "), std::string::npos);
}

TEST(ResponseHeadDeath, HandlersDoNotFrame) {
    const Response response = Response(200, "", "").with("Transfer-encoding", "chunked");
    std::string out;
    EXPECT_DEATH(append_response_head(out, response, HeadOptions()), "framing headers");
}

TEST(ResponseHead, DateIsAnImfFixdate) {
    // The example of RFC 9110, section 5.6.7.
    EXPECT_EQ(fixed_head_lines(784'111'777'999),
              "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Content-Type-Options: nosniff\r\n");
}

TEST(RequestId, TakesOverHarmlessIdsOnly) {
    RequestId id;
    EXPECT_TRUE(id.assign_inbound("aZ09._-"));
    EXPECT_EQ(id.view(), "aZ09._-");
    EXPECT_TRUE(id.assign_inbound(std::string(64, 'a')));
    for (const std::string& text : {std::string(), std::string(65, 'a'), std::string("a b"),
                                    std::string("a\"b"), std::string("é"), std::string("a\r\nb")}) {
        EXPECT_FALSE(id.assign_inbound(text)) << text;
        EXPECT_EQ(id.view(), std::string(64, 'a')) << "unchanged";
    }
}

TEST(RequestId, OursAreDistinctAndOfTheBoot) {
    SeededEntropy one(1);
    SeededEntropy two(2);
    RequestIdSource first(one);
    RequestIdSource second(two);
    RequestId a;
    RequestId b;
    RequestId c;
    first.next(a);
    first.next(b);
    second.next(c);
    EXPECT_NE(a.view(), b.view());
    EXPECT_NE(a.view(), c.view());
    EXPECT_EQ(a.view().size(), 12U);
    EXPECT_TRUE(b.assign_inbound(a.view())) << "ours pass our own rule";
}

}  // namespace
}  // namespace nave::net
