#include "net/rate_limit.h"

#include "base/entropy.h"

#include <gtest/gtest.h>

#include <string>

namespace nave::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ParseRate, ReadsCountUnitAndBurst) {
    struct Case {
        std::string_view text;
        double burst;
        double per_second;
    };
    for (const auto& [text, burst, per_second] : {
             Case{"5/h", 5, 5.0 / 3600},
             Case{"60/min", 60, 1},
             Case{"10/s", 10, 10},
             Case{"30/h:20", 20, 30.0 / 3600},
             Case{"1/s:100", 100, 1},
         }) {
        const auto rate = parse_rate(text);
        ASSERT_TRUE(rate) << text;
        EXPECT_DOUBLE_EQ(rate->burst, burst) << text;
        EXPECT_DOUBLE_EQ(rate->refill_per_second, per_second) << text;
    }
    for (const std::string_view text :
         {"",     "5",    "/h",    "5/",     "0/h",     "-1/h",  "+1/h",  "5/d",           "5/H",
          "5 /h", "5/h:", "5/h:0", "5/h:-1", "5/h:2:3", "5.5/h", "1e3/s", "99999999999/s", "5/h ",
          " 5/h", "5//h"}) {
        EXPECT_FALSE(parse_rate(text)) << text;
    }
}

TEST(RateLimiter, GivesABurstThenTheRate) {
    ManualClock clock;
    RateLimiter limiter(clock, {.burst = 3, .refill_per_second = 0.5});
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(limiter.take("a").allowed);
    }
    const auto refused = limiter.take("a");
    EXPECT_FALSE(refused.allowed);
    EXPECT_EQ(refused.retry_after, seconds(2));
    EXPECT_TRUE(limiter.take("b").allowed) << "keys do not share";
    clock.advance(milliseconds(1999));
    EXPECT_EQ(limiter.take("a").retry_after, milliseconds(1));
    clock.advance(milliseconds(1));
    EXPECT_TRUE(limiter.take("a").allowed);
    EXPECT_FALSE(limiter.take("a").allowed);
    clock.advance(std::chrono::hours(24));
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(limiter.take("a").allowed) << "no more than a bucket is saved up";
    }
    EXPECT_FALSE(limiter.take("a").allowed);
}

TEST(RateLimiter, RetryAfterIsExact) {
    SeededEntropy entropy(7);
    for (int round = 0; round < 500; ++round) {
        ManualClock clock;
        const Rate rate{.burst = static_cast<double>(entropy.below(20) + 1),
                        .refill_per_second = static_cast<double>(entropy.below(1000) + 1) /
                                             static_cast<double>(entropy.below(3600) + 1)};
        RateLimiter limiter(clock, rate);
        for (int i = 0; i < 60; ++i) {
            const auto verdict = limiter.take("k");
            if (verdict.allowed) {
                clock.advance(milliseconds(entropy.below(20)));
                continue;
            }
            ASSERT_GT(verdict.retry_after, milliseconds(0));
            clock.advance(verdict.retry_after - milliseconds(1));
            ASSERT_FALSE(limiter.peek("k").allowed) << rate.burst << ' ' << rate.refill_per_second;
            clock.advance(milliseconds(1));
            ASSERT_TRUE(limiter.peek("k").allowed) << rate.burst << ' ' << rate.refill_per_second;
        }
    }
}

TEST(RateLimiter, PeekTakesNothing) {
    const ManualClock clock;
    RateLimiter limiter(clock, {.burst = 1, .refill_per_second = 1});
    EXPECT_TRUE(limiter.peek("a").allowed);
    EXPECT_EQ(limiter.size(), 0U);
    EXPECT_TRUE(limiter.take("a").allowed);
    EXPECT_FALSE(limiter.peek("a").allowed);
    EXPECT_EQ(limiter.peek("a").retry_after, limiter.take("a").retry_after);
}

TEST(RateLimiter, CostsMayBeLargerThanOne) {
    ManualClock clock;
    RateLimiter limiter(clock, {.burst = 10, .refill_per_second = 1});
    EXPECT_TRUE(limiter.take("a", 8).allowed);
    EXPECT_EQ(limiter.take("a", 5).retry_after, seconds(3));
    EXPECT_TRUE(limiter.take("a", 2).allowed);
    EXPECT_EQ(limiter.take("a", 1000).retry_after, seconds(10)) << "at most a whole bucket";
    clock.advance(seconds(10));
    EXPECT_TRUE(limiter.take("a", 1000).allowed);
}

TEST(RateLimiter, ForgetsTheLeastRecentlyUsed) {
    const ManualClock clock;
    RateLimiter limiter(clock, {.burst = 1, .refill_per_second = 0.001}, 3);
    for (const char* key : {"a", "b", "c"}) {
        EXPECT_TRUE(limiter.take(key).allowed);
    }
    EXPECT_FALSE(limiter.take("a").allowed);  // now b is the oldest
    EXPECT_TRUE(limiter.take("d").allowed);
    EXPECT_EQ(limiter.size(), 3U);
    EXPECT_FALSE(limiter.peek("a").allowed);
    EXPECT_FALSE(limiter.peek("c").allowed);
    EXPECT_TRUE(limiter.peek("b").allowed) << "forgotten, so lenient";
}

TEST(RateLimiter, AFloodOfKeysStaysBoundedAndFullBucketsGo) {
    ManualClock clock;
    RateLimiter limiter(clock, {.burst = 2, .refill_per_second = 1}, 1000);
    for (int i = 0; i < 5000; ++i) {
        EXPECT_TRUE(limiter.take("key" + std::to_string(i)).allowed);
    }
    EXPECT_EQ(limiter.size(), 1000U);
    clock.advance(seconds(10));
    for (int i = 0; i < 600; ++i) {
        EXPECT_TRUE(limiter.take("one more").allowed || i > 1);
        EXPECT_TRUE(limiter.take("new" + std::to_string(i)).allowed);
    }
    EXPECT_LE(limiter.size(), 610U) << "buckets that are full again are dropped";
}

}  // namespace
}  // namespace nave::net
