// What the observer shows of meshes and peers, one row each. Names, places and figures; of keys a
// prefix; never what peers say to each other, store, or say about themselves.
#pragma once

#include "broker/broker.h"
#include "broker/queue_census.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace nave::broker {

// Of a peer, what changes while it is there.
struct PeerSight {
    Status status = Status::idle;
    StatusSource source = StatusSource::jsonl;
    UnixMillis status_at = 0;
    bool connected = false;
    bool elsewhere = false;  // at another node: the next figures are not known here
    std::uint32_t connection = 0;
    std::size_t in_flight = 0;
    std::size_t buffered = 0;
    bool acknowledges = false;
    // Takes so slowly that its envelopes stay in the queue, or has left one unanswered for long.
    bool slow = false;
    std::size_t groups_hash = 0;

    friend bool operator==(const PeerSight&, const PeerSight&) = default;
};

// How long a push may stay unanswered until its peer counts as slow.
inline constexpr UnixMillis kSlowAfterMs = 10'000;

[[nodiscard]] PeerSight sight_of(const Presence& peer, const DeliveryLimits& limits,
                                 UnixMillis now);
// What the peer calls itself, else its member's name.
[[nodiscard]] const std::string& name_of(const Presence& peer);
// The first 12 of 64 hex characters.
[[nodiscard]] std::string key_prefix(const Key& key);
void append_peer(std::string& out, const Presence& peer, const PeerSight& sight,
                 std::string_view mesh_slug);

struct MeshCount {
    std::size_t connected = 0;
    std::size_t leased = 0;
};

void append_mesh_row(std::string& out, const Mesh& mesh, const MeshCount& count,
                     std::size_t capacity, const MeshQueue& queue);

}  // namespace nave::broker
