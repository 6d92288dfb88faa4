#include "storage/sqlite/transaction.h"

#include "storage/sqlite/errors.h"

#include <string>
#include <utility>

namespace nave::storage::sqlite {

template <class T>
Result<T> SqliteTransaction::remember(Result<T> outcome) {
    if (!outcome && !doomed_) {
        doomed_ = outcome.error();
    }
    return outcome;
}

template <class OnRow>
Result<void> SqliteTransaction::step_all(std::string_view sql, std::span<const Param> params,
                                         OnRow on_row) {
    if (doomed_) {
        return Failure(*doomed_);
    }
    TRY(const StatementLease statement, connection_.statements().lease(sql));
    if (access_ == Access::read && !statement->reads_only()) {
        return failed("a read tried to write: " + std::string(sql));
    }
    int code = statement->bind(params);
    while (code == SQLITE_OK || code == SQLITE_ROW) {
        code = sqlite3_step(statement->handle());
        if (code == SQLITE_ROW) {
            TRY_VOID(on_row(*statement));
        }
    }
    if (code != SQLITE_DONE) {
        return failure(connection_.handle(), code, sql);
    }
    return ok();
}

Result<Rows> SqliteTransaction::query(std::string_view sql, std::span<const Param> params) {
    Rows rows;
    TRY_VOID(remember(step_all(sql, params, [&](const Statement& statement) -> Result<void> {
        TRY(Row row, statement.row());
        rows.push_back(std::move(row));
        return ok();
    })));
    return rows;
}

Result<std::int64_t> SqliteTransaction::execute(std::string_view sql,
                                                std::span<const Param> params) {
    // sqlite3_changes() keeps its value over statements that change nothing, such as DDL.
    const std::int64_t before = sqlite3_total_changes64(connection_.handle());
    TRY_VOID(remember(step_all(sql, params, [](const Statement&) { return ok(); })));
    const std::int64_t after = sqlite3_total_changes64(connection_.handle());
    return after == before ? 0 : sqlite3_changes64(connection_.handle());
}

Result<void> SqliteTransaction::each(std::string_view sql, std::span<const Param> params,
                                     const RowVisitor& visit) {
    return remember(step_all(sql, params, [&](const Statement& statement) -> Result<void> {
        TRY(const Row row, statement.row());
        return visit(row);
    }));
}

Result<void> SqliteTransaction::script(std::string_view sql) {
    if (doomed_) {
        return Failure(*doomed_);
    }
    if (access_ == Access::read) {
        return remember<void>(failed("a read tried to run a script"));
    }
    const std::string text(sql);
    const int code = sqlite3_exec(connection_.handle(), text.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) {
        return remember<void>(failure(connection_.handle(), code, sql));
    }
    return ok();
}

Result<void> run_closure(Connection& connection, const Operation& operation) {
    SqliteTransaction tx(connection, operation.access);
    const Confinement confined(connection);
    Result<void> outcome = run_guarded(*operation.job, tx);
    if (outcome && tx.doomed()) {
        return Failure(*tx.doomed());
    }
    return outcome;
}

}  // namespace nave::storage::sqlite
