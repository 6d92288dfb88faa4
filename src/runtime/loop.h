// Loop: the single event loop thread that owns all service state.
//
// Everything but post() and stop() is called on the loop thread. Worker threads hand results back
// with post(); nothing else crosses threads, which is why services hold no locks.
#pragma once

#include "runtime/task.h"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <functional>
#include <memory>

namespace nave {

class Loop {
  public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // Runs on the calling thread until stop() or until no work is left.
    void run();
    // Runs what is ready without blocking; for tests.
    void poll();
    // Any thread; run() returns after the handler it is in.
    void stop();
    // Any thread; `fn` runs on the loop thread, after this call returns.
    void post(std::move_only_function<void()> fn);

    [[nodiscard]] bool on_loop_thread() const;
    [[nodiscard]] boost::asio::io_context& context() { return context_; }
    [[nodiscard]] LoopExecutor executor() { return context_.get_executor(); }

    // Resumes on the loop after `wait` of steady time, or throws when the task is cancelled.
    Task<void> sleep(std::chrono::milliseconds wait);

  private:
    boost::asio::io_context context_;
};

}  // namespace nave
