#include "runtime/one_shot.h"

#include "runtime/task.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace nave {
namespace {

Task<void> take(std::shared_ptr<OneShot<std::string>> shot, std::string& into) {
    into = co_await shot->get();
}

void spawn(Loop& loop, Task<void> task) {
    boost::asio::co_spawn(loop.executor(), std::move(task), boost::asio::detached);
}

TEST(OneShot, TheTaskGoesOnWhenTheValueIsThere) {
    Loop loop;
    const auto shot = std::make_shared<OneShot<std::string>>(loop);
    std::string got;
    spawn(loop, take(shot, got));
    loop.poll();
    EXPECT_EQ(got, "");
    shot->set("the value");
    loop.poll();
    EXPECT_EQ(got, "the value");
}

TEST(OneShot, AValueThatIsThereAlreadyIsTakenAtOnce) {
    Loop loop;
    const auto shot = std::make_shared<OneShot<std::string>>(loop);
    shot->set("early");
    std::string got;
    spawn(loop, take(shot, got));
    loop.poll();
    EXPECT_EQ(got, "early");
}

}  // namespace
}  // namespace nave
