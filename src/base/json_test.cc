#include "base/json.h"

#include <gtest/gtest.h>

#include <string>

namespace nave::json {
namespace {

std::string why(std::string_view text, Limits limits = Limits()) {
    const auto result = parse(text, limits);
    return result ? "accepted" : result.error().id;
}

TEST(JsonParse, AcceptsOrdinaryDocuments) {
    const auto value = parse(R"({"a":[1,-2,{"b":null}],"c":"x\u00e9\ud83d\ude00","d":true})");
    ASSERT_TRUE(value.has_value()) << value.error().message;
    EXPECT_EQ(text(*value), "{\"a\":[1,-2,{\"b\":null}],\"c\":\"x\u00e9\U0001F600\",\"d\":true}");
}

TEST(JsonParse, RefusesWhatIsAmbiguous) {
    EXPECT_EQ(why(R"({"a":1,"a":2})"), "json.duplicate_member");
    EXPECT_EQ(why(R"({"x":{"a":1,"b":2,"a":3}})"), "json.duplicate_member");
    EXPECT_EQ(why(R"({"a":1,"\u0061":2})"), "json.duplicate_member");
    EXPECT_EQ(why(R"({"a":1.5})"), "json.float");
    EXPECT_EQ(why(R"({"a":1e3})"), "json.float");
    EXPECT_EQ(why(R"({"a":1.0})", {.floats_allowed = true}), "accepted");
    EXPECT_EQ(why(R"({"a":99999999999999999999})"), "json.float");
    EXPECT_EQ(why(R"({"a":NaN})"), "json.syntax");
    EXPECT_EQ(why(R"({"a":"\ud800"})"), "json.syntax");
    EXPECT_EQ(why(R"({"a":"\udc00x"})"), "json.syntax");
    EXPECT_EQ(why("{\"a\":\"\xff\"}"), "json.syntax");
    EXPECT_EQ(why("{\"a\":\"\xc0\x80\"}"), "json.syntax");
    EXPECT_EQ(why("{} x"), "json.trailing_bytes");
    EXPECT_EQ(why("{\"a\":"), "json.incomplete");
    EXPECT_EQ(why(""), "json.incomplete");
    EXPECT_EQ(why("{'a':1}"), "json.syntax");
    EXPECT_EQ(why("[1,]"), "json.syntax");
    EXPECT_EQ(why("{}//c"), "json.trailing_bytes");
}

TEST(JsonParse, BoundsDepth) {
    EXPECT_EQ(why("[[[[[[[[1]]]]]]]]"), "accepted");
    EXPECT_EQ(why("[[[[[[[[[1]]]]]]]]]"), "json.too_deep");
    EXPECT_EQ(why(std::string(100'000, '[')), "json.too_deep");
}

TEST(JsonCanonical, FollowsRfc8785) {
    const auto value = parse(
        "{\"\\u20ac\":1,\"\\r\":2,\"1\":3,\"\\ud83d\\ude00\":4,\"\\u0080\":5,"
        "\"\\u00f6\":6,\"\\ufb33\":7}");
    ASSERT_TRUE(value.has_value());
    // The order of RFC 8785 section 3.2.3: CR, 1, control, o-umlaut, euro, emoji, hebrew dalet.
    EXPECT_EQ(*canonical(*value),
              "{\"\\r\":2,\"1\":3,\"\u0080\":5,\"\u00f6\":6,\"\u20ac\":1,\"\U0001F600\":4,"
              "\"\uFB33\":7}");
}

TEST(JsonCanonical, EscapesAsTheRfcSays) {
    const auto value = parse(R"({"s":"\u0000\u001f\b\f\n\r\t\"\\\/\u007f"})");
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(*canonical(*value), "{\"s\":\"\\u0000\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\x7f\"}");
}

TEST(JsonCanonical, LeavesOneMemberOutAtTheTopOnly) {
    const auto value = parse(R"({"signature":"x","b":{"signature":1},"a":18446744073709551615})");
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(*canonical(value->as_object(), "signature"),
              R"({"a":18446744073709551615,"b":{"signature":1}})");
}

TEST(JsonCanonical, RefusesFloats) {
    const auto value = parse("[1.5]", {.floats_allowed = true});
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(canonical(*value).error().id, "json.float");
}

TEST(JsonQuote, EscapesAtBothEndsAndCopiesTheRest) {
    std::string out;
    append_quoted(out, "");
    append_quoted(out, "plain, longer than eight");
    append_quoted(out, "\"at\nthe\x01 ends\\");
    EXPECT_EQ(out, R"("""plain, longer than eight""\"at\nthe\u0001 ends\\")");
}

TEST(JsonQuote, RepairsInvalidUtf8) {
    std::string out;
    append_quoted(out, "a\xff\"b");
    EXPECT_EQ(out, "\"a\uFFFD\\\"b\"");
}

}  // namespace
}  // namespace nave::json
