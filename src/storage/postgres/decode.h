// Rows of a binary libpq result.
#pragma once

#include "base/result.h"
#include "storage/transaction.h"

#include <libpq-fe.h>

namespace nave::storage::postgres {

// Integers of 2, 4 and 8 bytes and booleans become integers; text, varchar, char and name text;
// bytea bytes. Any other type is an error that names the column: cast it in the SQL.
[[nodiscard]] Result<Row> decode_row(const PGresult* result, int row);
// Rows changed by a statement; 0 for those that change none.
[[nodiscard]] std::int64_t changed_rows(PGresult* result);

}  // namespace nave::storage::postgres
