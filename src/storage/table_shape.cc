#include "storage/table_shape.h"

#include "base/encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace nave::storage {
namespace {

Result<void> read_columns(Transaction& tx, TableShape& shape) {
    // Generated columns are computed again where they are restored.
    const std::string_view sql =
        tx.dialect() == Dialect::sqlite
            ? "SELECT name FROM pragma_table_xinfo($1) WHERE hidden = 0 ORDER BY cid"
            : "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) "
              "AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum";
    const std::string name = tx.dialect() == Dialect::sqlite ? shape.name : identifier(shape.name);
    TRY(const Rows rows, tx.query(sql, {name}));
    for (const Row& row : rows) {
        shape.columns.push_back(row.text(0));
    }
    if (shape.columns.empty()) {
        return fail(
            Code::conflict, "storage.backup_mismatch",
            fmt::format("The database has no table {}; run the migrations first.", shape.name));
    }
    return ok();
}

Result<void> read_sequences_sqlite(Transaction& tx, TableShape& shape) {
    TRY(const auto any, tx.query_one("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'"));
    if (!any) {
        return ok();
    }
    TRY(const Rows rows,
        tx.query("SELECT c.name, s.seq FROM sqlite_schema t "
                 "JOIN pragma_table_xinfo(t.name) c ON c.pk = 1 "
                 "LEFT JOIN sqlite_sequence s ON s.name = t.name "
                 "WHERE t.type = 'table' AND t.name = $1 AND t.sql LIKE '%AUTOINCREMENT%'",
                 {shape.name}));
    for (const Row& row : rows) {
        shape.sequences.push_back({.column = row.text(0), .last = row.integer_or_null(1)});
    }
    return ok();
}

Result<void> read_sequences_postgres(Transaction& tx, TableShape& shape) {
    for (const std::string& column : shape.columns) {
        TRY(const auto row,
            tx.query_one("SELECT pg_sequence_last_value(s::regclass) "
                         "FROM pg_get_serial_sequence($1, $2) s WHERE s IS NOT NULL",
                         {identifier(shape.name), column}));
        if (row) {
            shape.sequences.push_back({.column = column, .last = row->integer_or_null(0)});
        }
    }
    return ok();
}

}  // namespace

std::string identifier(std::string_view name) {
    std::string text = "\"";
    for (const char c : name) {
        text.append(c == '"' ? 2 : 1, c);
    }
    return text + '"';
}

std::string TableShape::column_list() const {
    std::string list;
    for (const std::string& column : columns) {
        list += (list.empty() ? "" : ", ") + identifier(column);
    }
    return list;
}

Result<TableShape> read_shape(Transaction& tx, const std::string& table) {
    TableShape shape{.name = table, .columns = {}, .sequences = {}};
    TRY_VOID(read_columns(tx, shape));
    if (tx.dialect() == Dialect::sqlite) {
        TRY_VOID(read_sequences_sqlite(tx, shape));
    } else {
        TRY_VOID(read_sequences_postgres(tx, shape));
    }
    return shape;
}

Result<void> advance_sequence(Transaction& tx, const std::string& table, const Sequence& sequence,
                              std::int64_t last) {
    const std::string max_sql = fmt::format("SELECT COALESCE(MAX({}), 0) FROM {}",
                                            identifier(sequence.column), identifier(table));
    TRY(const auto highest, tx.query_one(max_sql));
    last = std::max({last, sequence.last.value_or(0), highest ? highest->integer(0) : 0});
    if (last <= 0) {
        return ok();
    }
    if (tx.dialect() == Dialect::postgres) {
        // Not undone by a rollback, which at worst leaves a gap.
        TRY_VOID(tx.execute("SELECT setval(pg_get_serial_sequence($1, $2)::regclass, $3)",
                            {identifier(table), sequence.column, last}));
        return ok();
    }
    TRY(const auto updated,
        tx.execute("UPDATE sqlite_sequence SET seq = $2 WHERE name = $1", {table, last}));
    if (updated == 0) {
        TRY_VOID(
            tx.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)", {table, last}));
    }
    return ok();
}

void RowDigest::add(const Row& row) {
    // Kind and length before each value keep different rows from reading as the same bytes.
    buffer_.clear();
    append_be(buffer_, static_cast<std::uint32_t>(row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) {
        const Cell& cell = row.cell(i);
        buffer_.push_back(static_cast<std::uint8_t>(cell.index()));
        if (const auto* integer = std::get_if<std::int64_t>(&cell)) {
            append_be(buffer_, static_cast<std::uint64_t>(*integer));
        } else if (const auto* text = std::get_if<std::string>(&cell)) {
            append_be(buffer_, static_cast<std::uint64_t>(text->size()));
            append(buffer_, *text);
        } else if (const auto* bytes = std::get_if<Bytes>(&cell)) {
            append_be(buffer_, static_cast<std::uint64_t>(bytes->size()));
            append(buffer_, ByteView(*bytes));
        }
    }
    hash_.update(ByteView(buffer_));
}

std::string RowDigest::finish() {
    return hex(hash_.finish());
}

std::vector<Param> as_params(const Row& row) {
    std::vector<Param> params;
    params.reserve(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) {
        const Cell& cell = row.cell(i);
        if (const auto* integer = std::get_if<std::int64_t>(&cell)) {
            params.emplace_back(*integer);
        } else if (const auto* text = std::get_if<std::string>(&cell)) {
            params.emplace_back(*text);
        } else if (const auto* bytes = std::get_if<Bytes>(&cell)) {
            params.emplace_back(*bytes);
        } else {
            params.emplace_back(nullptr);
        }
    }
    return params;
}

}  // namespace nave::storage
