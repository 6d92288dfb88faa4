#include "net/rate_limit.h"

#include "base/check.h"
#include "base/text.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <list>
#include <string>
#include <unordered_map>

namespace nave::net {
namespace {

// Tokens are doubles: this absorbs their rounding, so that a client that waits exactly as long as
// it was told is let in.
constexpr double kRounding = 1e-9;
constexpr std::int64_t kCountMax = 1'000'000'000;

std::optional<double> parse_count(std::string_view text) {
    if (text.empty() || text.front() < '0' || text.front() > '9') {
        return std::nullopt;
    }
    const auto count = parse_int(text);
    if (!count || *count <= 0 || *count > kCountMax) {
        return std::nullopt;
    }
    return static_cast<double>(*count);
}

std::optional<double> unit_seconds(std::string_view unit) {
    if (unit == "s") {
        return 1.0;
    }
    if (unit == "min") {
        return 60.0;
    }
    if (unit == "h") {
        return 3600.0;
    }
    return std::nullopt;
}

}  // namespace

std::optional<Rate> parse_rate(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) {
        return std::nullopt;
    }
    const auto count = parse_count(text.substr(0, slash));
    const std::string_view rest = text.substr(slash + 1);
    const auto colon = rest.find(':');
    const auto seconds = unit_seconds(rest.substr(0, colon));
    if (!count || !seconds) {
        return std::nullopt;
    }
    Rate rate{.burst = *count, .refill_per_second = *count / *seconds};
    if (colon != std::string_view::npos) {
        const auto burst = parse_count(rest.substr(colon + 1));
        if (!burst) {
            return std::nullopt;
        }
        rate.burst = *burst;
    }
    return rate;
}

struct RateLimiter::State {
    struct Bucket {
        std::string key;
        double tokens;
        SteadyTime as_of;
    };

    const Clock& clock;
    Rate rate;
    std::size_t keys_max;
    std::list<Bucket> by_use;  // most recent first
    std::unordered_map<std::string_view, std::list<Bucket>::iterator> by_key;

    State(const Clock& clock_in, Rate rate_in, std::size_t keys_max_in)
        : clock(clock_in), rate(rate_in), keys_max(keys_max_in) {}

    [[nodiscard]] double tokens_at(const Bucket& bucket, SteadyTime now) const {
        const double seconds = std::chrono::duration<double>(now - bucket.as_of).count();
        return std::min(rate.burst, bucket.tokens + seconds * rate.refill_per_second);
    }

    // More than a whole bucket can never be there, so it costs a whole bucket.
    [[nodiscard]] double cost(double tokens) const { return std::min(tokens, rate.burst); }

    [[nodiscard]] Verdict verdict(double available, double wanted) const {
        if (available + kRounding >= wanted) {
            return {.allowed = true, .retry_after = std::chrono::milliseconds{0}};
        }
        const double millis = (wanted - available) / rate.refill_per_second * 1000.0;
        const double whole = std::max(1.0, std::ceil(millis - kRounding * 1000.0));
        return {.allowed = false,
                .retry_after = std::chrono::milliseconds(static_cast<std::int64_t>(whole))};
    }

    void forget_last() {
        by_key.erase(by_use.back().key);
        by_use.pop_back();
    }

    Bucket& bucket_of(std::string_view key, SteadyTime now) {
        if (const auto found = by_key.find(key); found != by_key.end()) {
            by_use.splice(by_use.begin(), by_use, found->second);
            return by_use.front();
        }
        // A bucket that is full again says nothing, so the longest unused ones go for free.
        for (int i = 0; i < 2 && !by_use.empty() && tokens_at(by_use.back(), now) >= rate.burst;
             ++i) {
            forget_last();
        }
        if (by_use.size() >= keys_max) {
            forget_last();
        }
        by_use.push_front({.key = std::string(key), .tokens = rate.burst, .as_of = now});
        by_key.emplace(by_use.front().key, by_use.begin());
        return by_use.front();
    }
};

RateLimiter::RateLimiter(const Clock& clock, Rate rate, std::size_t keys_max)
    : state_(std::make_unique<State>(clock, rate, keys_max)) {
    CHECK(rate.burst > 0 && rate.refill_per_second > 0, "a rate of zero never lets anyone in");
    CHECK(keys_max > 0, "a limiter must remember someone");
}

RateLimiter::~RateLimiter() = default;

RateLimiter::Verdict RateLimiter::take(std::string_view key, double tokens) {
    const SteadyTime now = state_->clock.steady();
    State::Bucket& bucket = state_->bucket_of(key, now);
    bucket.tokens = state_->tokens_at(bucket, now);
    bucket.as_of = now;
    const double wanted = state_->cost(tokens);
    const Verdict verdict = state_->verdict(bucket.tokens, wanted);
    if (verdict.allowed) {
        bucket.tokens = std::max(0.0, bucket.tokens - wanted);
    }
    return verdict;
}

void RateLimiter::give_back(std::string_view key, double tokens) {
    const auto found = state_->by_key.find(key);
    if (found == state_->by_key.end()) {
        return;
    }
    const auto entry = found->second;
    const SteadyTime now = state_->clock.steady();
    entry->tokens = state_->tokens_at(*entry, now) + state_->cost(tokens);
    entry->as_of = now;
    if (entry->tokens + kRounding >= state_->rate.burst) {
        state_->by_key.erase(found);
        state_->by_use.erase(entry);
    }
}

RateLimiter::Verdict RateLimiter::peek(std::string_view key, double tokens) const {
    const auto found = state_->by_key.find(key);
    const double available = found == state_->by_key.end()
                                 ? state_->rate.burst
                                 : state_->tokens_at(*found->second, state_->clock.steady());
    return state_->verdict(available, state_->cost(tokens));
}

std::size_t RateLimiter::size() const {
    return state_->by_use.size();
}

}  // namespace nave::net
