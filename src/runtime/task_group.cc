#include "runtime/task_group.h"

#include "base/check.h"
#include "runtime/log.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <list>

namespace nave {

struct TaskGroup::State {
    struct Entry {
        std::string name;
        boost::asio::cancellation_signal cancel;
    };
    Loop& loop;
    Logger& logger;
    std::list<Entry> entries;
    bool stopping = false;

    State(Loop& loop_in, Logger& logger_in) : loop(loop_in), logger(logger_in) {}

    void ended(std::list<Entry>::iterator entry, const std::exception_ptr& thrown) {
        if (thrown && !stopping) {
            try {
                std::rethrow_exception(thrown);
            } catch (const std::exception& e) {
                logger.error("task failed", {{"task", entry->name}, {"error", e.what()}});
            }
        }
        entries.erase(entry);
    }
};

TaskGroup::TaskGroup(Loop& loop, Logger& logger) : state_(std::make_shared<State>(loop, logger)) {}

TaskGroup::~TaskGroup() = default;

void TaskGroup::spawn(std::string name, Task<void> task) {
    CHECK(!state_->stopping, "spawn after stop");
    state_->entries.emplace_back();
    const auto entry = std::prev(state_->entries.end());
    entry->name = std::move(name);
    boost::asio::co_spawn(
        state_->loop.executor(), std::move(task),
        boost::asio::bind_cancellation_slot(
            entry->cancel.slot(),
            [state = state_, entry](std::exception_ptr thrown) { state->ended(entry, thrown); }));
}

std::size_t TaskGroup::running() const {
    return state_->entries.size();
}

Task<bool> TaskGroup::stop(std::chrono::milliseconds deadline) {
    constexpr std::chrono::milliseconds kStep{2};
    const auto state = state_;
    state->stopping = true;
    // A task that ends removes its entry, so step past it before the signal.
    for (auto entry = state->entries.begin(); entry != state->entries.end();) {
        const auto current = entry++;
        current->cancel.emit(boost::asio::cancellation_type::terminal);
    }
    for (auto waited = std::chrono::milliseconds{0}; !state->entries.empty() && waited < deadline;
         waited += kStep) {
        co_await state->loop.sleep(kStep);
    }
    for (const auto& entry : state->entries) {
        state->logger.warn("task did not end in time", {{"task", entry.name}});
    }
    co_return state->entries.empty();
}

}  // namespace nave
