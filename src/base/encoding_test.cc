#include "base/encoding.h"

#include "base/entropy.h"

#include <gtest/gtest.h>

namespace nave {
namespace {

TEST(Base64, MatchesRfc4648Vectors) {
    const std::pair<std::string_view, std::string_view> vectors[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    for (const auto& [plain, encoded] : vectors) {
        EXPECT_EQ(base64(as_bytes(plain)), encoded);
        const auto back = base64_decode(encoded);
        ASSERT_TRUE(back.has_value()) << encoded;
        EXPECT_EQ(as_text(*back), plain);
    }
}

TEST(Base64, DecoderAcceptsUrlAlphabetAndNoPadding) {
    const Bytes bytes{0xfb, 0xff, 0xfe};
    EXPECT_EQ(base64(bytes), "+//+");
    EXPECT_EQ(base64url(bytes), "-__-");
    EXPECT_EQ(base64_decode("-__-"), bytes);
    EXPECT_EQ(base64_decode("Zm8"), to_bytes(as_bytes("fo")));
}

TEST(Base64, DecoderRefusesEverySecondSpelling) {
    for (const std::string_view bad :
         {"Zg=", "Zg===", "Z", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "+_AA", "=",
          "====", "Zm9v=", "Zm=9", "\xc3\xa9", "Zg==Zg=="}) {
        EXPECT_FALSE(base64_decode(bad).has_value()) << bad;
    }
}

TEST(Base64, RoundTripsEveryLength) {
    SeededEntropy entropy(7);
    for (std::size_t n = 0; n < 200; ++n) {
        Bytes bytes(n);
        entropy.fill(bytes);
        EXPECT_EQ(base64_decode(base64(bytes)), bytes);
        EXPECT_EQ(base64_decode(base64url(bytes)), bytes);
    }
}

TEST(Hex, RoundTripsAndRefusesMalformed) {
    const Bytes bytes{0x00, 0x9f, 0xff};
    EXPECT_EQ(hex(bytes), "009fff");
    EXPECT_EQ(hex_decode("009FfF"), bytes);
    EXPECT_FALSE(hex_decode("0").has_value());
    EXPECT_FALSE(hex_decode("zz").has_value());
}

TEST(Entropy, SeededReplaysAndStaysInRange) {
    SeededEntropy a(1);
    SeededEntropy b(1);
    for (int i = 0; i < 1000; ++i) {
        const auto value = a.below(10);
        EXPECT_LT(value, 10U);
        EXPECT_EQ(value, b.below(10));
    }
}

}  // namespace
}  // namespace nave
