// CHECK: an invariant of our own code; always on, prints where and aborts. Never used on anything
// that came from the network, a file or the environment: those are Result errors.
#pragma once

namespace nave::detail {
[[noreturn]] void check_failed(const char* expression, const char* file, int line,
                               const char* why) noexcept;
}

#define CHECK(expression, why)                                                    \
    do {                                                                          \
        if (!(expression)) [[unlikely]] {                                         \
            ::nave::detail::check_failed(#expression, __FILE__, __LINE__, (why)); \
        }                                                                         \
    } while (false)

#ifdef NDEBUG
#define DCHECK(expression, why) \
    do {                        \
    } while (false)
#else
#define DCHECK(expression, why) CHECK(expression, why)
#endif
