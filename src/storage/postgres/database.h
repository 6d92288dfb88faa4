// PostgresDatabase: a pool of worker threads with one connection each, which run one closure at a
// time in a transaction of its own.
//
// Why not several closures in one transaction, as SQLite does it: the server already brings the
// commits of several connections to the disk together, and a shared transaction would hold the row
// locks of one caller until another is done, which turns two callers of two rows into a deadlock.
//
// While no connection can be made, what waits and what comes fails at once with
// "storage.unreachable"; the workers keep trying (runtime/backoff.h) and the first success ends
// that.
#pragma once

#include "storage/open.h"
#include "storage/postgres/connection.h"
#include "storage/postgres/server_address.h"
#include "storage/worker_database.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace nave::storage::postgres {

class PostgresDatabase final : public WorkerDatabase {
  public:
    static Result<std::unique_ptr<Database>> open(Loop& loop, const Logger& logger,
                                                  const PostgresAddress& address,
                                                  const Options& options);
    ~PostgresDatabase() override;

    [[nodiscard]] Dialect dialect() const override { return Dialect::postgres; }
    [[nodiscard]] std::string describe() const override { return "postgres " + address_.shown(); }
    void close() override;

  protected:
    Task<Result<void>> submit(Access access, std::shared_ptr<Job> job) override;
    [[nodiscard]] std::size_t queued() const override { return queue_.size(); }

  private:
    PostgresDatabase(Loop& loop, const Logger& logger, ServerAddress address,
                     const Options& options);
    void work(std::size_t index, std::unique_ptr<Connection> connection);
    // A connection, after as many attempts as it takes; null when the database closes.
    [[nodiscard]] std::unique_ptr<Connection> reconnect(std::uint32_t seed, bool again);
    void connected(bool again);
    void not_connected(const Error& error);
    void fail_waiting();
    [[nodiscard]] bool rest(std::chrono::milliseconds wait);
    void ping(Connection& connection);

    void serve(Connection& connection, OperationPtr operation, std::minstd_rand& random);
    // Whether `operation` is done; otherwise it wants to run again on this connection.
    [[nodiscard]] bool attempt(Connection& connection, OperationPtr& operation);
    void connection_lost(OperationPtr operation, Error error);

    const ServerAddress address_;
    OperationQueue queue_;
    std::vector<std::thread> threads_;
    std::atomic<bool> closing_{false};
    std::atomic<bool> down_{false};

    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t connections_ = 0;
    std::uint64_t recoveries_ = 0;  // wakes those that rest between attempts
};

}  // namespace nave::storage::postgres
