// Token buckets, keyed by text, bounded in number. Loop thread only.
#pragma once

#include "base/clock.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace nave::net {

struct Rate {
    double burst = 1;  // bucket size
    double refill_per_second = 1;
};

// "5/h", "60/min", "10/s", with optional burst "30/h:20" (default burst = count).
// nullopt when malformed or zero.
[[nodiscard]] std::optional<Rate> parse_rate(std::string_view text);

class RateLimiter {
  public:
    struct Verdict {
        bool allowed;
        std::chrono::milliseconds retry_after;  // until one token is there, when refused
    };
    // Beyond keys_max the least recently used bucket is forgotten (which can only be lenient to
    // it).
    RateLimiter(const Clock& clock, Rate rate, std::size_t keys_max = 100'000);
    ~RateLimiter();

    Verdict take(std::string_view key, double tokens = 1);
    // Returns tokens of a take() whose purpose came to nothing; a bucket that is full again is
    // forgotten, so that names made up by a client do not push real ones out.
    void give_back(std::string_view key, double tokens = 1);
    // As take, without taking.
    [[nodiscard]] Verdict peek(std::string_view key, double tokens = 1) const;
    [[nodiscard]] std::size_t size() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace nave::net
