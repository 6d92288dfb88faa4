#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace nave::detail {

void check_failed(const char* expression, const char* file, int line, const char* why) noexcept {
    std::fprintf(stderr,
                 "{\"level\":\"fatal\",\"msg\":\"check "
                 "failed\",\"at\":\"%s:%d\",\"expression\":\"%s\",\"why\":\"%s\"}\n",
                 file, line, expression, why);
    std::abort();
}

}  // namespace nave::detail
