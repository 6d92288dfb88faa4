// Admission: what the clients of one server may hold altogether, and each of them.
//
// BodyBudget counts the bytes of request bodies kept in memory. One body is bounded by its route;
// without a budget for all, every connection could keep one unfinished.
// PeerTable counts connections by client address, so that one client cannot take them all.
//
// Loop thread only.
#pragma once

#include "net/ip.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

namespace nave::net {

class BodyBudget {
  public:
    explicit BodyBudget(std::size_t bytes_max) : bytes_max_(bytes_max) {}
    BodyBudget(const BodyBudget&) = delete;
    BodyBudget& operator=(const BodyBudget&) = delete;

    // What one request holds; returned when it is destroyed. Must not outlive the budget.
    class Share {
      public:
        Share() = default;
        explicit Share(BodyBudget& budget) : budget_(&budget) {}
        Share(Share&& from) noexcept
            : budget_(std::exchange(from.budget_, nullptr)),
              bytes_(std::exchange(from.bytes_, 0)) {}
        Share& operator=(Share&& from) noexcept {
            release();
            budget_ = std::exchange(from.budget_, nullptr);
            bytes_ = std::exchange(from.bytes_, 0);
            return *this;
        }
        ~Share() { release(); }

        // False, and nothing taken, when all bodies together would be over the budget.
        [[nodiscard]] bool grow(std::size_t bytes);
        // For bytes that are there already: counted in any case.
        void count(std::size_t bytes);

      private:
        void release();
        BodyBudget* budget_ = nullptr;
        std::size_t bytes_ = 0;
    };

    [[nodiscard]] std::size_t used() const { return used_; }

  private:
    std::size_t bytes_max_;
    std::size_t used_ = 0;
};

class PeerTable : public std::enable_shared_from_this<PeerTable> {
  public:
    // 0 for no limit.
    explicit PeerTable(std::size_t per_peer_max) : per_peer_max_(per_peer_max) {}

    using Key = std::array<std::uint8_t, 16>;
    // A place of one connection; given back when it is destroyed, at the latest.
    class Slot {
      public:
        Slot() = default;
        Slot(Slot&& from) noexcept = default;
        Slot& operator=(Slot&& from) noexcept;
        ~Slot() { release(); }

      private:
        friend class PeerTable;
        Slot(std::shared_ptr<PeerTable> table, const Key& key)
            : table_(std::move(table)), key_(key) {}
        void release();
        std::shared_ptr<PeerTable> table_;  // null: not counted
        Key key_{};
    };

    // Whether one more fits; takes it then.
    [[nodiscard]] bool admit(const IpAddress& peer, Slot& slot);
    [[nodiscard]] std::size_t peers() const { return counts_.size(); }

  private:
    std::size_t per_peer_max_;
    std::map<Key, std::uint32_t> counts_;
};

}  // namespace nave::net
