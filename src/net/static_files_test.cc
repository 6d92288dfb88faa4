#include "net/static_files.h"

#include "net/accept_encoding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace nave::net {
namespace {

constexpr std::array kAssets = {
    Asset{.path = "dash/index.html",
          .content_type = "text/html; charset=utf-8",
          .bytes = "<html>",
          .gzip = "GZ",
          .etag = "\"index\""},
    Asset{.path = "dash/app.1a2b.js",
          .content_type = "text/javascript",
          .bytes = "code()",
          .gzip = "",
          .etag = "\"app\"",
          .immutable = true},
    Asset{.path = "other/index.html",
          .content_type = "text/html",
          .bytes = "other",
          .gzip = "",
          .etag = "\"other\""},
    Asset{.path = "dashboard.html",
          .content_type = "text/html",
          .bytes = "no",
          .gzip = "",
          .etag = "\"no\""},
};

class StaticFilesTest : public testing::Test {
  protected:
    StaticFilesTest() { serve_assets(router, kAssets, "dash", "/ui/", "default-src 'self'"); }

    Response get(std::string_view path, std::vector<Header> headers = {}) {
        const Router::Match match = router.match(Method::get, path);
        if (match.route == nullptr) {
            return Response(404, "", "");
        }
        Request request;
        request.headers = std::move(headers);
        return std::get<SyncHandler>(match.route->handler)(request);
    }
    static std::string header(const Response& response, std::string_view name) {
        const auto found =
            std::ranges::find(response.headers, name, [](const auto& pair) { return pair.first; });
        return found == response.headers.end() ? "" : found->second;
    }

    Router router;
};

TEST_F(StaticFilesTest, ServesTheDirectoryOnly) {
    EXPECT_EQ(get("/ui/").fixed_body, "<html>");
    EXPECT_EQ(get("/ui/index.html").fixed_body, "<html>");
    EXPECT_EQ(get("/ui/app.1a2b.js").fixed_body, "code()");
    EXPECT_EQ(get("/ui/nothing").status, 404);
    EXPECT_EQ(get("/ui/../other/index.html").status, 404);
    EXPECT_EQ(get("/uidashboard.html").status, 404);
    EXPECT_EQ(router.routes().size(), 4U);
}

TEST_F(StaticFilesTest, RedirectsToTheSlashWhereverItIsMounted) {
    const Response response = get("/ui");
    EXPECT_EQ(response.status, 308);
    EXPECT_EQ(header(response, "Location"), "ui/");
}

TEST_F(StaticFilesTest, PagesAreLockedDown) {
    const Response page = get("/ui/");
    EXPECT_EQ(header(page, "Content-Security-Policy"), "default-src 'self'");
    EXPECT_EQ(header(page, "X-Frame-Options"), "DENY");
    EXPECT_EQ(header(page, "Referrer-Policy"), "no-referrer");
    EXPECT_EQ(header(page, "Cross-Origin-Opener-Policy"), "same-origin");
    EXPECT_NE(header(page, "Permissions-Policy"), "");
    EXPECT_EQ(header(page, "Cache-Control"), "no-cache");
    const Response script = get("/ui/app.1a2b.js");
    EXPECT_EQ(header(script, "Content-Security-Policy"), "");
    EXPECT_EQ(header(script, "Cache-Control"), "public, max-age=31536000, immutable");
}

TEST_F(StaticFilesTest, NegotiatesTheEncoding) {
    const Response gzip = get("/ui/", {{"Accept-Encoding", "br, gzip"}});
    EXPECT_EQ(gzip.fixed_body, "GZ");
    EXPECT_EQ(header(gzip, "Content-Encoding"), "gzip");
    EXPECT_EQ(header(gzip, "ETag"), "\"index-gz\"");
    EXPECT_EQ(header(gzip, "Vary"), "Accept-Encoding");
    const Response plain = get("/ui/");
    EXPECT_EQ(header(plain, "Content-Encoding"), "");
    EXPECT_EQ(header(plain, "ETag"), "\"index\"");
    EXPECT_EQ(header(plain, "Vary"), "Accept-Encoding");
    EXPECT_EQ(header(get("/ui/app.1a2b.js", {{"Accept-Encoding", "gzip"}}), "Content-Encoding"),
              "");
}

TEST_F(StaticFilesTest, ConfirmsWhatTheClientHas) {
    const Response same = get("/ui/", {{"If-None-Match", "\"x\", W/\"index\""}});
    EXPECT_EQ(same.status, 304);
    EXPECT_EQ(same.fixed_body, "");
    EXPECT_EQ(header(same, "ETag"), "\"index\"");
    EXPECT_EQ(get("/ui/", {{"If-None-Match", "\"index-gz\""}}).status, 200)
        << "another encoding is another representation";
    const Response gzip =
        get("/ui/", {{"If-None-Match", "\"index-gz\""}, {"Accept-Encoding", "gzip"}});
    EXPECT_EQ(gzip.status, 304);
}

TEST(AcceptEncoding, QualitiesDecide) {
    struct Case {
        std::string_view value;
        bool gzip;
    };
    for (const auto& [value, gzip] : {
             Case{"", false},
             Case{"gzip", true},
             Case{"GZIP", true},
             Case{"x-gzip", true},
             Case{"deflate, br", false},
             Case{"gzip;q=0", false},
             Case{"gzip;q=0.0", false},
             Case{"gzip; q=0.001", true},
             Case{"gzip;q=0.5, identity;q=0.6", false},
             Case{"gzip;q=0.6, identity;q=0.5", true},
             Case{"gzip, identity", true},
             Case{"*", true},
             Case{"*;q=0", false},
             Case{"*;q=0, gzip", true},
             Case{"gzip;q=0, *", false},
             Case{"gzip;q=2", false},
             Case{"gzip;q=1.5", false},
             Case{"gzip;q=x", false},
             Case{"gzip;q=0.1234", false},
             Case{"gzip;q=1.000", true},
             Case{" , gzip ,", true},
         }) {
        EXPECT_EQ(prefers_gzip(value), gzip) << value;
    }
}

TEST(MatchesEtag, ComparesWeakly) {
    EXPECT_TRUE(matches_etag("\"a\"", "\"a\""));
    EXPECT_TRUE(matches_etag("W/\"a\"", "\"a\""));
    EXPECT_TRUE(matches_etag("\"b\",\"a\"", "\"a\""));
    EXPECT_TRUE(matches_etag(" * ", "\"a\""));
    EXPECT_FALSE(matches_etag("a", "\"a\""));
    EXPECT_FALSE(matches_etag("\"A\"", "\"a\""));
    EXPECT_FALSE(matches_etag("w/\"a\"", "\"a\""));
    EXPECT_FALSE(matches_etag("", "\"a\""));
}

}  // namespace
}  // namespace nave::net
