#include "storage/postgres/connection.h"

#include "storage/postgres/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <poll.h>
#include <utility>
#include <vector>

namespace nave::storage::postgres {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kSqlShown = 300;

// Prepared once per connection; names that PreparedStatements::next_name() does not make.
struct Control {
    const char* name;
    const char* sql;
};
// The isolation is said each time, because roles and databases can have other defaults.
constexpr Control kBeginWrite{"begin_write", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"};
constexpr Control kBeginRead{"begin_read", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"};
constexpr Control kCommit{"commit_it", "COMMIT"};
constexpr Control kRollback{"roll_back", "ROLLBACK"};

const char* name_of(Begin begin) {
    return begin == Begin::write ? kBeginWrite.name : kBeginRead.name;
}

// Milliseconds for poll(2), rounded up, never negative.
int until(SteadyTime deadline) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
}

bool succeeded(const PGresult* result) {
    switch (PQresultStatus(result)) {
        case PGRES_COMMAND_OK:
        case PGRES_TUPLES_OK:
        case PGRES_SINGLE_TUPLE:
        case PGRES_PIPELINE_SYNC:
            return true;
        default:
            return false;
    }
}

bool is_copy(const PGresult* result) {
    const ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

}  // namespace

Connection::Connection(PGconn* connection, const ServerAddress& address)
    : connection_(connection), address_(address) {
    PQsetNoticeProcessor(connection_, [](void*, const char*) {}, nullptr);
}

Connection::~Connection() {
    PQfinish(connection_);
}

bool Connection::in_transaction() const {
    const PGTransactionStatusType status = PQtransactionStatus(connection_);
    return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE;
}

Failure Connection::lost(std::string_view doing) {
    broken_ = true;
    return unreachable("The database is not reachable; try again.",
                       fmt::format("{} while: {}", address_.scrub(PQerrorMessage(connection_)),
                                   doing.substr(0, kSqlShown)));
}

Failure Connection::server_error(const PGresult* result, std::string_view doing) {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (PQstatus(connection_) == CONNECTION_BAD || (state != nullptr && ends_connection(state))) {
        return lost(doing);
    }
    if (state == nullptr) {
        return failed(fmt::format("{} for: {}", PQresStatus(PQresultStatus(result)),
                                  doing.substr(0, kSqlShown)));
    }
    sqlstate_ = state;
    // The server's DETAIL field is left out: it quotes the values of rows.
    const char* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return failure(state, fmt::format("postgres {}: {}; in: {}", state,
                                      address_.scrub(message == nullptr ? "" : message),
                                      doing.substr(0, kSqlShown)));
}

Result<void> Connection::wait_for_input() {
    while (true) {
        const int unsent = PQflush(connection_);
        if (unsent < 0) {
            return lost("send");
        }
        if (PQisBusy(connection_) == 0) {
            return ok();
        }
        const int wait = until(deadline_);
        if (wait == 0) {
            // What the server does meanwhile is unknown, so the connection cannot be used again.
            broken_ = true;
            return timed_out("no answer from the server within the deadline");
        }
        pollfd watched{.fd = PQsocket(connection_), .events = POLLIN, .revents = 0};
        if (unsent > 0) {
            watched.events |= POLLOUT;
        }
        if (::poll(&watched, 1, wait) > 0 && (watched.revents & ~POLLOUT) != 0 &&
            PQconsumeInput(connection_) == 0) {
            return lost("receive");
        }
    }
}

Result<ResultPtr> Connection::next() {
    TRY_VOID(wait_for_input());
    return ResultPtr(PQgetResult(connection_));
}

Result<ResultPtr> Connection::only_result(std::string_view doing) {
    ResultPtr kept;
    std::optional<Failure> error;
    while (true) {
        TRY(ResultPtr result, next());
        if (!result) {
            break;
        }
        if (is_copy(result.get())) {
            broken_ = true;  // the connection now expects data that nobody will send
            return failed("COPY is not supported: " + std::string(doing));
        }
        if (!succeeded(result.get()) && !error) {
            error = server_error(result.get(), doing);
        }
        kept = std::move(result);
    }
    if (error) {
        return *std::move(error);
    }
    if (!kept) {
        return lost(doing);
    }
    return kept;
}

Result<void> Connection::send(const char* name, std::span<const Param> params) {
    encoder_.encode(params);
    if (PQsendQueryPrepared(connection_, name, encoder_.count(), encoder_.values(),
                            encoder_.lengths(), encoder_.formats(), 1) == 0) {
        return lost(name);
    }
    return ok();
}

Result<const PreparedStatement*> Connection::prepared(std::string_view sql,
                                                      std::span<const Param> params) {
    if (const PreparedStatement* known = statements_.find(sql, params)) {
        return known;
    }
    std::vector<Param::Kind> kinds = statements_.kinds_for(sql, params);
    std::vector<Oid> types;
    for (const Param::Kind kind : kinds) {
        types.push_back(type_of(kind));
    }
    std::string name = statements_.next_name();
    const std::string text(sql);
    if (PQsendPrepare(connection_, name.c_str(), text.c_str(), static_cast<int>(types.size()),
                      types.data()) == 0) {
        return lost(sql);
    }
    TRY_VOID(only_result(sql));
    return &statements_.add(std::move(name), sql, std::move(kinds));
}

Result<ResultPtr> Connection::execute(Begin begin, std::string_view sql,
                                      std::span<const Param> params) {
    TRY(const PreparedStatement* const statement, prepared(sql, params));
    if (begin == Begin::none) {
        TRY_VOID(send(statement->name.c_str(), params));
        return only_result(sql);
    }
    TRY_VOID(send_with_begin(begin, statement->name.c_str(), params));
    // BEGIN's result, null, the statement's result, null, the synchronisation point.
    ResultPtr kept;
    std::optional<Failure> error;
    while (true) {
        TRY(ResultPtr result, next());
        const ExecStatusType status = PQresultStatus(result.get());
        if (status == PGRES_PIPELINE_SYNC) {
            break;
        }
        if (is_copy(result.get())) {
            broken_ = true;
            return failed("COPY is not supported: " + std::string(sql));
        }
        if (!result || status == PGRES_PIPELINE_ABORTED) {
            if (PQstatus(connection_) == CONNECTION_BAD) {
                return lost(sql);
            }
            continue;
        }
        if (!succeeded(result.get()) && !error) {
            error = server_error(result.get(), sql);
            if (broken_) {
                break;
            }
        }
        kept = std::move(result);
    }
    PQexitPipelineMode(connection_);
    if (error) {
        return *std::move(error);
    }
    return kept;
}

Result<void> Connection::send_with_begin(Begin begin, const char* name,
                                         std::span<const Param> params) {
    if (PQenterPipelineMode(connection_) == 0) {
        return lost("enter pipeline mode");
    }
    TRY_VOID(send(name_of(begin), {}));
    TRY_VOID(send(name, params));
    if (PQpipelineSync(connection_) == 0) {
        return lost("synchronise");
    }
    return ok();
}

Result<void> Connection::stream(std::string_view sql, std::span<const Param> params,
                                const std::function<Result<void>(const PGresult*)>& visit) {
    TRY(const PreparedStatement* const statement, prepared(sql, params));
    TRY_VOID(send(statement->name.c_str(), params));
    PQsetSingleRowMode(connection_);
    Result<void> outcome = ok();
    while (true) {
        TRY(const ResultPtr result, next());
        if (!result) {
            return outcome;
        }
        // After an error the remaining rows are still read, up to the deadline.
        if (!succeeded(result.get()) && outcome) {
            outcome = server_error(result.get(), sql);
        } else if (PQresultStatus(result.get()) == PGRES_SINGLE_TUPLE && outcome) {
            outcome = visit(result.get());
        }
    }
}

Result<void> Connection::begin(Begin begin) {
    TRY_VOID(send(name_of(begin), {}));
    TRY_VOID(only_result("BEGIN"));
    return ok();
}

Result<void> Connection::commit() {
    TRY_VOID(send(kCommit.name, {}));
    auto committed = only_result(kCommit.sql);
    if (!committed) {
        Error error = std::move(committed).error();
        if (broken_ && error.id == "storage.unreachable") {
            error.id = "storage.outcome_unknown";
            error.message = "The database connection broke; the change may have been made or not.";
        }
        return Failure(std::move(error));
    }
    if (std::string_view(PQcmdStatus(committed->get())) != "COMMIT") {
        return failed("the server rolled back instead of committing");
    }
    return ok();
}

void Connection::roll_back() {
    if (broken_ || !in_transaction()) {
        return;
    }
    if (auto sent = send(kRollback.name, {}); !sent || !only_result(kRollback.sql)) {
        broken_ = true;  // its state is unknown; the server rolls back when it goes
    }
}

Result<void> Connection::script(std::string_view sql) {
    const std::string text(sql);
    if (PQsendQuery(connection_, text.c_str()) == 0) {
        return lost(sql);
    }
    TRY_VOID(only_result(sql));
    return ok();
}

Result<void> Connection::prepare_control() {
    for (const Control& control : {kBeginWrite, kBeginRead, kCommit, kRollback}) {
        if (PQsendPrepare(connection_, control.name, control.sql, 0, nullptr) == 0) {
            return lost(control.sql);
        }
        TRY_VOID(only_result(control.sql));
    }
    return ok();
}

Result<void> Connection::reset_statements() {
    statements_.clear();
    TRY_VOID(script("DEALLOCATE ALL"));
    return prepare_control();
}

}  // namespace nave::storage::postgres
