// Connection: one libpq connection that never blocks past a deadline, with its prepared statements.
// One thread, the worker's.
//
// A connection that broke, or whose deadline passed in the middle of an exchange, is `broken()` and
// of no further use: the worker replaces it.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "storage/errors.h"
#include "storage/open.h"
#include "storage/postgres/server_address.h"
#include "storage/postgres/statements.h"
#include "storage/transaction.h"

#include <libpq-fe.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nave::storage::postgres {

struct FreeResult {
    void operator()(PGresult* result) const { PQclear(result); }
};
using ResultPtr = std::unique_ptr<PGresult, FreeResult>;

enum class Begin : std::uint8_t { none, read, write };

class Connection {
  public:
    // Gives up when `options.connect_timeout` has passed or `stopping` becomes true. Errors:
    // "storage.unreachable", "storage.unsupported_server", "storage.in_use".
    static Result<std::unique_ptr<Connection>> connect(const ServerAddress& address,
                                                       const Options& options,
                                                       const std::atomic<bool>& stopping);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Applies to all that follows.
    void set_deadline(SteadyTime deadline) { deadline_ = deadline; }

    // Runs one prepared statement; with `begin`, the start of a transaction travels in the same
    // packet and costs no round trip.
    [[nodiscard]] Result<ResultPtr> execute(Begin begin, std::string_view sql,
                                            std::span<const Param> params);
    // The same, row by row: `visit` sees single-row results.
    [[nodiscard]] Result<void> stream(std::string_view sql, std::span<const Param> params,
                                      const std::function<Result<void>(const PGresult*)>& visit);
    [[nodiscard]] Result<void> begin(Begin begin);
    // "storage.outcome_unknown" when the connection broke before the answer.
    [[nodiscard]] Result<void> commit();
    void roll_back();
    // Any number of statements, without parameters.
    [[nodiscard]] Result<void> script(std::string_view sql);

    // Forgets all prepared statements; between transactions.
    [[nodiscard]] Result<void> reset_statements();
    [[nodiscard]] bool statements_full() const { return statements_.full(); }

    [[nodiscard]] bool broken() const { return broken_; }
    [[nodiscard]] bool in_transaction() const;
    // SQLSTATE of the last error that the server reported since forget_error().
    [[nodiscard]] const std::string& sqlstate() const { return sqlstate_; }
    void forget_error() { sqlstate_.clear(); }

  private:
    Connection(PGconn* connection, const ServerAddress& address);
    [[nodiscard]] Result<void> establish(const Options& options, const std::atomic<bool>& stopping);
    [[nodiscard]] Result<void> set_up(const Options& options);
    [[nodiscard]] Result<const PreparedStatement*> prepared(std::string_view sql,
                                                            std::span<const Param> params);
    [[nodiscard]] Result<void> prepare_control();
    [[nodiscard]] Result<void> send(const char* name, std::span<const Param> params);
    [[nodiscard]] Result<void> send_with_begin(Begin begin, const char* name,
                                               std::span<const Param> params);

    // The next result of what was sent, null at the end of one statement.
    [[nodiscard]] Result<ResultPtr> next();
    // The result of a statement that was sent alone, all of its results consumed.
    [[nodiscard]] Result<ResultPtr> only_result(std::string_view doing);
    [[nodiscard]] Result<void> wait_for_input();
    [[nodiscard]] Failure lost(std::string_view doing);
    [[nodiscard]] Failure server_error(const PGresult* result, std::string_view doing);

    PGconn* const connection_;
    const ServerAddress& address_;
    PreparedStatements statements_;
    Encoder encoder_;
    SteadyTime deadline_{};
    bool broken_ = false;
    std::string sqlstate_;
};

}  // namespace nave::storage::postgres
