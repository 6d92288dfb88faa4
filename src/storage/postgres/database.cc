#include "storage/postgres/database.h"

#include "runtime/backoff.h"
#include "storage/errors.h"
#include "storage/postgres/errors.h"
#include "storage/postgres/transaction.h"

#include <chrono>
#include <utility>

namespace nave::storage::postgres {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// An idle connection is asked this often whether it still lives.
constexpr milliseconds kPingEvery{5'000};

// The caller is answered at its deadline; a worker waits a little longer for the server before it
// gives the connection up, so that an overloaded server does not lose its connections as well.
constexpr milliseconds kGrace{1'000};

// How often one closure is run at most because of deadlocks and serialisation failures.
constexpr int kAttemptsMax = 8;

// Two closures that keep each other from committing must not meet again in step: a random wait of
// at most this before the second run, doubled before each later one.
constexpr milliseconds kRetryWaitMax{10};

}  // namespace

Result<std::unique_ptr<Database>> PostgresDatabase::open(Loop& loop, const Logger& logger,
                                                         const PostgresAddress& address,
                                                         const Options& options) {
    TRY(ServerAddress server, ServerAddress::parse(address.url));
    std::unique_ptr<PostgresDatabase> database(
        new PostgresDatabase(loop, logger, std::move(server), options));
    // The first connection is made here, so that a wrong setting is reported at once.
    TRY(auto first, Connection::connect(database->address_, options, database->closing_));
    database->connected(false);
    for (std::size_t i = 0; i < std::max<std::size_t>(1, options.connections); ++i) {
        database->threads_.emplace_back(
            [raw = database.get(), i, connection = std::exchange(first, nullptr)]() mutable {
                raw->work(i, std::move(connection));
            });
    }
    return database;
}

PostgresDatabase::PostgresDatabase(Loop& loop, const Logger& logger, ServerAddress address,
                                   const Options& options)
    : WorkerDatabase(loop, logger, options),
      address_(std::move(address)),
      queue_(options.queue_max) {}

PostgresDatabase::~PostgresDatabase() {
    close();
}

void PostgresDatabase::close() {
    queue_.close();
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
    fail_waiting();
}

Task<Result<void>> PostgresDatabase::submit(Access access, std::shared_ptr<Job> job) {
    if (down_) {
        co_return unreachable("The database is not reachable; try again.",
                              trouble_.reason().value_or("down"));
    }
    co_return co_await submit_to(queue_, access, std::move(job));
}

void PostgresDatabase::work(std::size_t index, std::unique_ptr<Connection> connection) {
    std::minstd_rand random(static_cast<std::uint32_t>(index + 1) * 2'654'435'761U);
    bool had_connection = connection != nullptr;
    std::vector<OperationPtr> taken;
    while (true) {
        if (!connection) {
            connection = reconnect(static_cast<std::uint32_t>(random()), had_connection);
            if (!connection) {
                return;
            }
            had_connection = true;
        }
        if (!queue_.take(taken, 1, kPingEvery)) {
            return;
        }
        if (taken.empty()) {
            ping(*connection);
        } else {
            OperationPtr operation = std::move(taken.front());
            taken.clear();
            serve(*connection, std::move(operation), random);
        }
        if (connection->broken()) {
            connection.reset();
            const std::lock_guard lock(mutex_);
            --connections_;
        }
    }
}

std::unique_ptr<Connection> PostgresDatabase::reconnect(std::uint32_t seed, bool again) {
    Backoff backoff(seed);
    while (!queue_.closed() || queue_.size() > 0) {
        auto made = Connection::connect(address_, options_, closing_);
        if (made) {
            connected(again);
            return std::move(*made);
        }
        not_connected(made.error());
        if (!rest(backoff.next())) {
            break;
        }
    }
    return nullptr;
}

void PostgresDatabase::connected(bool again) {
    {
        const std::lock_guard lock(mutex_);
        ++connections_;
        recoveries_ += down_ ? 1 : 0;
        down_ = false;
    }
    counters_.reconnects.fetch_add(again ? 1 : 0, std::memory_order_relaxed);
    changed_.notify_all();
    report_recovery();
}

void PostgresDatabase::not_connected(const Error& error) {
    {
        const std::lock_guard lock(mutex_);
        if (connections_ > 0 || closing_) {
            return;  // the others serve, perhaps at the server's limit of connections
        }
        down_ = true;
    }
    report_trouble(error.message);
    fail_waiting();
}

void PostgresDatabase::fail_waiting() {
    std::vector<OperationPtr> waiting = queue_.take_all();
    for (const OperationPtr& operation : waiting) {
        operation->outcome = unreachable("The database is not reachable; try again.",
                                         trouble_.reason().value_or("down"));
    }
    completions_->complete(waiting);
}

// False when the database closes.
bool PostgresDatabase::rest(milliseconds wait) {
    std::unique_lock lock(mutex_);
    const std::uint64_t before = recoveries_;
    changed_.wait_for(lock, wait, [&] { return closing_ || recoveries_ != before; });
    return !closing_;
}

void PostgresDatabase::ping(Connection& connection) {
    connection.set_deadline(steady_clock::now() + options_.connect_timeout);
    // A failure marks the connection broken, which is all that matters here.
    static_cast<void>(connection.script("SELECT 1"));
}

void PostgresDatabase::serve(Connection& connection, OperationPtr operation,
                             std::minstd_rand& random) {
    if (operation->abandoned) {
        return;
    }
    connection.set_deadline(operation->deadline + kGrace);
    if (connection.statements_full()) {
        // Its failure shows with the closure's first statement.
        static_cast<void>(connection.reset_statements());
    }
    while (!attempt(connection, operation)) {
        counters_.retries.fetch_add(1, std::memory_order_relaxed);
        std::uniform_int_distribution<std::int64_t> spread(0, kRetryWaitMax.count()
                                                                  << (operation->attempts - 1));
        static_cast<void>(rest(milliseconds(spread(random))));
    }
}

bool PostgresDatabase::attempt(Connection& connection, OperationPtr& operation) {
    const bool writes = operation->access == Access::write;
    PostgresTransaction tx(connection, operation->access);
    Result<void> outcome = run_guarded(*operation->job, tx);
    if (outcome && tx.doomed()) {
        outcome = Failure(*tx.doomed());
    }
    if (outcome && writes && tx.begun()) {
        outcome = connection.commit();
        if (outcome) {
            counters_.commits.fetch_add(1, std::memory_order_relaxed);
        }
    }
    if (outcome) {
        counters_.writes.fetch_add(writes ? 1 : 0, std::memory_order_relaxed);
        operation->outcome = ok();
        // A reader has its answer before its transaction is ended at the server.
        completions_->complete(std::move(operation));
        connection.roll_back();
        return true;
    }
    ++operation->attempts;
    if (connection.broken()) {
        connection_lost(std::move(operation), std::move(outcome).error());
        return true;
    }
    connection.roll_back();
    const std::string& state = connection.sqlstate();
    const bool stale = is_stale_statement(state) && operation->attempts == 1;
    if ((stale || is_transient(state)) && operation->attempts < kAttemptsMax &&
        !operation->abandoned && !connection.broken()) {
        if (stale && !connection.reset_statements()) {
            connection_lost(std::move(operation), std::move(outcome).error());
            return true;
        }
        return false;
    }
    operation->outcome = std::move(outcome);
    completions_->complete(std::move(operation));
    return true;
}

// Nothing was committed unless the error says that this is unknown, so the closure may run again on
// another connection while its caller still waits.
void PostgresDatabase::connection_lost(OperationPtr operation, Error error) {
    // After a restart of the server, every idle connection of the pool may prove to be dead.
    const int attempts_max = kAttemptsMax + static_cast<int>(options_.connections);
    if (error.id == "storage.unreachable" && operation->attempts < attempts_max &&
        !operation->abandoned && !down_) {
        counters_.retries.fetch_add(1, std::memory_order_relaxed);
        queue_.put_back(std::move(operation));
        return;
    }
    operation->outcome = Failure(std::move(error));
    completions_->complete(std::move(operation));
}

}  // namespace nave::storage::postgres
