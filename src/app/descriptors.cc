#include "app/descriptors.h"

#include <algorithm>
#include <sys/resource.h>

namespace nave::app {
namespace {

// Standard streams, the loop, the listener, generated files and a margin.
constexpr std::size_t kOfProcess = 64;
// An SQLite connection has up to three files open, a PostgreSQL connection one socket.
constexpr std::size_t kPerDatabaseConnection = 4;

}  // namespace

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024;  // what POSIX systems commonly start with
    }
    rlimit raised = limit;
    raised.rlim_cur = raised.rlim_max;
    if (raised.rlim_cur != limit.rlim_cur && ::setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        limit = raised;
    }
    return limit.rlim_cur;
}

std::size_t reserved_descriptors(const Settings& settings, std::size_t services) {
    const auto connections =
        static_cast<std::size_t>(settings.integer("NAVE_DATABASE_CONNECTIONS"));
    return kOfProcess + kPerDatabaseConnection * connections * services;
}

std::size_t connections_within(std::size_t limit, std::size_t wanted, std::size_t reserved) {
    const std::size_t free = std::max(limit - std::min(limit, reserved), limit / 2);
    return std::max<std::size_t>(1, std::min(wanted, free));
}

}  // namespace nave::app
