#include "storage/transaction.h"

#include "base/check.h"

namespace nave::storage {
namespace {

template <class T>
const T& typed(const std::vector<Cell>& cells, std::size_t column) {
    CHECK(column < cells.size(), "no such column in the result");
    const T* value = std::get_if<T>(&cells[column]);
    CHECK(value != nullptr, "column has another type");
    return *value;
}

}  // namespace

std::string_view for_update_skip_locked(Dialect dialect) {
    return dialect == Dialect::postgres ? " FOR UPDATE SKIP LOCKED" : "";
}

bool Row::is_null(std::size_t column) const {
    CHECK(column < cells_.size(), "no such column in the result");
    return std::holds_alternative<std::nullptr_t>(cells_[column]);
}

std::int64_t Row::integer(std::size_t column) const {
    return typed<std::int64_t>(cells_, column);
}

const std::string& Row::text(std::size_t column) const {
    return typed<std::string>(cells_, column);
}

const Bytes& Row::bytes(std::size_t column) const {
    return typed<Bytes>(cells_, column);
}

std::optional<std::int64_t> Row::integer_or_null(std::size_t column) const {
    if (is_null(column)) {
        return std::nullopt;
    }
    return integer(column);
}

std::optional<Bytes> Row::bytes_or_null(std::size_t column) const {
    if (is_null(column)) {
        return std::nullopt;
    }
    return bytes(column);
}

Result<std::optional<Row>> Transaction::query_one(std::string_view sql, Params params) {
    TRY(Rows rows, query(sql, params));
    if (rows.empty()) {
        return std::nullopt;
    }
    return std::move(rows.front());
}

}  // namespace nave::storage
