#include "base/result.h"

#include <gtest/gtest.h>

namespace nave {
namespace {

Result<int> half(int n) {
    if (n % 2 != 0) {
        return fail(Code::invalid, "test.odd", "The number is odd.", "private");
    }
    return n / 2;
}

Result<int> quarter(int n) {
    TRY(const int once, half(n));
    TRY(const int twice, half(once));
    return twice;
}

Result<void> only_even(int n) {
    TRY_VOID(half(n));
    return ok();
}

TEST(Result, TryPassesTheErrorOn) {
    EXPECT_EQ(*quarter(8), 2);
    const auto failed = quarter(6);
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().id, "test.odd");
    EXPECT_EQ(failed.error().code, Code::invalid);
    EXPECT_EQ(failed.error().detail, "private");
    EXPECT_TRUE(only_even(2).has_value());
    EXPECT_FALSE(only_even(3).has_value());
}

}  // namespace
}  // namespace nave
