#include "runtime/worker_pool.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace nave {

struct WorkerPool::State {
    using Work = std::move_only_function<void()>;

    Loop& loop;
    std::size_t queue_max;
    mutable std::mutex mutex;
    std::condition_variable wake;
    std::deque<Work> queue;
    bool closing = false;
    std::vector<std::thread> threads;

    State(Loop& loop_in, std::size_t queue_max_in) : loop(loop_in), queue_max(queue_max_in) {}

    void work() {
        for (;;) {
            Work next;
            {
                std::unique_lock lock(mutex);
                wake.wait(lock, [this] { return closing || !queue.empty(); });
                if (queue.empty()) {
                    return;
                }
                next = std::move(queue.front());
                queue.pop_front();
            }
            next();
        }
    }

    bool push(Work work) {
        {
            const std::lock_guard lock(mutex);
            if (closing || queue.size() >= queue_max) {
                return false;
            }
            queue.push_back(std::move(work));
        }
        wake.notify_one();
        return true;
    }
};

WorkerPool::WorkerPool(Loop& loop, std::size_t threads, std::size_t queue_max)
    : state_(std::make_shared<State>(loop, queue_max)) {
    for (std::size_t i = 0; i < threads; ++i) {
        state_->threads.emplace_back([state = state_.get()] { state->work(); });
    }
}

WorkerPool::~WorkerPool() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->closing = true;
    }
    state_->wake.notify_all();
    for (std::thread& thread : state_->threads) {
        thread.join();
    }
}

std::size_t WorkerPool::queued() const {
    const std::lock_guard lock(state_->mutex);
    return state_->queue.size();
}

Task<Result<void>> WorkerPool::execute(std::move_only_function<void()> work) {
    using Token = boost::asio::use_awaitable_t<LoopExecutor>;
    const auto state = state_;
    co_return co_await boost::asio::async_initiate<const Token, void(Result<void>)>(
        [](auto handler, std::shared_ptr<State> pool, std::move_only_function<void()> job) {
            // The handler must be copyable nowhere but movable into a thread and back.
            auto done = std::make_shared<decltype(handler)>(std::move(handler));
            const bool queued = pool->push([pool, done, job = std::move(job)]() mutable {
                Result<void> outcome = ok();
                try {
                    job();
                } catch (const std::exception& e) {
                    outcome = fail(Code::internal, "runtime.worker_failed",
                                   "The server failed to handle the request.", e.what());
                }
                pool->loop.post([done = std::move(done), outcome = std::move(outcome)]() mutable {
                    std::move (*done)(std::move(outcome));
                });
            });
            if (!queued) {
                pool->loop.post([done = std::move(done)]() mutable {
                    std::move (*done)(Result<void>(fail(Code::unavailable, "runtime.busy",
                                                        "The server is too busy right now.")));
                });
            }
        },
        Token(), state, std::move(work));
}

}  // namespace nave
