// Completions: the callers that wait for their operations, on the loop. It brings outcomes back
// from the workers (one post for all that are ready), ends waits whose deadline passed, and makes
// both a late outcome and a cancelled caller harmless.
//
// Every operation has the same deadline distance, so the oldest expires first and one timer serves
// all of them. The object outlives the database while outcomes are still on their way to the loop.
#pragma once

#include "runtime/loop.h"
#include "storage/operation.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace nave::storage {

class Completions : public std::enable_shared_from_this<Completions> {
  public:
    static std::shared_ptr<Completions> create(Loop& loop);
    ~Completions();
    Completions(const Completions&) = delete;
    Completions& operator=(const Completions&) = delete;

    // Loop thread, in the same turn that handed `operation` to a worker: its outcome, or
    // "storage.timeout", or "storage.cancelled".
    Task<Result<void>> wait(OperationPtr operation);

    // Any thread: `outcome` of each is set and the worker is done with it.
    void complete(std::span<OperationPtr> operations);
    void complete(OperationPtr operation) { complete(std::span(&operation, 1)); }

    [[nodiscard]] std::uint64_t timed_out() const { return timed_out_.load(); }

  private:
    struct Timer;
    explicit Completions(Loop& loop);

    void cancel(const OperationPtr& operation);
    void deliver();
    void finish(Operation& operation, Result<void> outcome);
    void link(const OperationPtr& operation);
    void unlink(Operation& operation);
    void arm();
    void expire();

    Loop& loop_;
    std::unique_ptr<Timer> timer_;
    bool armed_ = false;
    Operation* oldest_ = nullptr;
    Operation* newest_ = nullptr;
    std::atomic<std::uint64_t> timed_out_{0};

    std::mutex mutex_;
    std::vector<OperationPtr> ready_;
};

}  // namespace nave::storage
