#include "net/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nave::net {
namespace {

Response nothing(const Request& /*request*/) {
    return {};
}

void add(Router& router, Method method, std::string_view path,
         RouteOptions options = RouteOptions()) {
    router.add(method, path, SyncHandler(nothing), options);
}

std::string matched(const Router& router, Method method, std::string_view path) {
    const Router::Match match = router.match(method, path);
    if (match.route == nullptr) {
        return match.bad_escape ? "400" : match.path_known ? "405 " + match.allow : "404";
    }
    std::string out = match.route->path_template;
    for (const auto& [name, value] : match.params) {
        out.append(" ").append(name).append("=").append(value);
    }
    return out;
}

class RouterTest : public testing::Test {
  protected:
    RouterTest() {
        add(router, Method::get, "/");
        add(router, Method::get, "/v1/keys");
        add(router, Method::post, "/v1/keys");
        add(router, Method::get, "/v1/keys/{address}");
        add(router, Method::del, "/v1/keys/{address}");
        add(router, Method::get, "/v1/keys/stats");
        add(router, Method::put, "/v1/keys/{address}/pre/{id}");
        add(router, Method::get, "/v1/{kind}/latest");
        add(router, Method::get, "/files/{path...}");
        add(router, Method::get, "/stream", {.head_runs_get = false});
        add(router, Method::options, "/cors");
    }
    Router router;
};

TEST_F(RouterTest, FindsTheRoute) {
    struct Case {
        Method method;
        std::string_view path;
        std::string_view want;
    };
    for (const auto& [method, path, want] : {
             Case{Method::get, "/", "/"},
             Case{Method::get, "/v1/keys", "/v1/keys"},
             Case{Method::head, "/v1/keys", "/v1/keys"},
             Case{Method::get, "/v1/keys/", "404"},
             Case{Method::get, "//v1/keys", "404"},
             Case{Method::get, "/V1/keys", "404"},
             Case{Method::get, "/v1/keys/bob", "/v1/keys/{address} address=bob"},
             Case{Method::get, "/v1/keys/stats", "/v1/keys/stats"},
             Case{Method::del, "/v1/keys/stats", "/v1/keys/{address} address=stats"},
             Case{Method::put, "/v1/keys/a/pre/7", "/v1/keys/{address}/pre/{id} address=a id=7"},
             Case{Method::get, "/v1/keys/latest", "/v1/keys/{address} address=latest"},
             Case{Method::get, "/v1/other/latest", "/v1/{kind}/latest kind=other"},
             Case{Method::get, "/v1//latest", "404"},
             Case{Method::get, "/files/", "/files/{path...} path="},
             Case{Method::get, "/files/a/b%2Fc", "/files/{path...} path=a/b/c"},
             Case{Method::get, "/files", "404"},
             Case{Method::get, "/v1/%6beys", "/v1/keys"},
             Case{Method::get, "/v1/keys/a%2Fb", "/v1/keys/{address} address=a/b"},
             Case{Method::get, "/v1/keys/%zz", "400"},
             Case{Method::get, "/v1/keys/a%", "400"},
             Case{Method::get, "/v1/keys/a%00", "400"},
             Case{Method::get, "/files/%", "400"},
             Case{Method::get, "", "404"},
             Case{Method::get, "*", "404"},
             Case{Method::get, "/v1", "404"},
         }) {
        EXPECT_EQ(matched(router, method, path), want) << path;
    }
}

TEST_F(RouterTest, KnowsWhatElseIsAllowed) {
    struct Case {
        Method method;
        std::string_view path;
        std::string_view want;
    };
    for (const auto& [method, path, want] : {
             Case{Method::del, "/v1/keys", "405 GET, HEAD, POST, OPTIONS"},
             Case{Method::other, "/v1/keys", "405 GET, HEAD, POST, OPTIONS"},
             Case{Method::options, "/v1/keys", "405 GET, HEAD, POST, OPTIONS"},
             Case{Method::post, "/v1/keys/x", "405 GET, HEAD, DELETE, OPTIONS"},
             Case{Method::head, "/stream", "405 GET, OPTIONS"},
             Case{Method::get, "/v1/keys/a/pre/7", "405 PUT, OPTIONS"},
             Case{Method::options, "/cors", "/cors"},
             Case{Method::options, "/nowhere", "404"},
         }) {
        EXPECT_EQ(matched(router, method, path), want) << path;
    }
}

TEST_F(RouterTest, ExplicitHeadWins) {
    add(router, Method::head, "/stream");
    EXPECT_EQ(matched(router, Method::post, "/stream"), "405 GET, HEAD, OPTIONS");
    EXPECT_EQ(router.match(Method::head, "/stream").route->method, Method::head);
}

TEST_F(RouterTest, OptionsForAnyPathMakeNoneKnown) {
    add(router, Method::options, "/{path...}");
    EXPECT_EQ(matched(router, Method::get, "/nowhere"), "404");
    EXPECT_EQ(matched(router, Method::options, "/nowhere"), "/{path...} path=nowhere");
    EXPECT_EQ(matched(router, Method::del, "/v1/keys"), "405 GET, HEAD, POST, OPTIONS");
}

TEST_F(RouterTest, ListsRoutesInOrder) {
    const auto routes = router.routes();
    ASSERT_EQ(routes.size(), 11U);
    EXPECT_EQ(routes[0]->path_template, "/");
    EXPECT_EQ(routes[10]->path_template, "/cors");
}

// Backtracking visits each node once per path, however deep the request goes.
TEST(Router, ManyParametersStayCheap) {
    Router router;
    std::string path;
    for (int depth = 0; depth < 12; ++depth) {
        add(router, Method::get, path + "/a/x");
        path += "/a";
    }
    std::string parameters;
    for (int depth = 0; depth < 12; ++depth) {
        parameters += "/{p" + std::to_string(depth) + "}";
        add(router, Method::get, parameters + "/y");
    }
    std::string deep;
    for (int i = 0; i < 4000; ++i) {
        deep += "/a";
    }
    EXPECT_EQ(matched(router, Method::get, deep), "404");
    EXPECT_EQ(matched(router, Method::get, "/a/a/y"), "/{p0}/{p1}/y p0=a p1=a");
}

TEST(RouterDeath, MistakesAreFoundAtStart) {
    Router router;
    add(router, Method::get, "/a/{x}");
    EXPECT_DEATH(add(router, Method::get, "/a/{y}"), "registered twice");
    EXPECT_DEATH(add(router, Method::get, "a"), "starts with a slash");
    EXPECT_DEATH(add(router, Method::get, "/b/{x...}/c"), "last segment");
    EXPECT_DEATH(add(router, Method::get, "/b/x{y}"), "whole path segment");
    EXPECT_DEATH(add(router, Method::get, "/b/{x}/{x}"), "distinct names");
    EXPECT_DEATH(add(router, Method::other, "/b"), "needs a method");
}

}  // namespace
}  // namespace nave::net
