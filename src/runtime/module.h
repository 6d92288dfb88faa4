// Module: one service as the runtime sees it. Services are made by a create() of their own with
// named dependencies (app/wire.cc); afterwards the runtime only starts and stops them.
#pragma once

#include "runtime/task.h"

#include <chrono>
#include <string_view>

namespace nave {

class Module {
  public:
    virtual ~Module() = default;
    [[nodiscard]] virtual std::string_view name() const = 0;
    // Spawns background work; called once, when storage is open and migrated.
    virtual void start() = 0;
    // Ends background work and open streams; the listener has already stopped. Modules stop in
    // reverse order of start, all under one deadline.
    virtual Task<void> stop(std::chrono::milliseconds deadline) = 0;
};

}  // namespace nave
