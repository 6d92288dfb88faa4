// SQLSTATE codes as storage errors.
#pragma once

#include "storage/errors.h"

#include <string>
#include <string_view>

namespace nave::storage::postgres {

// https://www.postgresql.org/docs/15/errcodes-appendix.html
namespace sqlstate {
inline constexpr std::string_view kSerializationFailure = "40001";
inline constexpr std::string_view kDeadlockDetected = "40P01";
inline constexpr std::string_view kQueryCanceled = "57014";
inline constexpr std::string_view kFeatureNotSupported = "0A000";
inline constexpr std::string_view kInvalidStatementName = "26000";
}  // namespace sqlstate

[[nodiscard]] Failure failure(std::string_view state, std::string detail,
                              std::source_location where = std::source_location::current());

// The same closure may succeed when run again.
[[nodiscard]] bool is_transient(std::string_view state);
// Prepared statements no longer fit the schema, or are gone: prepare them anew, then run again.
// 0A000 also stands for other things, so one such retry is all that makes sense.
[[nodiscard]] bool is_stale_statement(std::string_view state);
// The server ends the connection (shut-down, crash of another process, start-up).
[[nodiscard]] bool ends_connection(std::string_view state);

}  // namespace nave::storage::postgres
