#include "storage/postgres/transaction.h"

#include "storage/errors.h"
#include "storage/postgres/decode.h"

#include <utility>

namespace nave::storage::postgres {
namespace {

Begin begin_of(Access access) {
    return access == Access::write ? Begin::write : Begin::read;
}

}  // namespace

template <class T>
Result<T> PostgresTransaction::remember(Result<T> outcome) {
    if (outcome && begun_ && !connection_.in_transaction()) {
        outcome = failed("a closure must not end its transaction");
    }
    if (!outcome && !doomed_) {
        doomed_ = outcome.error();
        doomed_state_ = connection_.sqlstate();
    }
    return outcome;
}

Result<void> PostgresTransaction::begin() {
    if (doomed_) {
        return Failure(*doomed_);
    }
    if (begun_) {
        return ok();
    }
    begun_ = true;
    return connection_.begin(begin_of(access_));
}

Result<ResultPtr> PostgresTransaction::run(std::string_view sql, std::span<const Param> params) {
    if (doomed_) {
        return Failure(*doomed_);
    }
    const Begin begin = begun_ ? Begin::none : begin_of(access_);
    begun_ = true;
    return connection_.execute(begin, sql, params);
}

Result<Rows> PostgresTransaction::query(std::string_view sql, std::span<const Param> params) {
    TRY(const ResultPtr result, remember(run(sql, params)));
    const int count = PQntuples(result.get());
    Rows rows;
    rows.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
        TRY(Row row, remember(decode_row(result.get(), i)));
        rows.push_back(std::move(row));
    }
    return rows;
}

Result<std::int64_t> PostgresTransaction::execute(std::string_view sql,
                                                  std::span<const Param> params) {
    TRY(const ResultPtr result, remember(run(sql, params)));
    return changed_rows(result.get());
}

Result<void> PostgresTransaction::each(std::string_view sql, std::span<const Param> params,
                                       const RowVisitor& visit) {
    TRY_VOID(remember(begin()));
    return remember(connection_.stream(sql, params, [&](const PGresult* result) -> Result<void> {
        TRY(const Row row, decode_row(result, 0));
        return visit(row);
    }));
}

Result<void> PostgresTransaction::script(std::string_view sql) {
    TRY_VOID(remember(begin()));
    return remember(connection_.script(sql));
}

}  // namespace nave::storage::postgres
