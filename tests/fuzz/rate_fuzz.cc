// Rate settings: what parses is a rate that lets somebody in.
#include "net/rate_limit.h"

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nave;
    const auto rate = net::parse_rate({reinterpret_cast<const char*>(data), size});
    if (!rate) {
        return 0;
    }
    const bool sane = std::isfinite(rate->burst) && rate->burst >= 1 &&
                      std::isfinite(rate->refill_per_second) && rate->refill_per_second > 0;
    if (!sane) {
        std::abort();
    }
    ManualClock clock;
    net::RateLimiter limiter(clock, *rate, 4);
    if (!limiter.take("k", rate->burst).allowed) {
        std::abort();
    }
    const auto refused = limiter.take("k");
    if (!refused.allowed) {
        clock.advance(refused.retry_after);
        if (!limiter.take("k").allowed) {
            std::abort();
        }
    }
    return 0;
}
