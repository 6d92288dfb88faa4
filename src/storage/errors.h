// The errors both stores report; ids and meanings are listed in database.h. `detail` goes to the
// log only and never holds parameters or passwords.
#pragma once

#include "base/result.h"

#include <string>

namespace nave::storage {

using Failure = std::unexpected<Error>;

// SQL error, damaged file, full disk, exception in a closure: not the caller's fault.
[[nodiscard]] Failure failed(std::string detail,
                             std::source_location where = std::source_location::current());
// Uniqueness, foreign key, NOT NULL or CHECK.
[[nodiscard]] Failure conflict(std::string detail,
                               std::source_location where = std::source_location::current());
[[nodiscard]] Failure timed_out(std::string detail,
                                std::source_location where = std::source_location::current());
[[nodiscard]] Failure busy(std::string detail,
                           std::source_location where = std::source_location::current());
[[nodiscard]] Failure unreachable(std::string message, std::string detail,
                                  std::source_location where = std::source_location::current());

}  // namespace nave::storage
