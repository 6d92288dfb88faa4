// Descriptors: how many files and sockets this process may have open, and how many connections that
// allows. Clients must never use up what databases, logs and checkpoints need: a server that cannot
// open a file fails in the middle of its work, one that is full refuses at the door.
#pragma once

#include "runtime/settings.h"

#include <cstddef>

namespace nave::app {

// Raises the soft limit (RLIMIT_NOFILE) to the hard one, as far as the kernel lets it; the limit.
std::size_t raise_descriptor_limit();

// Needed beside client connections by a process with these settings and so many services.
[[nodiscard]] std::size_t reserved_descriptors(const Settings& settings, std::size_t services);

// How many of `wanted` connections fit when `reserved` descriptors stay free; at least one, and
// never less than half of a limit that is smaller than the reserve asks for.
[[nodiscard]] std::size_t connections_within(std::size_t limit, std::size_t wanted,
                                             std::size_t reserved);

}  // namespace nave::app
