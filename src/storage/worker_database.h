// WorkerDatabase: what the stores share - accepting closures within bounds, waiting for their
// outcome on the loop, counters and trouble. A store adds its worker threads.
#pragma once

#include "runtime/log.h"
#include "runtime/loop.h"
#include "storage/completions.h"
#include "storage/open.h"
#include "storage/operation.h"
#include "storage/operation_queue.h"
#include "storage/trouble.h"

#include <atomic>
#include <cstdint>
#include <memory>

namespace nave::storage {

class WorkerDatabase : public Database {
  public:
    [[nodiscard]] std::optional<std::string> trouble() const override { return trouble_.reason(); }
    [[nodiscard]] DatabaseStats stats() const override;

  protected:
    struct Counters {
        std::atomic<std::uint64_t> commits{0};
        std::atomic<std::uint64_t> writes{0};
        std::atomic<std::uint64_t> retries{0};
        std::atomic<std::uint64_t> reconnects{0};
        std::atomic<std::uint64_t> refused_busy{0};
    };

    WorkerDatabase(Loop& loop, const Logger& logger, const Options& options);

    Task<Result<void>> submit_to(OperationQueue& queue, Access access, std::shared_ptr<Job> job);
    [[nodiscard]] virtual std::size_t queued() const = 0;

    // Worker threads; each says in the log when the state changes.
    void report_trouble(const std::string& reason);
    void report_recovery();

    const Logger logger_;
    const Options options_;
    const std::shared_ptr<Completions> completions_;
    Counters counters_;
    Trouble trouble_;
};

}  // namespace nave::storage
