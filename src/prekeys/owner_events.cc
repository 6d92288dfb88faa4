#include "prekeys/owner_events.h"

#include "prekeys/errors.h"

#include <fmt/format.h>

namespace nave::prekeys {
namespace {

constexpr std::size_t kOwnersMax = 10'000;

// Channels come and go; ids from the clock keep one of an earlier channel or process from being
// taken for one of this (see Observer).
net::SseLimits limits_from(UnixMillis now) {
    return {.ring_max = 32,
            .clients_max = 4,
            .queue_events_max = 64,
            .queue_bytes_max = 16 * 1024,
            .ids_after = static_cast<std::uint64_t>(now) * 1000};
}

bool ends_streams(EventType type) {
    return type == EventType::identity_rotated || type == EventType::deleted ||
           type == EventType::identity_purged;
}

}  // namespace

void OwnerEvents::on_event(const Event& event) {
    const std::string_view name = owner_event_name(event.type);
    if (!event.address) {
        return;
    }
    if (ends_streams(event.type)) {
        // The channel closes its readers, and nothing of it is resumed by the next owner.
        channels_.erase(event.address->text());
        return;
    }
    if (name.empty()) {
        return;
    }
    const auto found = channels_.find(event.address->text());
    if (found == channels_.end()) {
        return;
    }
    std::string data = fmt::format(R"({{"ts":{})", event.at);
    if (event.remaining) {
        fmt::format_to(std::back_inserter(data),
                       R"(,"oneTimePreKeyCount":{},"kemOneTimePreKeyCount":{})",
                       event.remaining->one_time, event.remaining->kem_one_time);
    }
    data.push_back('}');
    found->second->publish(name, data);
}

Result<net::Response> OwnerEvents::subscribe(const Address& address, std::string_view last_event_id,
                                             std::int64_t restore_epoch, UnixMillis now) {
    auto found = channels_.find(address.text());
    if (found == channels_.end()) {
        if (channels_.size() >= kOwnersMax) {
            return errors::too_many("Too many owners are listening.");
        }
        found =
            channels_.emplace(address.text(), std::make_unique<net::SseChannel>(limits_from(now)))
                .first;
    }
    if (found->second->full()) {
        return errors::too_many("This address has enough event streams open.");
    }
    net::Response response = found->second->subscribe(last_event_id);
    if (restore_epoch > 0 && response.stream) {
        // Without an id: it is no part of what Last-Event-ID resumes.
        std::string hello =
            net::sse_frame(std::nullopt, owner_event_name(EventType::restore_epoch),
                           fmt::format(R"({{"ts":{},"restoreEpoch":{}}})", now, restore_epoch));
        response.stream = [hello = std::move(hello), follow = std::move(response.stream)](
                              std::shared_ptr<net::ResponseStream> stream) mutable {
            if (stream->write(hello)) {
                follow(std::move(stream));
            }
        };
    }
    return response;
}

void OwnerEvents::heartbeat() {
    for (auto& [address, channel] : channels_) {
        channel->heartbeat();
    }
    std::erase_if(channels_, [](const auto& entry) { return entry.second->clients() == 0; });
}

void OwnerEvents::close() {
    for (auto& [address, channel] : channels_) {
        channel->close();
    }
    channels_.clear();
}

std::size_t OwnerEvents::listeners() const {
    std::size_t n = 0;
    for (const auto& [address, channel] : channels_) {
        n += channel->clients();
    }
    return n;
}

}  // namespace nave::prekeys
