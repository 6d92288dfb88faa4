// Ring: a queue in one piece of memory, which it does not have before its first element. For queues
// of which there are thousands, nearly all of them empty: a std::deque takes half a kilobyte at
// once.
#pragma once

#include "base/check.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace nave {

template <class T>
class Ring {
  public:
    Ring() = default;
    Ring(Ring&& other) noexcept
        : slots_(std::move(other.slots_)),
          capacity_(std::exchange(other.capacity_, 0)),
          head_(std::exchange(other.head_, 0)),
          size_(std::exchange(other.size_, 0)) {}
    Ring& operator=(Ring&& other) noexcept {
        Ring taken(std::move(other));
        std::swap(slots_, taken.slots_);
        std::swap(capacity_, taken.capacity_);
        std::swap(head_, taken.head_);
        std::swap(size_, taken.size_);
        return *this;
    }

    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] T& operator[](std::size_t index) { return slots_[place(index)]; }
    [[nodiscard]] const T& operator[](std::size_t index) const { return slots_[place(index)]; }
    [[nodiscard]] T& front() { return slots_[head_]; }
    [[nodiscard]] const T& front() const { return slots_[head_]; }

    void push_back(T value) {
        if (size_ == capacity_) {
            move_to(capacity_ == 0 ? kFirst : 2 * capacity_);
        }
        slots_[place(size_)] = std::move(value);
        ++size_;
    }
    T pop_front() {
        DCHECK(size_ > 0, "an element to take");
        T value = std::exchange(slots_[head_], T());
        --size_;
        // An empty one begins again where its memory is still at hand.
        head_ = size_ == 0 ? 0 : static_cast<std::uint32_t>(place(1));
        return value;
    }
    // Those behind it move up.
    void erase(std::size_t index) {
        DCHECK(index < size_, "an element to erase");
        for (std::size_t i = index; i + 1 < size_; ++i) {
            (*this)[i] = std::move((*this)[i + 1]);
        }
        (*this)[size_ - 1] = T();
        --size_;
    }
    void clear() { *this = Ring(); }
    // Gives the memory of a former burst back, when nothing is left of it.
    void shrink() {
        if (size_ == 0 && capacity_ > kFirst) {
            clear();
        }
    }

    // For range-based loops.
    template <class Container>
    class Iterator {
      public:
        Iterator(Container& ring, std::size_t index) : ring_(&ring), index_(index) {}
        [[nodiscard]] auto& operator*() const { return (*ring_)[index_]; }
        Iterator& operator++() {
            ++index_;
            return *this;
        }
        [[nodiscard]] bool operator!=(const Iterator& other) const {
            return index_ != other.index_;
        }

      private:
        Container* ring_;
        std::size_t index_;
    };
    [[nodiscard]] auto begin() { return Iterator<Ring>(*this, 0); }
    [[nodiscard]] auto end() { return Iterator<Ring>(*this, size_); }
    [[nodiscard]] auto begin() const { return Iterator<const Ring>(*this, 0); }
    [[nodiscard]] auto end() const { return Iterator<const Ring>(*this, size_); }

  private:
    static constexpr std::uint32_t kFirst = 4;
    // Capacities are powers of two.
    [[nodiscard]] std::size_t place(std::size_t index) const {
        return (head_ + index) & (capacity_ - 1U);
    }
    void move_to(std::uint32_t capacity) {
        auto slots = std::make_unique<T[]>(capacity);
        for (std::size_t i = 0; i < size_; ++i) {
            slots[i] = std::move((*this)[i]);
        }
        slots_ = std::move(slots);
        capacity_ = capacity;
        head_ = 0;
    }

    std::unique_ptr<T[]> slots_;
    std::uint32_t capacity_ = 0;
    std::uint32_t head_ = 0;
    std::uint32_t size_ = 0;
};

}  // namespace nave
