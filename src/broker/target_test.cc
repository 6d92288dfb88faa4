#include "broker/target.h"

#include "broker/hex_key.h"

#include <gtest/gtest.h>

namespace nave::broker {
namespace {

const std::string kHex = "00ff0123456789abcdef00112233445566778899aabbccddeeff0f1e2d3c4b5a";
const std::string kUpper = "00FF0123456789ABCDEF00112233445566778899AABBCCDDEEFF0F1E2D3C4B5A";

TEST(Targets, AreReadIntoWhatTheyName) {
    struct Case {
        std::string text;
        Target target;
    };
    for (const Case& test :
         {Case{kHex, *parse_hex_key(kHex)}, Case{"*", EveryoneTarget{}},
          Case{"@all", EveryoneTarget{}}, Case{"@frontend", GroupTarget{"frontend"}},
          Case{"@eng/frontend", GroupTarget{"eng/frontend"}}, Case{"@All", GroupTarget{"All"}},
          Case{"@@all", GroupTarget{"@all"}}, Case{"@*", GroupTarget{"*"}},
          Case{"@" + kHex, GroupTarget{kHex}}, Case{"@x' or '1'='1", GroupTarget{"x' or '1'='1"}},
          Case{"@\xc3\xa9quipe", GroupTarget{"\xc3\xa9quipe"}},
          Case{"#general", TopicTarget{"general"}},
          Case{"#abcdefghijklmnopqrstuvwxyzABCD09",
               TopicTarget{"abcdefghijklmnopqrstuvwxyzABCD09"}},
          Case{"#*", TopicTarget{"*"}}}) {
        const auto target = parse_target(test.text);
        ASSERT_TRUE(target) << test.text << ": " << target.error().message;
        EXPECT_EQ(*target, test.target) << test.text;
        EXPECT_EQ(is_direct(*target), test.text == kHex) << test.text;
    }
}

TEST(Targets, WriteTheTextTheyCameFrom) {
    for (const std::string& text : {kHex, std::string("*"), std::string("@frontend"),
                                    std::string("@' or 1=1"), std::string("#general")}) {
        const auto target = parse_target(text);
        ASSERT_TRUE(target);
        EXPECT_EQ(target_text(*target), text);
    }
    EXPECT_EQ(target_text(*parse_target("@all")), "*");
}

TEST(Targets, RefusalsSayWhatWouldBeRight) {
    constexpr std::string_view kWhat =
        "targetSpec must be a key of 64 hex characters, * or @all, @group, or #topic; "
        "names of peers are not resolved, list_peers has their keys.";
    constexpr std::string_view kGroup =
        "The group in targetSpec must be 1 to 64 visible characters.";
    constexpr std::string_view kTopic =
        "The topic in targetSpec must be 1 to 64 visible characters.";
    constexpr std::string_view kCase = "A key in targetSpec must be in lower case.";
    std::string one_upper = kHex;
    one_upper[3] = 'F';
    struct Case {
        std::string text;
        std::string_view message;
    };
    for (const Case& test : {Case{"", "targetSpec is empty."},
                             Case{kUpper, kCase},
                             Case{one_upper, kCase},
                             Case{"Alice", kWhat},
                             Case{"tag:repo", kWhat},
                             Case{"**", kWhat},
                             Case{"* ", kWhat},
                             Case{" *", kWhat},
                             Case{" " + kHex, kWhat},
                             Case{kHex + "\n", kWhat},
                             Case{kHex.substr(1), kWhat},
                             Case{kHex + "00", kWhat},
                             Case{"0x" + kHex, kWhat},
                             Case{kHex.substr(1) + "g", kWhat},
                             Case{"%", kWhat},
                             Case{std::string(1, '\0'), kWhat},
                             Case{std::string(100'000, 'a'), kWhat},
                             Case{"@", kGroup},
                             Case{"@" + std::string(65, 'x'), kGroup},
                             Case{"@a\nb", kGroup},
                             Case{"@\xff", kGroup},
                             Case{std::string("@a\0b", 4), kGroup},
                             Case{"@ all", kGroup},
                             Case{"@all ", kGroup},
                             Case{"#", kTopic},
                             Case{"#" + std::string(65, 'x'), kTopic},
                             Case{"#\xe2\x80\xae", kTopic}}) {
        const auto target = parse_target(test.text);
        ASSERT_FALSE(target) << test.text;
        EXPECT_EQ(target.error().code, Code::invalid);
        EXPECT_EQ(target.error().id, "invalid_argument");
        EXPECT_EQ(target.error().message, test.message) << test.text;
    }
}

}  // namespace
}  // namespace nave::broker
