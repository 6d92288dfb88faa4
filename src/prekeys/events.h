// Domain events: what happened, for the observer feed, the owners' streams and the counters.
// They carry no key material; addresses leave this service only as keyed hashes unless the
// operator asked for them (privacy.h).
#pragma once

#include "base/clock.h"
#include "prekeys/types.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nave::prekeys {

enum class EventType : std::uint8_t {
    registered,
    fetched,
    replenished,
    deleted,
    rate_limited,
    key_withheld,  // over a budget: the bundle goes out without a one-time key
    signed_prekey_rotated,
    identity_rotated,
    prekeys_low,
    prekeys_exhausted,
    last_resort_used,
    depletion_suspected,
    identity_conflict,
    identity_key_reused,
    replay_rejected,
    auth_failed,
    purged,           // a whole run, with its count
    identity_purged,  // each of them; ends the owner's stream
    kt_checkpoint,
    restore_epoch,
};
[[nodiscard]] std::string_view event_name(EventType type);
// The name on the owner's own stream ("prekeys.low"), or empty when owners are not told.
[[nodiscard]] std::string_view owner_event_name(EventType type);

struct Event {
    EventType type = EventType::registered;
    UnixMillis at = 0;
    std::optional<Address> address;
    std::optional<Suite> suite;
    std::optional<OneTimeStatus> one_time;
    std::optional<KemStatus> kem;
    std::optional<Stock> remaining;
    std::string client_key;  // rate-limit key of the client address, hashed before it leaves
    std::string_view limit;  // which limit, for rate_limited
    std::optional<std::int64_t> count;
    std::optional<std::int64_t> tree_size;
    std::optional<std::int64_t> signed_prekey_age_ms;  // of the bundle, for fetched
};

class EventSink {
  public:
    virtual ~EventSink() = default;
    virtual void on_event(const Event& event) = 0;
};

}  // namespace nave::prekeys
