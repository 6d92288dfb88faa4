#include "net/request.h"

#include <gtest/gtest.h>

namespace nave::net {
namespace {

TEST(Request, FindsHeadersWhateverTheirCase) {
    Request request;
    request.headers = {{"X-Key", "first"}, {"x-kEY", "second"}, {"Other", ""}};
    EXPECT_EQ(request.header("x-key"), "first");
    EXPECT_EQ(request.header_count("X-KEY"), 2U);
    EXPECT_EQ(request.header("other"), "");
    EXPECT_EQ(request.header_count("other"), 1U);
    EXPECT_EQ(request.header("absent"), "");
    EXPECT_EQ(request.header_count("absent"), 0U);
}

TEST(Request, DecodesQueryParameters) {
    struct Case {
        std::string_view query;
        std::string_view value;
    };
    for (const auto& [query, value] : {
             Case{"a=1", "1"},
             Case{"b=2&a=1&a=3", "1"},
             Case{"a=x%20y%26z", "x y&z"},
             Case{"a=x+y", "x+y"},
             Case{"%61=1", "1"},
             Case{"a", ""},
             Case{"a=", ""},
             Case{"aa=1", ""},
             Case{"a=%zz", ""},
             Case{"a=1=2", "1=2"},
             Case{"&&a=1", "1"},
             Case{"", ""},
         }) {
        Request request;
        request.query = query;
        EXPECT_EQ(request.query_param("a"), value) << query;
    }
}

TEST(Request, ReadsBearerTokens) {
    struct Case {
        std::string_view header;
        std::string_view token;
    };
    for (const auto& [header, token] : {
             Case{"Bearer abc", "abc"},
             Case{"bearer  abc ", "abc"},
             Case{"Bearer", ""},
             Case{"Bearer ", ""},
             Case{"Basic abc", ""},
             Case{"Bearerabc", ""},
             Case{"", ""},
         }) {
        Request request;
        request.headers = {{"Authorization", header}};
        EXPECT_EQ(request.bearer_token(), token) << header;
    }
}

TEST(RequestDeath, UnknownParameterIsABug) {
    const Request request;
    EXPECT_DEATH(static_cast<void>(request.param("id")), "no such parameter");
}

}  // namespace
}  // namespace nave::net
