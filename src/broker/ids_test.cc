#include "broker/ids.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

namespace nave::broker {
namespace {

// Hands out the given bytes, then zeros.
class ScriptedEntropy final : public Entropy {
  public:
    explicit ScriptedEntropy(std::vector<std::uint8_t> bytes) : bytes_(std::move(bytes)) {}
    void fill(std::span<std::uint8_t> out) override {
        for (std::uint8_t& byte : out) {
            byte = at_ < bytes_.size() ? bytes_[at_++] : std::uint8_t{0};
        }
        ++fills_;
    }
    [[nodiscard]] int fills() const { return fills_; }

  private:
    std::vector<std::uint8_t> bytes_;
    std::size_t at_ = 0;
    int fills_ = 0;
};

TEST(Ids, OnesWithTheTimeSortByIt) {
    SystemEntropy entropy;
    std::string former = new_id(entropy, 0);
    EXPECT_EQ(former.substr(0, 8), "00000000");
    for (const UnixMillis time :
         {UnixMillis{1}, UnixMillis{61}, UnixMillis{62}, UnixMillis{1'795'000'000'000},
          UnixMillis{1'795'000'000'001}, UnixMillis{100'000'000'000'000}}) {
        const std::string id = new_id(entropy, time);
        EXPECT_TRUE(is_id(id));
        EXPECT_LT(former, id);
        former = id;
    }
    EXPECT_NE(new_id(entropy, 5), new_id(entropy, 5));
}

TEST(Ids, AreThirtyTwoCharactersOfBase62AndNeverTheSame) {
    SystemEntropy entropy;
    std::set<std::string> seen;
    for (int i = 0; i < 2'000; ++i) {
        const std::string id = new_id(entropy);
        EXPECT_TRUE(is_id(id)) << id;
        EXPECT_TRUE(seen.insert(id).second) << id;
    }
}

TEST(Ids, EachByteBelow248IsACharacterAndTheOthersAreDropped) {
    ScriptedEntropy entropy({0, 25, 26, 51, 52, 61, 62, 247, 248, 255, 1});
    EXPECT_EQ(new_id(entropy), "AZaz09A9B" + std::string(23, 'A'));
}

TEST(Ids, ManyRefusedBytesOnlyCostAnotherDraw) {
    ScriptedEntropy entropy(std::vector<std::uint8_t>(90, 0xff));
    EXPECT_EQ(new_id(entropy), std::string(32, 'A'));
    EXPECT_EQ(entropy.fills(), 4);
}

// With modulo bias A to H would come up a quarter more often than the rest.
TEST(Ids, EveryCharacterIsEquallyLikely) {
    SeededEntropy entropy(7);
    std::array<int, 256> count{};
    constexpr int kDraws = 20'000;
    for (int i = 0; i < kDraws; ++i) {
        for (const char c : new_id(entropy)) {
            ++count[static_cast<unsigned char>(c)];
        }
    }
    constexpr double kExpected = kDraws * 32.0 / 62;
    double chi_squared = 0;
    for (const char c :
         std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")) {
        const double off = count[static_cast<unsigned char>(c)] - kExpected;
        chi_squared += off * off / kExpected;
    }
    EXPECT_LT(chi_squared, 120);  // 61 degrees of freedom: above 120 once in 100,000 runs
}

TEST(Ids, ShapeIsExact) {
    const std::string id = "abcdefghijklmnopqrstuvwxyzABCD09";
    EXPECT_TRUE(is_id(id));
    for (const std::string& wrong :
         {std::string(), id.substr(1), id + "a", id.substr(1) + "-", id.substr(1) + "_",
          id.substr(1) + " ", id.substr(1) + std::string(1, '\0'), id.substr(2) + "\xc3\xa9"}) {
        EXPECT_FALSE(is_id(wrong)) << wrong;
    }
}

TEST(Ids, APrefixIsAnyBeginning) {
    EXPECT_TRUE(is_id_prefix("a"));
    EXPECT_TRUE(is_id_prefix("abcdefghijklmnopqrstuvwxyzABCD09"));
    for (const std::string_view wrong : {"", "%", "ab_", "abcdefghijklmnopqrstuvwxyzABCD091"}) {
        EXPECT_FALSE(is_id_prefix(wrong)) << wrong;
    }
}

}  // namespace
}  // namespace nave::broker
