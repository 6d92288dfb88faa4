#include "runtime/step_history.h"

#include "base/json.h"

#include <gtest/gtest.h>

namespace nave {
namespace {

using namespace std::chrono_literals;

class StepHistoryTest : public testing::Test {
  protected:
    json::Object shown() {
        std::string out;
        history_.append_json(out);
        return json::parse(out).value().get_object();
    }
    // The newest values of a series, oldest first.
    std::vector<std::int64_t> newest(std::string_view name, std::size_t count) {
        const json::Object object = shown();
        const json::Array& all = object.at(name).get_array();
        EXPECT_EQ(all.size(), StepHistory::kSteps);
        std::vector<std::int64_t> values;
        for (std::size_t i = all.size() - count; i < all.size(); ++i) {
            values.push_back(all[i].get_int64());
        }
        return values;
    }
    using Values = std::vector<std::int64_t>;

    ManualClock clock_{1'700'000'000'000};
    StepHistory history_{clock_, {"asked", "given"}, {"stock"}};
};

TEST_F(StepHistoryTest, CountsAddUpAndGaugesReplace) {
    history_.add(0);
    history_.add(0, 4);
    history_.set(0, 7);
    history_.set(0, 6);
    clock_.advance(5s);
    history_.add(1, 2);
    EXPECT_EQ(newest("asked", 3), (Values{0, 5, 0}));
    EXPECT_EQ(newest("given", 3), (Values{0, 0, 2}));
    EXPECT_EQ(newest("stock", 3), (Values{-1, 6, -1}));
    EXPECT_EQ(shown().at("end").get_int64(), 1'700'000'010'000);
}

TEST_F(StepHistoryTest, WhatIsOlderThanHalfAnHourIsGone) {
    history_.add(0, 3);
    clock_.advance(30min - 5s);
    EXPECT_EQ(newest("asked", StepHistory::kSteps).front(), 3);
    clock_.advance(5s);
    EXPECT_EQ(newest("asked", StepHistory::kSteps), Values(StepHistory::kSteps, 0));
    history_.add(0, 1);  // takes the place of the oldest
    EXPECT_EQ(newest("asked", 2), (Values{0, 1}));
}

}  // namespace
}  // namespace nave
