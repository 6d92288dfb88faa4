#include "broker/hex_key.h"

#include <gtest/gtest.h>

namespace nave::broker {
namespace {

const std::string kLower = "00ff0123456789abcdef00112233445566778899aabbccddeeff0f1e2d3c4b5a";
const std::string kUpper = "00FF0123456789ABCDEF00112233445566778899AABBCCDDEEFF0F1E2D3C4B5A";

TEST(HexKey, ReadsAndWritesTheOneForm) {
    const auto key = parse_hex_key(kLower);
    ASSERT_TRUE(key);
    EXPECT_EQ((*key)[0], 0x00);
    EXPECT_EQ((*key)[1], 0xff);
    EXPECT_EQ((*key)[31], 0x5a);
    EXPECT_EQ(hex_key(*key), kLower);
    EXPECT_TRUE(is_hex_key(kLower));
}

TEST(HexKey, UpperCaseIsAnotherTextAndSoNoKey) {
    std::string one_upper = kLower;
    one_upper[3] = 'F';
    for (const std::string& text : {kUpper, one_upper}) {
        EXPECT_FALSE(is_hex_key(text)) << text;
        EXPECT_FALSE(parse_hex_key(text)) << text;
        EXPECT_EQ(lower_hex_key(text), kLower) << text;
    }
    EXPECT_EQ(lower_hex_key(kLower), kLower);
}

TEST(HexKey, RefusesEveryOtherShape) {
    for (const std::string& text :
         {std::string(), kLower.substr(1), kLower.substr(2), kLower + "0", kLower + "00",
          "0x" + kLower.substr(2), kLower.substr(1) + "g", kLower.substr(1) + " ",
          kLower.substr(1) + std::string(1, '\0'), kLower.substr(1) + "\n"}) {
        EXPECT_FALSE(parse_hex_key(text)) << text;
        EXPECT_FALSE(is_hex_key(text)) << text;
        EXPECT_FALSE(lower_hex_key(text)) << text;
    }
}

TEST(HexSignature, Takes128CharactersOfEitherCase) {
    const auto lower_case = parse_hex_signature(kLower + kLower);
    const auto upper_case = parse_hex_signature(kUpper + kLower);
    ASSERT_TRUE(lower_case);
    EXPECT_EQ(lower_case, upper_case);
    EXPECT_EQ((*lower_case)[33], 0xff);
    for (const std::string& text : {std::string(), kLower, kLower + kLower.substr(2),
                                    kLower + kLower + "00", kLower + kLower.substr(1) + "z"}) {
        EXPECT_FALSE(parse_hex_signature(text)) << text;
    }
}

}  // namespace
}  // namespace nave::broker
