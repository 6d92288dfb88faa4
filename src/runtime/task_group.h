// TaskGroup: owns background coroutines, so that none is detached. Each task has a name for the
// log; an exception that leaves a task is logged and counted, and ends that task only.
#pragma once

#include "runtime/loop.h"
#include "runtime/task.h"

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

namespace nave {

class Logger;

class TaskGroup {
  public:
    TaskGroup(Loop& loop, Logger& logger);
    ~TaskGroup();  // every task must have ended: stop() was awaited
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    void spawn(std::string name, Task<void> task);
    [[nodiscard]] std::size_t running() const;

    // Cancels every task and waits until all have ended. False when some had not after `deadline`;
    // they are named in the log.
    Task<bool> stop(std::chrono::milliseconds deadline);

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace nave
