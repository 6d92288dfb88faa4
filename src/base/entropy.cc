#include "base/entropy.h"

#include "base/check.h"

#include <cerrno>
#include <cstring>
#include <sys/random.h>

namespace nave {

std::uint64_t Entropy::below(std::uint64_t bound) {
    CHECK(bound > 0, "empty range");
    // Rejection sampling: drop the values of the last, incomplete run of `bound`.
    const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    std::uint64_t value = 0;
    do {
        std::uint8_t raw[sizeof value];
        fill(raw);
        std::memcpy(&value, raw, sizeof value);
    } while (value >= limit);
    return value % bound;
}

void SystemEntropy::fill(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t got = ::getrandom(out.data() + done, out.size() - done, 0);
        CHECK(got > 0 || errno == EINTR, "getrandom failed");
        if (got > 0) {
            done += static_cast<std::size_t>(got);
        }
    }
}

void SeededEntropy::fill(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        z ^= z >> 31;
        const std::size_t n = std::min(sizeof z, out.size() - done);
        std::memcpy(out.data() + done, &z, n);
        done += n;
    }
}

}  // namespace nave
