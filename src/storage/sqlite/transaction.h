// SqliteTransaction: the closure's view of one SQLite connection.
#pragma once

#include "storage/operation.h"
#include "storage/sqlite/connection.h"
#include "storage/transaction.h"

#include <optional>

namespace nave::storage::sqlite {

class SqliteTransaction final : public Transaction {
  public:
    SqliteTransaction(Connection& connection, Access access)
        : connection_(connection), access_(access) {}

    using Transaction::each;
    using Transaction::execute;
    using Transaction::query;
    Result<Rows> query(std::string_view sql, std::span<const Param> params) override;
    Result<std::int64_t> execute(std::string_view sql, std::span<const Param> params) override;
    Result<void> each(std::string_view sql, std::span<const Param> params,
                      const RowVisitor& visit) override;
    Result<void> script(std::string_view sql) override;
    [[nodiscard]] Dialect dialect() const override { return Dialect::sqlite; }

    // The first error, whether or not the closure passed it on; it must not be committed then.
    [[nodiscard]] const std::optional<Error>& doomed() const { return doomed_; }

  private:
    template <class OnRow>
    Result<void> step_all(std::string_view sql, std::span<const Param> params, OnRow on_row);
    template <class T>
    Result<T> remember(Result<T> outcome);

    Connection& connection_;
    const Access access_;
    std::optional<Error> doomed_;
};

// Runs the operation's closure inside the transaction that `connection` has begun. The error is the
// closure's own, or that of a statement whose failure the closure passed over.
[[nodiscard]] Result<void> run_closure(Connection& connection, const Operation& operation);

}  // namespace nave::storage::sqlite
