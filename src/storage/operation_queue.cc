#include "storage/operation_queue.h"

#include <algorithm>
#include <iterator>

namespace nave::storage {

OperationQueue::Pushed OperationQueue::push(OperationPtr operation) {
    bool wake_one = false;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) {
            return Pushed::closed;
        }
        if (waiting_.size() >= waiting_max_) {
            return Pushed::full;
        }
        waiting_.push_back(std::move(operation));
        wake_one = takers_ > 0;
    }
    if (wake_one) {
        ready_.notify_one();
    }
    return Pushed::accepted;
}

void OperationQueue::put_back(OperationPtr operation) {
    {
        const std::lock_guard lock(mutex_);
        waiting_.push_front(std::move(operation));
    }
    ready_.notify_one();
}

bool OperationQueue::take(std::vector<OperationPtr>& into, std::size_t max,
                          std::optional<std::chrono::milliseconds> patience) {
    std::unique_lock lock(mutex_);
    if (waiting_.empty() && !closed_) {
        const std::uint64_t wakes = wakes_;
        const auto ready = [&] { return !waiting_.empty() || closed_ || wakes_ != wakes; };
        ++takers_;
        if (patience) {
            ready_.wait_for(lock, *patience, ready);
        } else {
            ready_.wait(lock, ready);
        }
        --takers_;
    }
    const bool finished = closed_ && waiting_.empty();
    move_out(into, max);
    return !finished;
}

void OperationQueue::take_now(std::vector<OperationPtr>& into, std::size_t max) {
    const std::lock_guard lock(mutex_);
    move_out(into, max);
}

void OperationQueue::move_out(std::vector<OperationPtr>& into, std::size_t max) {
    const auto count = static_cast<std::ptrdiff_t>(std::min(max, waiting_.size()));
    into.insert(into.end(), std::make_move_iterator(waiting_.begin()),
                std::make_move_iterator(waiting_.begin() + count));
    waiting_.erase(waiting_.begin(), waiting_.begin() + count);
}

std::vector<OperationPtr> OperationQueue::take_all() {
    const std::lock_guard lock(mutex_);
    std::vector<OperationPtr> all(std::make_move_iterator(waiting_.begin()),
                                  std::make_move_iterator(waiting_.end()));
    waiting_.clear();
    return all;
}

void OperationQueue::wake() {
    {
        const std::lock_guard lock(mutex_);
        ++wakes_;
    }
    ready_.notify_all();
}

void OperationQueue::close() {
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    ready_.notify_all();
}

bool OperationQueue::closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
}

std::size_t OperationQueue::size() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
}

}  // namespace nave::storage
