// Bus: events between the parts of a service and between the processes that share its database.
//
// The bus only wakes and routes. What must not be lost is in the database; a message says at most
// "look there" or carries something that is worthless a moment later. So publishing awaits nothing,
// nothing is stored, and a subscriber that may have missed messages is told so (`on_gap`) and reads
// the database instead. Two forms: local/ within this process; redis/ between processes, where
// losing the server turns state() to degraded, services poll until it is back, and then see a gap.
//
// Promises of every form:
// - A handler runs on the loop, in a later turn than the publish, never inside a call to the bus.
// - Publishers hear themselves. One publisher's messages of a topic arrive in the order they were
//   published.
// - A subscriber gets what is published after subscribe() has returned, or a gap; possibly also
//   what was published just before.
// - Once its Subscription has ended, a handler is not called again; a running one finishes, and is
//   destroyed after that.
// - Everything is bounded; what is refused is counted.
//
// Loop thread only. Handlers do not throw.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>

namespace nave::bus {

struct BusLimits {
    std::size_t payload_bytes_max = 256 * 1024;
    std::size_t queued_max = 65'536;                       // messages waiting for delivery
    std::size_t queued_bytes_max = std::size_t{32} << 20;  // of their topics and payloads
    std::size_t subscriptions_max = 262'144;
};

struct BusStats {
    std::size_t subscriptions = 0;
    std::size_t queued = 0;
    std::uint64_t published = 0;          // accepted
    std::uint64_t delivered = 0;          // handler calls
    std::uint64_t refused_full = 0;       // the queue was full
    std::uint64_t refused_too_large = 0;  // payload over the limit
    std::uint64_t refused_topic = 0;      // not a topic
    std::uint64_t malformed = 0;          // from outside, and none of ours
    std::uint64_t gaps = 0;               // times subscribers were told to look for themselves
};

enum class BusState : std::uint8_t {
    connected,
    degraded,  // other processes are not heard: poll the database
};

// Views are valid during the call.
using MessageHandler =
    std::move_only_function<void(std::string_view topic, std::string_view payload)>;
using GapHandler = std::move_only_function<void()>;

// Ends when destroyed; may outlive the bus.
class [[nodiscard]] Subscription {
  public:
    Subscription() = default;
    explicit Subscription(std::move_only_function<void()> end) : end_(std::move(end)) {}
    Subscription(Subscription&& other) noexcept : end_(std::exchange(other.end_, nullptr)) {}
    Subscription& operator=(Subscription&& other) noexcept {
        auto end = std::exchange(other.end_, nullptr);
        reset();
        end_ = std::move(end);
        return *this;
    }
    ~Subscription() { reset(); }

    void reset() {
        if (auto end = std::exchange(end_, nullptr)) {
            end();
        }
    }
    explicit operator bool() const { return end_ != nullptr; }

  private:
    std::move_only_function<void()> end_;
};

class Bus {
  public:
    virtual ~Bus() = default;

    // Whether the message was accepted, which does not say that anybody receives it.
    virtual bool publish(std::string_view topic, std::string_view payload) = 0;
    // Errors "bus.bad_topic", "bus.too_many_subscriptions". Without `on_gap` gaps go unnoticed.
    [[nodiscard]] virtual Result<Subscription> subscribe(std::string_view topic,
                                                         MessageHandler on_message,
                                                         GapHandler on_gap = nullptr) = 0;
    [[nodiscard]] virtual BusState state() const = 0;
    [[nodiscard]] virtual BusStats stats() const = 0;
};

// 1 to 200 characters of A-Z a-z 0-9 . _ - : / @ # = +
[[nodiscard]] bool is_topic(std::string_view text);

}  // namespace nave::bus
