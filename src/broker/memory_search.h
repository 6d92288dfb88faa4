// Full-text search over memories, the one thing that SQLite and PostgreSQL are asked for in
// different words: FTS5 with its Porter stemmer there, tsvector 'english' here. In both a query is
// plain words, all of which must occur in any form; common words ("the", "what") count for nothing.
// Large and small letters are the same, outside ASCII as far as PostgreSQL's locale knows them.
//
// PostgreSQL keeps its index by itself. That of SQLite is a table of its own, written here and not
// by triggers: with trusted_schema off (storage/sqlite/connection.cc) a trigger may not.
#pragma once

#include "base/result.h"
#include "storage/transaction.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace nave::broker {

// What $2 of search_sql() is for this query: never syntax, whatever the query holds. Empty when
// nothing in it can be searched for.
[[nodiscard]] std::string search_term(storage::Dialect dialect, std::string_view mesh_id,
                                      std::string_view query);
// Selects the columns of mesh_memory `m`, the best match first. $1 mesh, $2 term, $3 limit.
[[nodiscard]] std::string_view search_sql(storage::Dialect dialect);

// In the transaction that inserts or deletes row `seq` of mesh_memory.
[[nodiscard]] Result<void> add_words(storage::Transaction& tx, std::int64_t seq,
                                     const std::string& mesh_id, const std::string& content);
[[nodiscard]] Result<void> remove_words(storage::Transaction& tx, std::int64_t seq,
                                        const std::string& mesh_id, const std::string& content);
// For restored rows: everything anew.
[[nodiscard]] Result<void> rebuild_words(storage::Transaction& tx);

}  // namespace nave::broker
