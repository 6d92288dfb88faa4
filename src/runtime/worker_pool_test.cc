#include "runtime/worker_pool.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

#include <future>
#include <stdexcept>
#include <thread>

namespace nave {
namespace {

struct Seen {
    std::thread::id worker;
    int value = 0;
    std::string error;
    int finished = 0;
};

Task<void> compute(WorkerPool& pool, Seen& seen) {
    auto work = [&seen]() -> Result<int> {
        seen.worker = std::this_thread::get_id();
        return 42;
    };
    const Result<int> result = co_await pool.run(std::move(work));
    seen.value = result.value_or(-1);
    ++seen.finished;
}

Task<void> failing(WorkerPool& pool, Seen& seen) {
    auto work = []() -> Result<int> { throw std::runtime_error("boom"); };
    const Result<int> result = co_await pool.run(std::move(work));
    seen.error = result ? "" : result.error().id;
    ++seen.finished;
}

Task<void> waiting(WorkerPool& pool, Seen& seen, std::shared_future<void> gate) {
    auto work = [gate]() -> Result<int> {
        gate.wait();
        return 1;
    };
    const Result<int> result = co_await pool.run(std::move(work));
    if (!result) {
        seen.error = result.error().id;
    }
    ++seen.finished;
}

TEST(WorkerPool, RunsElsewhereAndResumesOnTheLoop) {
    Loop loop;
    WorkerPool pool(loop, 1, 8);
    Seen seen;
    boost::asio::co_spawn(loop.executor(), compute(pool, seen), boost::asio::detached);
    while (seen.finished == 0) {
        loop.context().restart();
        loop.context().run_one_for(std::chrono::milliseconds(100));
    }
    EXPECT_EQ(seen.value, 42);
    EXPECT_NE(seen.worker, std::this_thread::get_id());
}

TEST(WorkerPool, ThrowingWorkIsAnError) {
    Loop loop;
    WorkerPool pool(loop, 1, 8);
    Seen seen;
    boost::asio::co_spawn(loop.executor(), failing(pool, seen), boost::asio::detached);
    while (seen.finished == 0) {
        loop.context().restart();
        loop.context().run_one_for(std::chrono::milliseconds(100));
    }
    EXPECT_EQ(seen.error, "runtime.worker_failed");
}

TEST(WorkerPool, RefusesWhenFull) {
    Loop loop;
    WorkerPool pool(loop, 1, 1);
    std::promise<void> open;
    const std::shared_future<void> gate = open.get_future().share();
    Seen seen;
    boost::asio::co_spawn(loop.executor(), waiting(pool, seen, gate), boost::asio::detached);
    loop.poll();
    while (pool.queued() > 0) {
        std::this_thread::yield();
    }
    boost::asio::co_spawn(loop.executor(), waiting(pool, seen, gate), boost::asio::detached);
    boost::asio::co_spawn(loop.executor(), waiting(pool, seen, gate), boost::asio::detached);
    loop.poll();
    EXPECT_EQ(seen.finished, 1);
    EXPECT_EQ(seen.error, "runtime.busy");
    open.set_value();
    while (seen.finished < 3) {
        loop.context().restart();
        loop.context().run_one_for(std::chrono::milliseconds(100));
    }
}

}  // namespace
}  // namespace nave
