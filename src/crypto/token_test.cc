#include "crypto/token.h"

#include "base/encoding.h"

#include <gtest/gtest.h>

#include <set>

namespace nave::crypto {
namespace {

TEST(Token, EqualSecret) {
    EXPECT_TRUE(equal_secret({}, {}));
    EXPECT_TRUE(equal_secret(as_bytes("abc"), as_bytes("abc")));
    EXPECT_FALSE(equal_secret(as_bytes("abc"), as_bytes("abd")));
    EXPECT_FALSE(equal_secret(as_bytes("abc"), as_bytes("xbc")));
    EXPECT_FALSE(equal_secret(as_bytes("abc"), as_bytes("ab")));
    EXPECT_FALSE(equal_secret(as_bytes("abc"), {}));
}

TEST(Token, RandomTokensAreDistinctAndOfTheStatedLength) {
    SeededEntropy entropy(1);
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
        const Secret token = random_token(entropy);
        EXPECT_EQ(token.size(), 43U);
        EXPECT_EQ(base64_decode(token.reveal()).value().size(), 32U);
        EXPECT_TRUE(seen.emplace(token.reveal()).second);
    }
    EXPECT_EQ(random_token(entropy, 16).size(), 22U);
}

TEST(Token, IsSecretTellsTheSecretFromEverythingElse) {
    const Secret secret("a secret of some length");
    EXPECT_TRUE(is_secret(secret, "a secret of some length"));
    EXPECT_FALSE(is_secret(secret, "a secret of some lengt"));
    EXPECT_FALSE(is_secret(secret, ""));
    EXPECT_FALSE(is_secret(Secret(), "")) << "no secret admits nobody";
}

}  // namespace
}  // namespace nave::crypto
