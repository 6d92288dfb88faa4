#include "storage/sqlite/group_commit.h"

#include "storage/sqlite/errors.h"
#include "storage/sqlite/transaction.h"

#include <fmt/format.h>

#include <utility>

namespace nave::storage::sqlite {
namespace {

// IMMEDIATE: a deferred transaction could fail to become a writer half-way through its closures.
constexpr std::string_view kBegin = "BEGIN IMMEDIATE";
constexpr std::string_view kCommit = "COMMIT";
constexpr std::string_view kRollback = "ROLLBACK";
constexpr std::string_view kSave = "SAVEPOINT closure";
constexpr std::string_view kRelease = "RELEASE closure";
constexpr std::string_view kRollbackToSave = "ROLLBACK TO closure";

}  // namespace

BatchReport GroupCommit::run(std::vector<OperationPtr>& batch) {
    report_ = {};
    if (run_together(batch) == Together::separate) {
        report_.retries += batch.size();
        for (const OperationPtr& operation : batch) {
            run_alone(*operation);
        }
    }
    return std::move(report_);
}

// `separate`: the transaction was lost through one closure (SQLite gives up the whole transaction
// when the disk is full, or a deferred constraint fails at COMMIT), and nothing was committed.
GroupCommit::Together GroupCommit::run_together(std::vector<OperationPtr>& batch) {
    if (auto begun = connection_.run(kBegin); !begun) {
        report_.trouble = begun.error();
        for (const OperationPtr& operation : batch) {
            operation->outcome = begun;
        }
        return Together::done;
    }
    std::uint64_t succeeded = 0;
    for (std::size_t next = 0; next < batch.size(); ++next) {
        Operation& operation = *batch[next];
        if (!operation.abandoned) {
            const Result<void> kept = succeeded == 0 ? run_first(operation) : run_next(operation);
            if (!kept) {
                roll_back();
                return Together::separate;
            }
            succeeded += operation.outcome ? 1 : 0;
        }
        if (next + 1 == batch.size() && batch.size() < batch_max_) {
            queue_.take_now(batch, batch_max_ - batch.size());
        }
    }
    if (succeeded == 0) {
        roll_back();
        return Together::done;
    }
    const Result<void> committed = commit();
    if (!committed && committed.error().code == Code::conflict && batch.size() > 1) {
        return Together::separate;
    }
    if (committed) {
        report_.writes += succeeded;
        return Together::done;
    }
    for (const OperationPtr& operation : batch) {
        if (operation->outcome) {
            operation->outcome = committed;
        }
    }
    return Together::done;
}

// While the transaction holds nothing yet, its own beginning serves as the savepoint.
Result<void> GroupCommit::run_first(Operation& operation) {
    operation.outcome = execute(operation);
    if (operation.outcome) {
        return ok();
    }
    roll_back();
    return connection_.run(kBegin);
}

Result<void> GroupCommit::run_next(Operation& operation) {
    TRY_VOID(connection_.run(kSave));
    operation.outcome = execute(operation);
    return operation.outcome ? connection_.run(kRelease) : undo_savepoint();
}

void GroupCommit::run_alone(Operation& operation) {
    operation.outcome = connection_.run(kBegin);
    if (!operation.outcome) {
        report_.trouble = operation.outcome.error();
        return;
    }
    operation.outcome = execute(operation);
    if (!operation.outcome) {
        roll_back();
        return;
    }
    operation.outcome = commit();
    report_.writes += operation.outcome ? 1 : 0;
}

Result<void> GroupCommit::execute(Operation& operation) {
    Result<void> outcome = run_closure(connection_, operation);
    if (!outcome && is_trouble(outcome.error())) {
        report_.trouble = outcome.error();
    }
    return outcome;
}

Result<void> GroupCommit::undo_savepoint() {
    if (!connection_.in_transaction()) {
        return failed("the transaction was rolled back by SQLite");
    }
    TRY_VOID(connection_.run(kRollbackToSave));
    return connection_.run(kRelease);
}

Result<void> GroupCommit::commit() {
    Result<void> committed = connection_.run(kCommit);
    if (committed) {
        ++report_.commits;
    } else {
        if (is_trouble(committed.error())) {
            report_.trouble = committed.error();
        }
        roll_back();
    }
    return committed;
}

void GroupCommit::roll_back() {
    // A failure here leaves nothing to do: SQLite has ended the transaction itself, or ends it with
    // the next statement's error.
    if (connection_.in_transaction()) {
        if (auto done = connection_.run(kRollback); !done && !report_.trouble) {
            report_.trouble = done.error();
        }
    }
}

Result<void> GroupCommit::probe() {
    std::int64_t version = 0;
    SqliteTransaction read(connection_, Access::read);
    TRY(const auto row, read.query_one("PRAGMA user_version"));
    if (row) {
        version = row->integer(0);
    }
    TRY_VOID(connection_.run(kBegin));
    // The header page is written to the log although its content stays the same.
    Result<void> written = connection_.run(fmt::format("PRAGMA user_version={}", version));
    if (written) {
        written = connection_.run(kCommit);
    }
    roll_back();
    return written;
}

}  // namespace nave::storage::sqlite
