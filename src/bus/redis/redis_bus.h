// RedisBus: one bus for all processes that use the same Redis server and prefix.
//
// Two connections, as a subscribed one can do nothing else: one publishes, one subscribes. Handlers
// of the own process are called through a LocalBus at once and do not wait for Redis; what comes
// back of the own messages is dropped by its origin. So a process that lost Redis still hears
// itself, and each publisher's messages of one topic arrive in order. Messages of two processes
// may be seen in different order by different processes.
//
// Degraded while either connection is down or subscriptions are not confirmed. Everybody of whom
// something may have been missed is told to look: the own subscribers when the subscriptions are
// live again, those of all processes (over a channel of its own) when a publisher is back or had to
// drop messages because Redis took them too slowly. While a process cannot publish, others do not
// know: who depends on it promptly has to tell them by another way.
//
// On the wire: channel <prefix><database>:<topic>, payload '1', 16 bytes of origin, the message.
// Who can reach the Redis server can forge messages; handlers read them as hostile input.
#pragma once

#include "base/entropy.h"
#include "bus/bus.h"
#include "bus/redis/redis_address.h"
#include "bus/redis/redis_link.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/task_group.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nave::bus {

struct RedisOptions {
    std::string prefix = "nave:";
    RedisTimes times;
};

// For the setting: what is wrong with a prefix, or nothing. 1 to 64 characters of topics.
[[nodiscard]] std::optional<std::string> prefix_problem(std::string_view prefix);

class RedisBus final : public Bus {
  public:
    RedisBus(Loop& loop, const Clock& clock, Entropy& entropy, Health& health, Logger logger,
             RedisAddress address, RedisOptions options = RedisOptions(),
             BusLimits limits = BusLimits());
    // stop() was awaited, or start() never called.
    ~RedisBus() override;
    RedisBus(const RedisBus&) = delete;
    RedisBus& operator=(const RedisBus&) = delete;

    // Begins to connect, and waits until connected or for `patience`.
    Task<void> start(std::chrono::milliseconds patience);
    Task<void> stop(std::chrono::milliseconds deadline);

    // True also while degraded: then only this process hears it.
    bool publish(std::string_view topic, std::string_view payload) override;
    [[nodiscard]] Result<Subscription> subscribe(std::string_view topic, MessageHandler on_message,
                                                 GapHandler on_gap = nullptr) override;
    [[nodiscard]] BusState state() const override;
    [[nodiscard]] BusStats stats() const override;

  private:
    struct State;
    std::shared_ptr<State> state_;
    Loop& loop_;
    Logger logger_;
    TaskGroup tasks_;
};

}  // namespace nave::bus
