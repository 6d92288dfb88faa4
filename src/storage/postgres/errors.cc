#include "storage/postgres/errors.h"

#include <algorithm>
#include <array>
#include <utility>

namespace nave::storage::postgres {

Failure failure(std::string_view state, std::string detail, std::source_location where) {
    if (state.starts_with("23")) {
        return conflict(std::move(detail), where);
    }
    if (state == sqlstate::kQueryCanceled) {
        return timed_out(std::move(detail), where);
    }
    return failed(std::move(detail), where);
}

bool is_transient(std::string_view state) {
    return state == sqlstate::kSerializationFailure || state == sqlstate::kDeadlockDetected;
}

bool is_stale_statement(std::string_view state) {
    return state == sqlstate::kFeatureNotSupported || state == sqlstate::kInvalidStatementName;
}

bool ends_connection(std::string_view state) {
    constexpr std::array<std::string_view, 5> kEnds{
        "57P01",  // admin_shutdown
        "57P02",  // crash_shutdown
        "57P03",  // cannot_connect_now
        "57P05",  // idle_session_timeout
        "25P03",  // idle_in_transaction_session_timeout
    };
    return state.starts_with("08") || std::ranges::find(kEnds, state) != kEnds.end();
}

}  // namespace nave::storage::postgres
