// LocalBus: the bus of a single process. One queue for all topics, delivered in the next loop turn;
// what handlers publish goes to the turn after, so that a loop of wakes does not starve the
// sockets.
#pragma once

#include "bus/bus.h"
#include "runtime/loop.h"

#include <memory>

namespace nave::bus {

class LocalBus final : public Bus {
  public:
    explicit LocalBus(Loop& loop, BusLimits limits = BusLimits());
    ~LocalBus() override;
    LocalBus(const LocalBus&) = delete;
    LocalBus& operator=(const LocalBus&) = delete;

    bool publish(std::string_view topic, std::string_view payload) override;
    [[nodiscard]] Result<Subscription> subscribe(std::string_view topic, MessageHandler on_message,
                                                 GapHandler on_gap = nullptr) override;
    // In a later turn, the subscribers of one topic or of all are told that they missed something.
    void tell_gap(std::string_view topic);
    void tell_gap();
    [[nodiscard]] BusState state() const override { return BusState::connected; }
    [[nodiscard]] BusStats stats() const override;

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace nave::bus
