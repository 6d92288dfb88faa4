#include "runtime/task_group.h"

#include "runtime/log.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace nave {
namespace {

using namespace std::chrono_literals;

struct Captured final : LogSink {
    std::vector<std::string> lines;
    void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
};

struct Cleanup {
    bool* flag;
    ~Cleanup() { *flag = true; }
};

Task<void> sleeper(Loop& loop, bool* cleaned) {
    const Cleanup cleanup{cleaned};
    co_await loop.sleep(1h);
}

Task<void> thrower() {
    throw std::runtime_error("boom");
    co_return;
}

Task<void> stop_group(TaskGroup& group, bool* all_ended) {
    *all_ended = co_await group.stop(1s);
}

class TaskGroupTest : public testing::Test {
  protected:
    Loop loop;
    std::shared_ptr<Captured> sink = std::make_shared<Captured>();
    Logger log{"test", LogLevel::debug, LogFormat::json, sink};
};

TEST_F(TaskGroupTest, StopCancelsAndRunsCleanUp) {
    TaskGroup group(loop, log);
    bool cleaned = false;
    group.spawn("sleeper", sleeper(loop, &cleaned));
    loop.poll();
    EXPECT_EQ(group.running(), 1U);
    bool all_ended = false;
    boost::asio::co_spawn(loop.executor(), stop_group(group, &all_ended), boost::asio::detached);
    loop.run();
    EXPECT_TRUE(all_ended);
    EXPECT_TRUE(cleaned);
    EXPECT_EQ(group.running(), 0U);
    EXPECT_TRUE(sink->lines.empty()) << sink->lines[0];
}

TEST_F(TaskGroupTest, AThrowingTaskIsLoggedAndEndsAlone) {
    TaskGroup group(loop, log);
    bool cleaned = false;
    group.spawn("other", sleeper(loop, &cleaned));
    group.spawn("bad", thrower());
    loop.poll();
    EXPECT_EQ(group.running(), 1U);
    ASSERT_EQ(sink->lines.size(), 1U);
    EXPECT_THAT(sink->lines[0], testing::HasSubstr("\"task\":\"bad\",\"error\":\"boom\""));
    bool all_ended = false;
    boost::asio::co_spawn(loop.executor(), stop_group(group, &all_ended), boost::asio::detached);
    loop.run();
    EXPECT_TRUE(all_ended);
}

}  // namespace
}  // namespace nave
