// OneShot<T>: one value, handed from a callback on the loop to the task that waits for it. Kept by
// shared_ptr where the callback may outlive the task.
#pragma once

#include "runtime/loop.h"
#include "runtime/task.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <optional>
#include <utility>

namespace nave {

template <class T>
class OneShot {
  public:
    explicit OneShot(Loop& loop) : wait_(loop.executor(), Timer::time_point::max()) {}

    // At most once.
    void set(T value) {
        value_.emplace(std::move(value));
        wait_.cancel();
    }

    // By one task. Throws when the task is cancelled.
    Task<T> get() {
        if (!value_) {
            (void)co_await wait_.async_wait(
                boost::asio::as_tuple(boost::asio::use_awaitable_t<LoopExecutor>()));
        }
        if (!value_) {
            throw boost::system::system_error(boost::asio::error::operation_aborted);
        }
        co_return std::move(*value_);
    }

  private:
    using Timer =
        boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                          boost::asio::wait_traits<std::chrono::steady_clock>,
                                          LoopExecutor>;

    Timer wait_;
    std::optional<T> value_;
};

}  // namespace nave
