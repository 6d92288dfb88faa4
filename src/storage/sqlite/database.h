// SqliteDatabase: one writer thread with group commit, reader threads with one read-only connection
// each, and a checkpointer. An in-memory database has one connection, so its reads join the writes.
#pragma once

#include "storage/open.h"
#include "storage/sqlite/checkpointer.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/file.h"
#include "storage/sqlite/group_commit.h"
#include "storage/worker_database.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace nave::storage::sqlite {

class SqliteDatabase final : public WorkerDatabase {
  public:
    static Result<std::unique_ptr<Database>> open(Loop& loop, const Logger& logger,
                                                  const SqliteAddress& address,
                                                  const Options& options);
    ~SqliteDatabase() override;

    [[nodiscard]] Dialect dialect() const override { return Dialect::sqlite; }
    [[nodiscard]] std::string describe() const override { return "sqlite " + path_; }
    void close() override;

  protected:
    Task<Result<void>> submit(Access access, std::shared_ptr<Job> job) override;
    [[nodiscard]] std::size_t queued() const override { return writes_.size() + reads_.size(); }

  private:
    SqliteDatabase(Loop& loop, const Logger& logger, const SqliteAddress& address,
                   const Options& options);
    [[nodiscard]] Result<void> lock_for_serving();
    [[nodiscard]] Result<void> start();
    void write_loop();
    void write_batch(GroupCommit& group, std::vector<OperationPtr>& batch);
    void read_loop(Connection& connection);

    const std::string path_;
    const bool in_memory_;
    std::optional<FileLock> serving_;  // instance_lock.h
    std::unique_ptr<Connection> writer_;
    std::vector<std::unique_ptr<Connection>> readers_;
    std::unique_ptr<Checkpointer> checkpointer_;
    OperationQueue writes_;
    OperationQueue reads_;
    std::vector<std::thread> threads_;
};

}  // namespace nave::storage::sqlite
