// Operation: one accepted closure between the loop, where its caller waits, and the worker that
// runs it. Worker and loop share it; whichever needs it last destroys it.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "storage/database.h"

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

namespace nave::storage {

struct JobAccess : Database {
    // Names the protected types of Database for the workers.
    using Database::Access;
    using Database::Job;
};
using Access = JobAccess::Access;
using Job = JobAccess::Job;

struct Operation {
    Operation(Access access_in, std::shared_ptr<Job> job_in, SteadyTime deadline_in)
        : access(access_in), job(std::move(job_in)), deadline(deadline_in) {}

    const Access access;
    const std::shared_ptr<Job> job;
    const SteadyTime deadline;

    // Set on the loop when the caller stopped waiting; a worker that sees it does not start.
    std::atomic<bool> abandoned{false};

    // Worker side, until handed to Completions.
    int attempts = 0;
    Result<void> outcome;

    // Loop side: the waiting caller and its place among the others, oldest first.
    std::move_only_function<void(Result<void>)> resume;
    std::shared_ptr<Operation> keep;
    Operation* newer = nullptr;
    Operation* older = nullptr;
};

using OperationPtr = std::shared_ptr<Operation>;

// Runs the closure; an exception that leaves it becomes Code::internal.
[[nodiscard]] Result<void> run_guarded(Job& job, Transaction& tx);

}  // namespace nave::storage
