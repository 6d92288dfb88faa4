#include "base/text.h"

#include <gtest/gtest.h>

namespace nave {
namespace {

TEST(Utf8, ChecksEveryPosition) {
    for (std::size_t at = 0; at < 20; ++at) {
        std::string text(20, 'a');
        text[at] = '\x80';
        EXPECT_FALSE(is_utf8(text)) << at;
        text.replace(at, 1, "\u20ac");
        EXPECT_TRUE(is_utf8(text)) << at;
    }
}

TEST(Utf8, ChecksAndRepairs) {
    EXPECT_TRUE(is_utf8("plain \u00e9\u20ac\U0001F600"));
    for (const std::string_view bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xe2\x82", "a\x80"}) {
        EXPECT_FALSE(is_utf8(bad));
        EXPECT_TRUE(is_utf8(repair_utf8(bad)));
    }
}

TEST(Nfkc, FoldsCompatibilityForms) {
    EXPECT_EQ(nfkc("\uff41\uff4c\uff49\uff43\uff45\uff1a\uff11"), "alice:1");
    EXPECT_EQ(nfkc("\ufb01"), "fi");
    EXPECT_EQ(nfkc("e\u0301"), "\u00e9");
    EXPECT_FALSE(nfkc("\xff").has_value());
}

TEST(Text, SplitsTrimsAndParses) {
    EXPECT_EQ(split(" a, b ,,c", ','), (std::vector<std::string_view>{"a", "b", "c"}));
    EXPECT_TRUE(split("", ',').empty());
    EXPECT_EQ(trim("\t x "), "x");
    EXPECT_EQ(parse_int("-12"), -12);
    for (const std::string_view bad : {"", "1x", " 1", "1 ", "+1", "99999999999999999999"}) {
        EXPECT_FALSE(parse_int(bad).has_value()) << bad;
    }
    EXPECT_TRUE(equal_ignoring_case("X-Request-ID", "x-request-id"));
    EXPECT_FALSE(equal_ignoring_case("a", "ab"));
}

TEST(PercentDecode, IsStrict) {
    EXPECT_EQ(percent_decode("a%3Ab%2f"), "a:b/");
    for (const std::string_view bad : {"%", "%4", "%zz", "%00", "a%0"}) {
        EXPECT_FALSE(percent_decode(bad).has_value()) << bad;
    }
}

TEST(Rfc3339, FormatsUtcWithMillis) {
    EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(rfc3339(1'700'000'000'123), "2023-11-14T22:13:20.123Z");
}

TEST(Nearest, FindsTypingSlipsOnly) {
    const std::vector<std::string_view> names{"SHADE_STALE_DAYS", "SHADE_LOG_LEVEL"};
    EXPECT_EQ(nearest("SHADE_STAL_DAYS", names), "SHADE_STALE_DAYS");
    EXPECT_FALSE(nearest("COMPLETELY_OTHER", names).has_value());
}

}  // namespace
}  // namespace nave
