#include "broker/word_match.h"

#include <gtest/gtest.h>

namespace nave::broker {
namespace {

TEST(WordMatch, EveryWordInOneOfTheTexts) {
    EXPECT_TRUE(holds_words("parser", {"the Parser", "x"}));
    EXPECT_TRUE(holds_words("PARS tag", {"the parser", "a tag"}));
    EXPECT_FALSE(holds_words("parser other", {"the parser", "a tag"}));
    EXPECT_FALSE(holds_words("parsertag", {"parser", "tag"}));
    EXPECT_TRUE(holds_words("a\tb\n c", {"c b a"}));
    EXPECT_TRUE(holds_words("100%", {"it is 100% done"}));
    EXPECT_FALSE(holds_words("100_", {"it is 100% done"}));
}

TEST(WordMatch, NoWordsMatchEverything) {
    EXPECT_TRUE(holds_words("", {"x"}));
    EXPECT_TRUE(holds_words(" \t", {}));
    EXPECT_FALSE(holds_words("x", {}));
}

}  // namespace
}  // namespace nave::broker
