#include "base/entropy.h"

#include "base/check.h"

#include <algorithm>
#include <array>
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

namespace {

void ask_system(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t got = ::getrandom(out.data() + done, out.size() - done, 0);
        CHECK(got > 0 || errno == EINTR, "getrandom failed");
        if (got > 0) {
            done += static_cast<std::size_t>(got);
        }
    }
}

// What has been handed out is wiped at once.
struct Reserve {
    std::array<std::uint8_t, 512> bytes;
    std::size_t used = sizeof bytes;

    void take(std::span<std::uint8_t> out) {
        if (bytes.size() - used < out.size()) {
            ask_system(bytes);
            used = 0;
        }
        std::memcpy(out.data(), bytes.data() + used, out.size());
        ::explicit_bzero(bytes.data() + used, out.size());
        used += out.size();
    }
};

}  // namespace

void SystemEntropy::fill(std::span<std::uint8_t> out) {
    thread_local Reserve reserve;
    constexpr std::size_t kFew = 64;
    if (out.empty() || out.size() > kFew) {
        ask_system(out);
    } else {
        reserve.take(out);
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
