#include "prekeys/errors.h"

#include "base/json.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>

namespace nave::prekeys {
namespace {

using namespace std::chrono_literals;

std::string header(const net::Response& response, std::string_view name) {
    for (const auto& [key, value] : response.headers) {
        if (key == name) {
            return value;
        }
    }
    return "";
}

// "404 SHADE_NOT_FOUND message" as a client sees it.
std::string rendered(const Error& error) {
    const net::Response response = render_error(error, "r-1");
    const auto body = json::parse(response.body).value().get_object();
    const json::Object& shown = body.at("error").get_object();
    return std::to_string(response.status) + " " + std::string(shown.at("code").get_string()) +
           " " + std::string(shown.at("message").get_string());
}

// The codes are the wire contract: removing or moving one breaks clients.
TEST(PublicErrors, AreTheContracts) {
    const std::map<std::string, int, std::less<>> expected{
        {"SHADE_VALIDATION", 400},
        {"SHADE_BAD_ADDRESS", 400},
        {"SHADE_UNAUTHORIZED", 401},
        {"SHADE_TIMESTAMP_SKEW", 401},
        {"SHADE_BAD_REQUEST_SIGNATURE", 401},
        {"SHADE_FORBIDDEN", 403},
        {"SHADE_NOT_FOUND", 404},
        {"SHADE_IDENTITY_CONFLICT", 409},
        {"SHADE_REPLAY", 409},
        {"SHADE_STALE_WRITE", 409},
        {"SHADE_DIGEST_MISMATCH", 409},
        {"SHADE_TOMBSTONED", 410},
        {"SHADE_BODY_TOO_LARGE", 413},
        {"SHADE_INVALID_SIGNATURE", 422},
        {"SHADE_WEAK_KEY", 422},
        {"SHADE_BAD_KEM_KEY", 422},
        {"SHADE_LIMIT_EXCEEDED", 422},
        {"SHADE_RATE_LIMITED", 429},
        {"SHADE_STORAGE", 503},
        {"SHADE_SHUTTING_DOWN", 503},
        {"SHADE_INTERNAL", 500},
    };
    std::set<std::string_view> ids;
    for (const PublicError& error : public_errors()) {
        EXPECT_TRUE(ids.insert(error.id).second) << error.id << " twice";
        EXPECT_TRUE(error.message.ends_with('.')) << error.id;
        if (error.id == "SHADE_METHOD_NOT_ALLOWED") {
            continue;
        }
        ASSERT_TRUE(expected.contains(error.id)) << error.id;
        EXPECT_EQ(net::http_status(error.code), expected.find(error.id)->second) << error.id;
    }
    EXPECT_EQ(ids.size(), expected.size() + 1);
}

TEST(PublicErrors, AreRenderedWithTheirMessage) {
    EXPECT_EQ(rendered(errors::not_found().error()), "404 SHADE_NOT_FOUND Nothing is here.");
    EXPECT_EQ(rendered(errors::forbidden("Not you.").error()), "403 SHADE_FORBIDDEN Not you.");
    EXPECT_EQ(rendered(errors::tombstoned().error()).substr(0, 20), "410 SHADE_TOMBSTONED");
    EXPECT_EQ(rendered(errors::contradicting_field("signedPreKey.keyId", "is taken").error()),
              "422 SHADE_VALIDATION signedPreKey.keyId is taken.");
}

TEST(PublicErrors, BodyHasTheAgreedMembers) {
    auto error = errors::with_details(errors::invalid_signature(), R"({"keyIds":[1,2]})").error();
    error.detail = "for the log only";
    EXPECT_EQ(
        error_object(error, "r\"1"),
        R"({"code":"SHADE_INVALID_SIGNATURE","message":"A prekey signature does not verify.",)"
        R"("requestId":"r\"1","details":{"keyIds":[1,2]}})");
    const net::Response response = render_error(error, "r");
    EXPECT_EQ(response.content_type, "application/json");
    EXPECT_EQ(header(response, "Cache-Control"), "no-store");
    EXPECT_FALSE(response.body.contains("log only"));
    EXPECT_EQ(errors::invalid_field("a\"b", "is odd").error().details_json, R"({"field":"a\"b"})");
}

