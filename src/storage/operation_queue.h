// OperationQueue: accepted closures waiting for a worker; bounded, first in first out.
// Any thread.
#pragma once

#include "storage/operation.h"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

namespace nave::storage {

class OperationQueue {
  public:
    explicit OperationQueue(std::size_t waiting_max) : waiting_max_(waiting_max) {}

    enum class Pushed : std::uint8_t { accepted, full, closed };
    [[nodiscard]] Pushed push(OperationPtr operation);
    // In front of all others, whatever the bound: it was accepted before.
    void put_back(OperationPtr operation);

    // Moves up to `max` operations to `into`, waiting for the first at most `patience` (for ever
    // when nullopt). Nothing is taken after that wait or wake(). False: closed and empty.
    [[nodiscard]] bool take(std::vector<OperationPtr>& into, std::size_t max,
                            std::optional<std::chrono::milliseconds> patience);
    // Up to `max` of those that wait now, without waiting.
    void take_now(std::vector<OperationPtr>& into, std::size_t max);
    // Everything that waits, at once and without waiting.
    [[nodiscard]] std::vector<OperationPtr> take_all();

    // Ends one wait of every taker.
    void wake();
    // Refuses what comes later; what waits is still handed out.
    void close();
    [[nodiscard]] bool closed() const;
    [[nodiscard]] std::size_t size() const;

  private:
    void move_out(std::vector<OperationPtr>& into, std::size_t max);

    const std::size_t waiting_max_;
    mutable std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<OperationPtr> waiting_;
    std::size_t takers_ = 0;  // asleep; a push with none asleep needs no system call
    std::uint64_t wakes_ = 0;
    bool closed_ = false;
};

}  // namespace nave::storage
