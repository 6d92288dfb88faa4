#include "prekeys/attempts.h"

#include "prekeys/errors.h"

namespace nave::prekeys {
namespace {

constexpr net::Rate kFailuresPerClient{.burst = 60, .refill_per_second = 1};

}  // namespace

Attempts::Attempts(const Clock& clock, const Limits& limits)
    : limiter_(clock, kFailuresPerClient), limits_(limits) {}

Result<Attempt> Attempts::begin(const std::string& client) {
    if (!limits_.enabled) {
        return Attempt(nullptr, {});
    }
    const auto verdict = limiter_.take(client);
    if (!verdict.allowed) {
        auto error = errors::rate_limited("Too many failed requests from this address.");
        error.error().retry_after = verdict.retry_after;
        return error;
    }
    return Attempt(&limiter_, client);
}

}  // namespace nave::prekeys
