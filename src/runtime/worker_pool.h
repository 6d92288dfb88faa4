// WorkerPool: a few threads for work that would hold up the loop (signature checks, hashing in
// bulk). Bounded: when the queue is full, run() answers Code::unavailable at once.
#pragma once

#include "base/result.h"
#include "runtime/loop.h"
#include "runtime/task.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace nave {

class WorkerPool {
  public:
    WorkerPool(Loop& loop, std::size_t threads, std::size_t queue_max);
    ~WorkerPool();  // runs what is queued, then joins
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    // Runs `fn` (returning a Result) on a worker and resumes on the loop. `fn` captures values.
    // Error "runtime.busy" when the queue is full.
    template <class Fn>
    auto run(Fn fn) -> Task<std::invoke_result_t<Fn&>> {
        using R = std::invoke_result_t<Fn&>;
        // Shared, so that a cancelled caller leaves the worker something to write to.
        auto slot = std::make_shared<std::optional<R>>();
        std::move_only_function<void()> work = [slot, fn = std::move(fn)]() mutable {
            slot->emplace(fn());
        };
        Result<void> done = co_await execute(std::move(work));
        if (!done) {
            co_return std::unexpected(std::move(done).error());
        }
        co_return std::move(**slot);
    }

    [[nodiscard]] std::size_t queued() const;

  private:
    struct State;
    Task<Result<void>> execute(std::move_only_function<void()> work);
    std::shared_ptr<State> state_;
};

}  // namespace nave
