// SQLite result codes as storage errors.
#pragma once

#include "storage/errors.h"

#include <sqlite3.h>

#include <string_view>

namespace nave::storage::sqlite {

// For the code that the last call on `db` returned; `doing` is the SQL or a step's name.
[[nodiscard]] Failure failure(sqlite3* db, int code, std::string_view doing,
                              std::source_location where = std::source_location::current());

// The file, its disk or another process is at fault, not the statement: tell an operator.
[[nodiscard]] bool is_trouble(const Error& error);

}  // namespace nave::storage::sqlite
