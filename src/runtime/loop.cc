#include "runtime/loop.h"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace nave {

// Hint 1: one thread runs the loop; posting from workers stays safe.
Loop::Loop() : context_(1) {}
Loop::~Loop() = default;

void Loop::run() {
    context_.restart();
    context_.run();
}

void Loop::poll() {
    context_.restart();
    context_.poll();
}

void Loop::stop() {
    context_.stop();
}

void Loop::post(std::move_only_function<void()> fn) {
    boost::asio::post(context_, std::move(fn));
}

bool Loop::on_loop_thread() const {
    return const_cast<boost::asio::io_context&>(context_).get_executor().running_in_this_thread();
}

Task<void> Loop::sleep(std::chrono::milliseconds wait) {
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>,
                                      LoopExecutor>
        timer(context_.get_executor(), wait);
    co_await timer.async_wait(boost::asio::use_awaitable_t<LoopExecutor>());
}

}  // namespace nave
