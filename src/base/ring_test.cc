#include "base/ring.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <random>
#include <vector>

namespace nave {
namespace {

std::vector<int> contents(const Ring<std::shared_ptr<int>>& ring) {
    std::vector<int> out;
    for (const std::shared_ptr<int>& one : ring) {
        out.push_back(*one);
    }
    return out;
}

TEST(Ring, IsAQueueHoweverItWraps) {
    std::mt19937 random(5);
    Ring<std::shared_ptr<int>> ring;
    std::deque<int> expected;
    for (int i = 0; i < 20'000; ++i) {
        const auto choice = random() % 100;
        // Long spells of growing and of shrinking.
        if (choice < ((i / 500) % 2 == 0 ? 60U : 35U)) {
            ring.push_back(std::make_shared<int>(i));
            expected.push_back(i);
        } else if (choice < 90 && !expected.empty()) {
            ASSERT_EQ(*ring.front(), expected.front());
            ASSERT_EQ(*ring.pop_front(), expected.front());
            expected.pop_front();
        } else if (!expected.empty()) {
            const std::size_t at = random() % expected.size();
            ASSERT_EQ(*ring[at], expected[at]);
            ring.erase(at);
            expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(at));
        }
        ring.shrink();
        ASSERT_EQ(ring.size(), expected.size());
        ASSERT_EQ(ring.empty(), expected.empty());
        if (i % 97 == 0) {
            ASSERT_EQ(contents(ring), std::vector<int>(expected.begin(), expected.end()));
        }
    }
}

TEST(Ring, KeepsNothingOfWhatItGaveAway) {
    Ring<std::shared_ptr<int>> ring;
    const auto one = std::make_shared<int>(1);
    ring.push_back(one);
    ring.push_back(one);
    ring.push_back(one);
    EXPECT_EQ(one.use_count(), 4);
    static_cast<void>(ring.pop_front());
    EXPECT_EQ(one.use_count(), 3);
    ring.erase(0);
    EXPECT_EQ(one.use_count(), 2);
    ring.clear();
    EXPECT_EQ(one.use_count(), 1);
    EXPECT_TRUE(ring.empty());
}

TEST(Ring, MovesAsAWhole) {
    Ring<std::shared_ptr<int>> ring;
    ring.push_back(std::make_shared<int>(7));
    Ring<std::shared_ptr<int>> other = std::move(ring);
    EXPECT_EQ(contents(other), std::vector<int>{7});
    ring = Ring<std::shared_ptr<int>>();
    EXPECT_TRUE(ring.empty());
    ring.push_back(std::make_shared<int>(8));
    other = std::exchange(ring, {});
    EXPECT_EQ(contents(other), std::vector<int>{8});
    EXPECT_TRUE(ring.empty());
}

}  // namespace
}  // namespace nave
