// Runs one coroutine to its end on a loop of its own: how commands use the storage layer.
#pragma once

#include "base/result.h"
#include "runtime/loop.h"

#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <optional>

namespace nave::app {

template <class T>
Result<T> run_blocking(Loop& loop, Task<Result<T>> task) {
    std::optional<Result<T>> outcome;
    boost::asio::co_spawn(loop.executor(), std::move(task),
                          [&](std::exception_ptr thrown, Result<T> result) {
                              if (thrown) {
                                  std::rethrow_exception(thrown);
                              }
                              outcome.emplace(std::move(result));
                              loop.stop();
                          });
    loop.run();
    return std::move(*outcome);
}

}  // namespace nave::app
