// Time as a dependency: services take a Clock, so tests decide what time it is.
#pragma once

#include <chrono>
#include <cstdint>

namespace nave {

// Milliseconds since the Unix epoch; what the wire and the tables carry.
using UnixMillis = std::int64_t;
using SteadyTime = std::chrono::steady_clock::time_point;

class Clock {
  public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual UnixMillis now() const = 0;     // wall time, may step
    [[nodiscard]] virtual SteadyTime steady() const = 0;  // never goes back
};

class SystemClock final : public Clock {
  public:
    [[nodiscard]] UnixMillis now() const override {
        return std::chrono::duration_cast<std::chrono::milliseconds>(
                   std::chrono::system_clock::now().time_since_epoch())
            .count();
    }
    [[nodiscard]] SteadyTime steady() const override { return std::chrono::steady_clock::now(); }
};

// A clock that moves only when told to.
class ManualClock final : public Clock {
  public:
    explicit ManualClock(UnixMillis start = 1'700'000'000'000) : now_(start) {}
    [[nodiscard]] UnixMillis now() const override { return now_; }
    [[nodiscard]] SteadyTime steady() const override { return steady_; }
    void advance(std::chrono::milliseconds by) {
        now_ += by.count();
        steady_ += by;
    }

  private:
    UnixMillis now_;
    SteadyTime steady_{};
};

}  // namespace nave
