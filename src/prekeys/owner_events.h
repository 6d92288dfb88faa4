// The owner's own event stream (GET /v1/keys/events): tells a client that its keys run low, that a
// last resort was used, that somebody tried to take its address, or that the server was restored.
#pragma once

#include "net/sse.h"
#include "prekeys/events.h"

#include <map>
#include <memory>
#include <string>

namespace nave::prekeys {

// A stream belongs to the key that signed for it: when the address gets another key, or loses it,
// the streams end. Who is still the owner signs for a new one.
class OwnerEvents final : public EventSink {
  public:
    void on_event(const Event& event) override;
    // When the store was ever restored, each stream begins with `restore.epoch`, so that an owner
    // who was away hears of it however it comes back. Error SHADE_RATE_LIMITED when too many
    // listen.
    [[nodiscard]] Result<net::Response> subscribe(const Address& address,
                                                  std::string_view last_event_id,
                                                  std::int64_t restore_epoch, UnixMillis now);
    void heartbeat();  // also forgets channels nobody listens to
    void close();
    [[nodiscard]] std::size_t listeners() const;

  private:
    std::map<std::string, std::unique_ptr<net::SseChannel>> channels_;
};

}  // namespace nave::prekeys
