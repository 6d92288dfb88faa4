#include "prekeys/events.h"

namespace nave::prekeys {

std::string_view event_name(EventType type) {
    switch (type) {
        case EventType::registered:
            return "registered";
        case EventType::fetched:
            return "fetched";
        case EventType::replenished:
            return "replenished";
        case EventType::deleted:
            return "deleted";
        case EventType::rate_limited:
            return "rate_limited";
        case EventType::key_withheld:
            return "key_withheld";
        case EventType::signed_prekey_rotated:
            return "signed_prekey_rotated";
        case EventType::identity_rotated:
            return "identity_rotated";
        case EventType::prekeys_low:
            return "prekeys_low";
        case EventType::prekeys_exhausted:
            return "prekeys_exhausted";
        case EventType::last_resort_used:
            return "last_resort_used";
        case EventType::depletion_suspected:
            return "depletion_suspected";
        case EventType::identity_conflict:
            return "identity_conflict";
        case EventType::identity_key_reused:
            return "identity_key_reused";
        case EventType::replay_rejected:
            return "replay_rejected";
        case EventType::auth_failed:
            return "auth_failed";
        case EventType::purged:
            return "purged";
        case EventType::identity_purged:
            return "identity_purged";
        case EventType::kt_checkpoint:
            return "kt_checkpoint";
        case EventType::restore_epoch:
            return "restore_epoch";
    }
    return "";
}

std::string_view owner_event_name(EventType type) {
    switch (type) {
        case EventType::prekeys_low:
            return "prekeys.low";
        case EventType::prekeys_exhausted:
            return "prekeys.exhausted";
        case EventType::last_resort_used:
            return "last_resort.used";
        case EventType::identity_conflict:
            return "identity.conflict";
        case EventType::restore_epoch:
            return "restore.epoch";
        default:
            return "";
    }
}

}  // namespace nave::prekeys
