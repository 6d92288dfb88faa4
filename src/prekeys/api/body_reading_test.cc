#include "prekeys/api/body_reading.h"

#include "prekeys/test_directory.h"

#include <gtest/gtest.h>

#include <thread>

namespace nave::prekeys::api {
namespace {

class BodyReading : public DirectoryTest {};

TEST_F(BodyReading, LargeBodiesLeaveTheLoop) {
    const auto thread_of = [&](std::size_t bytes) {
        auto read = []() -> Result<std::thread::id> { return std::this_thread::get_id(); };
        return run(read_sized(*workers_, bytes, std::move(read))).value();
    };
    EXPECT_EQ(thread_of(kReadOnLoopMax), std::this_thread::get_id());
    EXPECT_NE(thread_of(kReadOnLoopMax + 1), std::this_thread::get_id());
}

}  // namespace
}  // namespace nave::prekeys::api
