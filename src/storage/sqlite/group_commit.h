// GroupCommit: many closures, one durable commit. Each closure of a batch runs inside a savepoint
// of one transaction, so that one that fails takes nothing of the others with it; the cost of
// reaching the disk is paid once for all of them. What arrives while a batch runs still joins it,
// so that callers do not fall into two groups that wait for each other's commits.
// One thread, the writer's.
#pragma once

#include "storage/operation.h"
#include "storage/operation_queue.h"
#include "storage/sqlite/connection.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace nave::storage::sqlite {

struct BatchReport {
    std::uint64_t commits = 0;
    std::uint64_t writes = 0;   // closures whose effects were committed
    std::uint64_t retries = 0;  // closures run a second time
    std::optional<Error> trouble;
};

class GroupCommit {
  public:
    GroupCommit(Connection& connection, OperationQueue& queue, std::size_t batch_max)
        : connection_(connection), queue_(queue), batch_max_(batch_max) {}

    // Sets `outcome` of every operation, and of those that it adds from the queue.
    [[nodiscard]] BatchReport run(std::vector<OperationPtr>& batch);

    // A transaction that writes without changing anything: whether the disk works again.
    [[nodiscard]] Result<void> probe();

  private:
    enum class Together : std::uint8_t { done, separate };

    [[nodiscard]] Together run_together(std::vector<OperationPtr>& batch);
    [[nodiscard]] Result<void> run_first(Operation& operation);
    [[nodiscard]] Result<void> run_next(Operation& operation);
    void run_alone(Operation& operation);
    [[nodiscard]] Result<void> execute(Operation& operation);
    [[nodiscard]] Result<void> undo_savepoint();
    [[nodiscard]] Result<void> commit();
    void roll_back();

    Connection& connection_;
    OperationQueue& queue_;
    const std::size_t batch_max_;
    BatchReport report_;
};

}  // namespace nave::storage::sqlite
