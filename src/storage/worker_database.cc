#include "storage/worker_database.h"

#include "storage/errors.h"

#include <chrono>
#include <utility>

namespace nave::storage {

WorkerDatabase::WorkerDatabase(Loop& loop, const Logger& logger, const Options& options)
    : logger_(logger.child("storage")),
      options_(options),
      completions_(Completions::create(loop)) {}

DatabaseStats WorkerDatabase::stats() const {
    DatabaseStats stats;
    stats.commits = counters_.commits.load();
    stats.writes = counters_.writes.load();
    stats.retries = counters_.retries.load();
    stats.reconnects = counters_.reconnects.load();
    stats.refused_busy = counters_.refused_busy.load();
    stats.timed_out = completions_->timed_out();
    stats.queued = queued();
    return stats;
}

Task<Result<void>> WorkerDatabase::submit_to(OperationQueue& queue, Access access,
                                             std::shared_ptr<Job> job) {
    const SteadyTime deadline = std::chrono::steady_clock::now() + options_.deadline;
    auto operation = std::make_shared<Operation>(access, std::move(job), deadline);
    switch (queue.push(operation)) {
        case OperationQueue::Pushed::full:
            counters_.refused_busy.fetch_add(1, std::memory_order_relaxed);
            co_return busy("queue full");
        case OperationQueue::Pushed::closed:
            co_return fail(Code::unavailable, "storage.closed", "The server is shutting down.");
        case OperationQueue::Pushed::accepted:
            break;
    }
    co_return co_await completions_->wait(std::move(operation));
}

void WorkerDatabase::report_trouble(const std::string& reason) {
    if (trouble_.set(reason)) {
        logger_.warn("database in trouble", {{"database", describe()}, {"reason", reason}});
    }
}

void WorkerDatabase::report_recovery() {
    if (trouble_.clear()) {
        logger_.info("database recovered", {{"database", describe()}});
    }
}

}  // namespace nave::storage
