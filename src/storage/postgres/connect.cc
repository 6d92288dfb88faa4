// Opening a connection: the handshake within its time limit, the checks, the session's settings.
#include "storage/instance_lock.h"
#include "storage/postgres/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <poll.h>
#include <utility>

namespace nave::storage::postgres {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kVersionMin = 150'000;

// How soon a connection attempt notices that the program stops.
constexpr milliseconds kStopCheck{100};

// A connection attempt with defaults that the URL may override: what stands before "dbname" yields
// to it, what stands after does not. Dead peers are noticed within about 25 s while idle, and
// within 10 s when something was sent.
PGconn* start(const ServerAddress& address) {
    const std::string url(address.url().reveal());
    const std::array<const char*, 9> keywords{"application_name",
                                              "target_session_attrs",
                                              "keepalives_idle",
                                              "keepalives_interval",
                                              "keepalives_count",
                                              "tcp_user_timeout",
                                              "dbname",
                                              "client_encoding",
                                              nullptr};
    const std::array<const char*, 9> values{"nave",  "read-write", "10",   "5",    "3",
                                            "10000", url.c_str(),  "UTF8", nullptr};
    return PQconnectStartParams(keywords.data(), values.data(), 1);
}

Failure refused(const ServerAddress& address, std::string_view reason) {
    return unreachable(
        fmt::format("Cannot use the PostgreSQL database {}: {}. Check that the server runs, and "
                    "host, port, user, password and database of the URL.",
                    address.shown(), reason),
        {});
}

// 0 means no limit to the server, so never that.
std::int64_t server_millis(milliseconds limit) {
    return std::clamp<std::int64_t>(limit.count(), 1, 2'000'000'000);
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::connect(const ServerAddress& address,
                                                        const Options& options,
                                                        const std::atomic<bool>& stopping) {
    PGconn* const raw = start(address);
    if (raw == nullptr) {
        return unreachable("Out of memory.", {});
    }
    std::unique_ptr<Connection> connection(new Connection(raw, address));
    connection->deadline_ = steady_clock::now() + options.connect_timeout;
    TRY_VOID(connection->establish(options, stopping));
    TRY_VOID(connection->set_up(options));
    return connection;
}

Result<void> Connection::establish(const Options& options, const std::atomic<bool>& stopping) {
    // libpq's way: wait for writing before the first poll.
    PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
    while (wanted != PGRES_POLLING_OK) {
        if (PQstatus(connection_) == CONNECTION_BAD || wanted == PGRES_POLLING_FAILED) {
            return refused(address_, address_.scrub(PQerrorMessage(connection_)));
        }
        if (stopping) {
            return refused(address_, "the program is stopping");
        }
        const auto left = deadline_ - steady_clock::now();
        if (left <= milliseconds(0)) {
            return refused(address_,
                           fmt::format("no answer within {} ms", options.connect_timeout.count()));
        }
        const auto wait = std::min(std::chrono::ceil<milliseconds>(left), kStopCheck);
        pollfd watched{.fd = PQsocket(connection_), .events = POLLIN, .revents = 0};
        if (wanted == PGRES_POLLING_WRITING) {
            watched.events = POLLOUT;
        }
        if (::poll(&watched, 1, static_cast<int>(wait.count())) > 0) {
            wanted = PQconnectPoll(connection_);
        }
    }
    if (PQsetnonblocking(connection_, 1) != 0) {
        return lost("set non-blocking");
    }
    return ok();
}

Result<void> Connection::set_up(const Options& options) {
    if (PQserverVersion(connection_) < kVersionMin) {
        return fail(Code::unavailable, "storage.unsupported_server",
                    fmt::format("PostgreSQL at {} is version {}.{}; 15 or newer is needed.",
                                address_.shown(), PQserverVersion(connection_) / 10'000,
                                PQserverVersion(connection_) % 10'000));
    }
    // A commit that is not on the disk must not be acknowledged, whatever the role's default is.
    // Other values than off are all durable.
    const std::string settings = fmt::format(
        "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {};"
        "SELECT set_config('synchronous_commit', 'on', false) "
        "WHERE current_setting('synchronous_commit') = 'off';",
        server_millis(options.deadline), server_millis(2 * options.deadline));
    TRY_VOID(script(settings));
    // Lets the server stop work for a client that has gone; not every platform can.
    if (const auto set = script("SET client_connection_check_interval = 1000"); !set && broken_) {
        return Failure(set.error());
    }
    if (options.serving) {
        TRY(const ResultPtr locked, execute(Begin::none, "SELECT pg_try_advisory_lock_shared($1)",
                                            std::array{Param(kInstanceLock)}));
        if (PQgetvalue(locked.get(), 0, 0)[0] == 0) {
            return fail(Code::unavailable, "storage.in_use",
                        fmt::format("A restore into {} is under way; start again when it is done.",
                                    address_.shown()));
        }
    }
    return prepare_control();
}

}  // namespace nave::storage::postgres
