// PostgresTransaction: the closure's view of one connection. The transaction begins with its first
// statement.
#pragma once

#include "storage/operation.h"
#include "storage/postgres/connection.h"
#include "storage/transaction.h"

#include <optional>
#include <string>

namespace nave::storage::postgres {

class PostgresTransaction final : public Transaction {
  public:
    PostgresTransaction(Connection& connection, Access access)
        : connection_(connection), access_(access) {
        connection_.forget_error();
    }

    using Transaction::each;
    using Transaction::execute;
    using Transaction::query;
    Result<Rows> query(std::string_view sql, std::span<const Param> params) override;
    Result<std::int64_t> execute(std::string_view sql, std::span<const Param> params) override;
    Result<void> each(std::string_view sql, std::span<const Param> params,
                      const RowVisitor& visit) override;
    Result<void> script(std::string_view sql) override;
    [[nodiscard]] Dialect dialect() const override { return Dialect::postgres; }

    // The first error, whether or not the closure passed it on; it must not be committed then.
    [[nodiscard]] const std::optional<Error>& doomed() const { return doomed_; }
    // SQLSTATE of that error; empty when it was not the server's.
    [[nodiscard]] const std::string& doomed_state() const { return doomed_state_; }
    [[nodiscard]] bool begun() const { return begun_; }

  private:
    // Ready for a statement that cannot carry the beginning with it.
    [[nodiscard]] Result<void> begin();
    [[nodiscard]] Result<ResultPtr> run(std::string_view sql, std::span<const Param> params);
    // Notes the first error, and a closure that ended the transaction by SQL of its own.
    template <class T>
    Result<T> remember(Result<T> outcome);

    Connection& connection_;
    const Access access_;
    bool begun_ = false;
    std::optional<Error> doomed_;
    std::string doomed_state_;
};

}  // namespace nave::storage::postgres
