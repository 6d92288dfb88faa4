// Task<T>: the coroutine type of everything that runs on the event loop. Asio's awaitable with the
// loop's concrete executor, which is cheaper than the type-erased default.
//
// Rules (docs/adr/0002): parameters by value or by reference to something that outlives the task
// by construction; no capturing coroutine lambdas; no co_await inside ?:; name braced temporaries
// on the line before. After a cancelled wait the next co_await throws, so clean-up is RAII.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

namespace nave {

using LoopExecutor = boost::asio::io_context::executor_type;

template <class T = void>
using Task = boost::asio::awaitable<T, LoopExecutor>;

}  // namespace nave