TEST(PublicErrors, SayWhenToComeBack) {
    Error error = errors::rate_limited().error();
    error.retry_after = 1'500ms;
    const net::Response response = render_error(error, "r");
    EXPECT_EQ(header(response, "Retry-After"), "2") << "whole seconds, rounded up";
    EXPECT_TRUE(response.body.contains(R"("retryAfterMs":1500)"));
    EXPECT_EQ(header(render_error(errors::rate_limited().error(), "r"), "Retry-After"), "");
    Error away(Code::unavailable, "storage.unreachable", "db at 10.0.0.1 is away");
    away.retry_after = 1'000ms;
    EXPECT_EQ(header(render_error(away, "r"), "Retry-After"), "1");
    const Error full = errors::too_many("Enough.").error();
    EXPECT_EQ(header(render_error(full, "r"), "Retry-After"), "30");
}

// A slow client is not told that the storage is away.
TEST(ForeignErrors, OfHttpItselfAreProblemDocuments) {
    for (const auto& [code, id, status] : {std::tuple(Code::timeout, "net.request_timeout", 408),
                                           std::tuple(Code::invalid, "net.target_too_long", 414),
                                           std::tuple(Code::invalid, "net.expectation", 417),
                                           std::tuple(Code::too_large, "net.head_too_large", 431),
                                           std::tuple(Code::too_large, "net.too_many_headers", 431),
                                           std::tuple(Code::invalid, "net.transfer_coding", 501),
                                           std::tuple(Code::invalid, "net.http_version", 505)}) {
        const net::Response response = render_error(Error(code, id, "What was wrong."), "r-1");
        EXPECT_EQ(response.status, status);
        EXPECT_EQ(response.content_type, "application/problem+json");
        const auto body = json::parse(response.body).value().get_object();
        EXPECT_EQ(body.at("code").get_string(), id);
        EXPECT_EQ(body.at("detail").get_string(), "What was wrong.");
        EXPECT_EQ(body.at("requestId").get_string(), "r-1");
    }
    EXPECT_EQ(rendered(Error(Code::invalid, "net.malformed", "That is not HTTP.")),
              "400 SHADE_VALIDATION That is not HTTP.");
    EXPECT_EQ(rendered(Error(Code::unavailable, "net.busy", "Too many bodies.")),
              "503 SHADE_STORAGE Too many bodies.");
}

// Other layers' errors get a public code; what they say about the inside does not get out.
TEST(ForeignErrors, HideInternals) {
    const auto foreign = [](Code code, std::string id, std::string message) {
        return rendered(Error(code, std::move(id), std::move(message), "secret detail"));
    };
    const std::string inside = "password of /var/lib/db at 10.0.0.1";
    const std::string storage =
        "503 SHADE_STORAGE The storage backend cannot be used right now; try again.";
    EXPECT_EQ(foreign(Code::unavailable, "storage.unreachable", inside), storage);
    EXPECT_EQ(foreign(Code::timeout, "storage.timeout", inside), storage);
    EXPECT_EQ(foreign(Code::cancelled, "storage.cancelled", inside), storage);
    EXPECT_EQ(foreign(Code::unavailable, "runtime.busy", inside), storage);
    const std::string internal = "500 SHADE_INTERNAL The server failed to handle the request.";
    EXPECT_EQ(foreign(Code::internal, "storage.failed", inside), internal);
    EXPECT_EQ(foreign(Code::conflict, "storage.conflict", inside), internal)
        << "a constraint we did not foresee is our fault";
    EXPECT_EQ(foreign(Code::internal, "kt.damaged", inside), internal);
    EXPECT_EQ(foreign(Code::unauthenticated, "x.y", inside),
              "401 SHADE_UNAUTHORIZED This request must be signed.");
    EXPECT_EQ(foreign(Code::forbidden, "x.y", inside),
              "403 SHADE_FORBIDDEN The signer may not do this.");
    EXPECT_EQ(foreign(Code::gone, "x.y", inside), "404 SHADE_NOT_FOUND Nothing is here.");
    EXPECT_EQ(foreign(Code::rate_limited, "x.y", inside),
              "429 SHADE_RATE_LIMITED Too many requests.");
}

TEST(ForeignErrors, ThoseWrittenForClientsAreKept) {
    const Error field = json::parse("{").error();
    EXPECT_EQ(rendered(field).substr(0, 21), "400 SHADE_VALIDATION ");
    EXPECT_TRUE(rendered(field).contains(field.message));
    EXPECT_EQ(rendered(Error(Code::too_large, "net.body_too_large", "Too big.")),
              "413 SHADE_BODY_TOO_LARGE Too big.");
    EXPECT_EQ(rendered(Error(Code::invalid, "net.method_not_allowed", "GET only.")),
              "405 SHADE_METHOD_NOT_ALLOWED GET only.");
    EXPECT_EQ(rendered(Error(Code::not_found, "net.not_found", "x")),
              "404 SHADE_NOT_FOUND Nothing is here.");
}

}  // namespace
}  // namespace nave::prekeys
