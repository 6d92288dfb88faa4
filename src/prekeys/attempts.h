// Attempts: how often a client address may fail. Whoever sends what has to be parsed or verified
// before it can be refused costs work and learns something (whether an address exists), so failures
// have a budget: 60, then one a second.
//
// An attempt is paid for before its work begins and given back unless it fails, so that a thousand
// begun at once are not all begun on the last token.
#pragma once

#include "base/result.h"
#include "net/rate_limit.h"
#include "prekeys/config.h"

#include <string>
#include <utility>

namespace nave::prekeys {

class Attempts;

class [[nodiscard]] Attempt {
  public:
    Attempt(Attempt&& from) noexcept
        : limiter_(std::exchange(from.limiter_, nullptr)), client_(std::move(from.client_)) {}
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    Attempt& operator=(Attempt&&) = delete;
    ~Attempt() {
        if (limiter_ != nullptr) {
            limiter_->give_back(client_);
        }
    }
    // The client is not given back what it paid.
    void failed() { limiter_ = nullptr; }

  private:
    friend class Attempts;
    Attempt(net::RateLimiter* limiter, std::string client)
        : limiter_(limiter), client_(std::move(client)) {}

    net::RateLimiter* limiter_;
    std::string client_;
};

// Loop thread only; outlives its attempts.
class Attempts {
  public:
    Attempts(const Clock& clock, const Limits& limits);

    // Error SHADE_RATE_LIMITED.
    [[nodiscard]] Result<Attempt> begin(const std::string& client);

  private:
    net::RateLimiter limiter_;
    const Limits& limits_;
};

}  // namespace nave::prekeys
