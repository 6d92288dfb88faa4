// Transaction: what a storage closure works with. Synchronous, on a worker thread, valid only
// during the closure.
//
// SQL is one text for SQLite and PostgreSQL: `$1` parameters, RETURNING, ON CONFLICT, CTEs. Columns
// use the types both share: BIGINT (integers, times in ms, booleans as 0/1), TEXT, BLOB/BYTEA.
// A computed value of another type (numeric from sum(), real from avg()) is cast to BIGINT in SQL.
// Prepared statements are cached by the address of the text, so string literals are fastest; any
// other text works and is only prepared more often.
//
// A failed statement dooms the transaction: later statements return the same error and nothing is
// committed, whatever the closure returns. (PostgreSQL works so; SQLite is held to it.) Expected
// conflicts are therefore written as ON CONFLICT, not as errors to recover from.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nave::storage {

enum class Dialect : std::uint8_t { sqlite, postgres };

// The few places where the two differ inside otherwise shared SQL.
[[nodiscard]] std::string_view for_update_skip_locked(Dialect dialect);

// A bound parameter. Text and bytes are borrowed: they must outlive the call they are passed to.
class Param {
  public:
    enum class Kind : std::uint8_t { null, integer, text, bytes };
    Param(std::nullptr_t) : kind_(Kind::null) {}                          // NOLINT
    Param(std::int64_t value) : kind_(Kind::integer), integer_(value) {}  // NOLINT
    Param(int value) : kind_(Kind::integer), integer_(value) {}           // NOLINT
    Param(std::string_view value) : kind_(Kind::text), text_(value) {}    // NOLINT
    Param(const std::string& value) : kind_(Kind::text), text_(value) {}  // NOLINT
    Param(const char* value) : kind_(Kind::text), text_(value) {}         // NOLINT
    Param(ByteView value) : kind_(Kind::bytes), bytes_(value) {}          // NOLINT
    Param(const Bytes& value) : kind_(Kind::bytes), bytes_(value) {}      // NOLINT
    Param(const std::optional<std::int64_t>& value)                       // NOLINT
        : kind_(value ? Kind::integer : Kind::null), integer_(value.value_or(0)) {}
    Param(const std::optional<Bytes>& value)  // NOLINT
        : kind_(value ? Kind::bytes : Kind::null), bytes_(value ? ByteView(*value) : ByteView()) {}

    [[nodiscard]] Kind kind() const { return kind_; }
    [[nodiscard]] std::int64_t integer() const { return integer_; }
    [[nodiscard]] std::string_view text() const { return text_; }
    [[nodiscard]] ByteView bytes() const { return bytes_; }

  private:
    Kind kind_;
    std::int64_t integer_ = 0;
    std::string_view text_;
    ByteView bytes_;
};

// One cell of a result, owned.
using Cell = std::variant<std::nullptr_t, std::int64_t, std::string, Bytes>;

class Row {
  public:
    explicit Row(std::vector<Cell> cells) : cells_(std::move(cells)) {}
    [[nodiscard]] std::size_t size() const { return cells_.size(); }
    [[nodiscard]] bool is_null(std::size_t column) const;
    // Wrong type or column is a bug in our SQL: CHECK.
    [[nodiscard]] std::int64_t integer(std::size_t column) const;
    [[nodiscard]] const std::string& text(std::size_t column) const;
    [[nodiscard]] const Bytes& bytes(std::size_t column) const;
    [[nodiscard]] std::optional<std::int64_t> integer_or_null(std::size_t column) const;
    [[nodiscard]] std::optional<Bytes> bytes_or_null(std::size_t column) const;
    [[nodiscard]] const Cell& cell(std::size_t column) const { return cells_.at(column); }

  private:
    std::vector<Cell> cells_;
};

using Rows = std::vector<Row>;
using Params = std::initializer_list<Param>;
// Sees one row at a time; an error ends the statement and becomes its result.
using RowVisitor = std::function<Result<void>(const Row&)>;

class Transaction {
  public:
    virtual ~Transaction() = default;

    // Runs one statement to its end and returns all its rows.
    [[nodiscard]] virtual Result<Rows> query(std::string_view sql,
                                             std::span<const Param> params) = 0;
    // Rows affected by one statement whose rows, if any, are not wanted.
    [[nodiscard]] virtual Result<std::int64_t> execute(std::string_view sql,
                                                       std::span<const Param> params) = 0;
    // Rows one by one, so that a large result needs no memory. The visitor must not use this
    // transaction.
    [[nodiscard]] virtual Result<void> each(std::string_view sql, std::span<const Param> params,
                                            const RowVisitor& visit) = 0;
    // Several statements without parameters, for migrations.
    [[nodiscard]] virtual Result<void> script(std::string_view sql) = 0;
    [[nodiscard]] virtual Dialect dialect() const = 0;

    [[nodiscard]] Result<Rows> query(std::string_view sql, Params params = {}) {
        return query(sql, std::span<const Param>(params.begin(), params.size()));
    }
    [[nodiscard]] Result<std::int64_t> execute(std::string_view sql, Params params = {}) {
        return execute(sql, std::span<const Param>(params.begin(), params.size()));
    }
    [[nodiscard]] Result<void> each(std::string_view sql, Params params, const RowVisitor& visit) {
        return each(sql, std::span<const Param>(params.begin(), params.size()), visit);
    }
    // The first row, or nullopt.
    [[nodiscard]] Result<std::optional<Row>> query_one(std::string_view sql, Params params = {});
};

}  // namespace nave::storage
