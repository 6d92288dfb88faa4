#include "storage/sqlite/database.h"

#include "storage/instance_lock.h"
#include "storage/sqlite/errors.h"
#include "storage/sqlite/transaction.h"

#include <chrono>
#include <utility>

namespace nave::storage::sqlite {
namespace {

constexpr std::string_view kInMemory = ":memory:";

// How often the writer looks whether the disk works again while it does not.
constexpr std::chrono::seconds kProbeEvery{1};

Result<void> enable_log(Connection& connection) {
    SqliteTransaction tx(connection, Access::write);
    TRY(const auto mode, tx.query_one("PRAGMA journal_mode=WAL"));
    // An in-memory database answers "memory".
    if (!mode || (mode->text(0) != "wal" && mode->text(0) != "memory")) {
        return unreachable("its file system cannot hold a write-ahead log; use a local disk",
                           "journal_mode is not wal");
    }
    return ok();
}

std::string reason_of(const Error& error) {
    return error.id == "storage.busy" ? "Another process keeps the database file locked."
                                      : error.message;
}

int on_commit(void* checkpointer, sqlite3*, const char*, int pages) {
    static_cast<Checkpointer*>(checkpointer)->log_grew(pages);
    return SQLITE_OK;
}

}  // namespace

Result<std::unique_ptr<Database>> SqliteDatabase::open(Loop& loop, const Logger& logger,
                                                       const SqliteAddress& address,
                                                       const Options& options) {
    if (address.path != kInMemory) {
        TRY_VOID(prepare_file(address.path, options.create));
    }
    std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(loop, logger, address, options));
    if (options.serving && !database->in_memory_) {
        TRY_VOID(database->lock_for_serving());
    }
    if (auto started = database->start(); !started) {
        return Failure(name_file(std::move(started).error(), address.path));
    }
    return database;
}

SqliteDatabase::SqliteDatabase(Loop& loop, const Logger& logger, const SqliteAddress& address,
                               const Options& options)
    : WorkerDatabase(loop, logger, options),
      path_(address.path.string()),
      in_memory_(address.path == kInMemory),
      writes_(options.queue_max),
      reads_(options.queue_max) {}

SqliteDatabase::~SqliteDatabase() {
    close();
}

Result<void> SqliteDatabase::lock_for_serving() {
    TRY(serving_, FileLock::take(lock_file_of(path_), FileLock::Mode::shared));
    if (!serving_) {
        return fail(Code::unavailable, "storage.in_use",
                    "A restore into " + path_ + " is under way; start again when it is done.");
    }
    return ok();
}

Result<void> SqliteDatabase::start() {
    TRY(writer_, Connection::open(path_, Role::writer));
    TRY_VOID(enable_log(*writer_));
    // Takes the write lock and reads the schema: a wrong, damaged or unwritable file shows now.
    TRY_VOID(writer_->run("BEGIN IMMEDIATE"));
    TRY_VOID(writer_->run("SELECT count(*) FROM sqlite_schema"));
    TRY_VOID(writer_->run("ROLLBACK"));
    if (sqlite3_db_readonly(writer_->handle(), "main") != 0) {
        return fail(Code::unavailable, "storage.permission", "The database file is read-only.");
    }
    if (!in_memory_) {
        for (std::size_t i = 0; i < options_.readers; ++i) {
            TRY(auto reader, Connection::open(path_, Role::reader));
            readers_.push_back(std::move(reader));
        }
        TRY(checkpointer_, Checkpointer::start(path_, logger_, Checkpointer::Limits()));
        sqlite3_wal_hook(writer_->handle(), on_commit, checkpointer_.get());
    }
    threads_.emplace_back([this] { write_loop(); });
    for (const auto& reader : readers_) {
        threads_.emplace_back([this, connection = reader.get()] { read_loop(*connection); });
    }
    return ok();
}

void SqliteDatabase::close() {
    writes_.close();
    reads_.close();
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
    checkpointer_.reset();
    readers_.clear();
    writer_.reset();  // the last connection: checkpoints and removes the log
    serving_.reset();
}

Task<Result<void>> SqliteDatabase::submit(Access access, std::shared_ptr<Job> job) {
    const bool read_apart = access == Access::read && !in_memory_ && options_.readers > 0;
    return submit_to(read_apart ? reads_ : writes_, access, std::move(job));
}

void SqliteDatabase::write_loop() {
    GroupCommit group(*writer_, writes_, options_.batch_max);
    std::vector<OperationPtr> batch;
    while (true) {
        std::optional<std::chrono::milliseconds> patience;
        if (trouble_.present()) {
            patience = kProbeEvery;
        }
        if (!writes_.take(batch, options_.batch_max, patience)) {
            return;
        }
        if (!batch.empty()) {
            write_batch(group, batch);
        } else if (group.probe()) {
            report_recovery();
        }
    }
}

void SqliteDatabase::write_batch(GroupCommit& group, std::vector<OperationPtr>& batch) {
    if (checkpointer_) {
        checkpointer_->enter_batch();
    }
    const BatchReport report = group.run(batch);
    counters_.commits.fetch_add(report.commits, std::memory_order_relaxed);
    counters_.writes.fetch_add(report.writes, std::memory_order_relaxed);
    counters_.retries.fetch_add(report.retries, std::memory_order_relaxed);
    if (report.trouble) {
        report_trouble(reason_of(*report.trouble));
    } else if (report.commits > 0) {
        report_recovery();
    }
    completions_->complete(batch);
    batch.clear();
    if (checkpointer_) {
        checkpointer_->leave_batch();
    }
}

void SqliteDatabase::read_loop(Connection& connection) {
    // A closure whose caller has left is stopped, so that a runaway query cannot keep a reader.
    constexpr int kStepsBetweenChecks = 50'000;
    std::vector<OperationPtr> taken;
    while (reads_.take(taken, 1, std::nullopt)) {
        OperationPtr operation = std::move(taken.front());
        taken.clear();
        if (operation->abandoned) {
            continue;
        }
        sqlite3_progress_handler(
            connection.handle(), kStepsBetweenChecks,
            [](void* current) {
                return static_cast<const Operation*>(current)->abandoned.load() ? 1 : 0;
            },
            operation.get());
        operation->outcome = connection.run("BEGIN");
        if (operation->outcome) {
            operation->outcome = run_closure(connection, *operation);
        }
        sqlite3_progress_handler(connection.handle(), 0, nullptr, nullptr);
        if (connection.in_transaction()) {
            // Read-only: ending it changes nothing, and a failure shows with the next BEGIN.
            static_cast<void>(connection.run("COMMIT"));
        }
        if (!operation->outcome && is_trouble(operation->outcome.error())) {
            report_trouble(reason_of(operation->outcome.error()));
        }
        completions_->complete(std::move(operation));
    }
}

}  // namespace nave::storage::sqlite
