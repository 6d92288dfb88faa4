// What backup and restore need to know about a table, and how rows are fingerprinted.
#pragma once

#include "base/result.h"
#include "crypto/hash.h"
#include "storage/transaction.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nave::storage {

// A column that the database numbers itself, and the highest number it has given out.
struct Sequence {
    std::string column;
    std::optional<std::int64_t> last;
};

struct TableShape {
    std::string name;
    std::vector<std::string> columns;  // those that are stored, in table order
    std::vector<Sequence> sequences;

    // "a", "b"
    [[nodiscard]] std::string column_list() const;
};

// "storage.backup_mismatch" when there is no such table.
[[nodiscard]] Result<TableShape> read_shape(Transaction& tx, const std::string& table);
// Makes the database number later rows above `last`, above the rows that are there, and above what
// it gave out before: numbers never go back.
[[nodiscard]] Result<void> advance_sequence(Transaction& tx, const std::string& table,
                                            const Sequence& sequence, std::int64_t last);

// An identifier for SQL text, from a name that may hold anything.
[[nodiscard]] std::string identifier(std::string_view name);

// SHA-256 over the rows of one table in the order they are added.
class RowDigest {
  public:
    void add(const Row& row);
    [[nodiscard]] std::string finish();

  private:
    crypto::Sha256 hash_;
    Bytes buffer_;
};

// The row's cells as parameters; they borrow from it.
[[nodiscard]] std::vector<Param> as_params(const Row& row);

}  // namespace nave::storage
