// Backoff: waits between attempts to reach a server, from 0.2 s doubling to 5 s. Each is drawn from
// the upper half of its range, so that many clients do not come back in the same moment.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <random>

namespace nave {

class Backoff {
  public:
    explicit Backoff(std::uint32_t seed) : random_(seed) {}

    [[nodiscard]] std::chrono::milliseconds next() {
        const std::int64_t whole = current_.count();
        current_ = std::min(2 * current_, kMax);
        std::uniform_int_distribution<std::int64_t> spread(whole / 2, whole);
        return std::chrono::milliseconds(spread(random_));
    }
    void reset() { current_ = kMin; }

  private:
    static constexpr std::chrono::milliseconds kMin{200};
    static constexpr std::chrono::milliseconds kMax{5'000};
    std::minstd_rand random_;
    std::chrono::milliseconds current_ = kMin;
};

}  // namespace nave
