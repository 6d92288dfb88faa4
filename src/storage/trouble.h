// Trouble: what is wrong with a database right now, written by workers, read by health checks.
// Any thread; reading costs one atomic load while all is well.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace nave::storage {

class Trouble {
  public:
    // True when this is news: it was healthy before.
    bool set(std::string reason) {
        const std::lock_guard lock(mutex_);
        reason_ = std::move(reason);
        return !present_.exchange(true);
    }
    // True when this is news: it was in trouble before.
    bool clear() { return present_.load(std::memory_order_relaxed) && present_.exchange(false); }

    [[nodiscard]] bool present() const { return present_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::optional<std::string> reason() const {
        if (!present_.load()) {
            return std::nullopt;
        }
        const std::lock_guard lock(mutex_);
        return reason_;
    }

  private:
    std::atomic<bool> present_{false};
    mutable std::mutex mutex_;
    std::string reason_;
};

}  // namespace nave::storage
