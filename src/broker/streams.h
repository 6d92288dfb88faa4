// Streams: named live feeds within a mesh. What is published goes to those who are subscribed and
// connected at that moment, and is stored nowhere. A stream is there from when somebody names it
// until the last presence of the mesh ends, or until another one needs its place and nobody is
// subscribed. Loop thread only.
//
// Envelopes go before streams: a subscriber whose socket is behind misses data rather than losing
// the connection, and the stream counts that as skipped.
//
// Subscribers of this node only. Between nodes a published frame is handed to publish() of each
// (cluster.h); nothing else of this class is shared.
#pragma once

#include "base/clock.h"
#include "broker/registry.h"
#include "net/websocket.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nave::broker {

struct StreamInfo {
    std::string name;
    std::string created_by;  // the peer's name
    UnixMillis created_at = 0;
    std::size_t subscribers = 0;
    std::uint64_t published = 0;
    std::uint64_t skipped = 0;
};

class Streams {
  public:
    static constexpr std::size_t kStreamsMax = 100;  // of one mesh
    // Queued for a subscriber's socket; with more it is behind.
    static constexpr std::size_t kBehindBytes = 256 * 1024;

    Streams(Registry& registry, const Clock& clock) : registry_(registry), clock_(clock) {}

    // Each makes the stream if need be. False when the mesh has too many in use.
    [[nodiscard]] bool create(const Presence& creator, const std::string& name);
    [[nodiscard]] bool subscribe(const Presence& subscriber, const std::string& name);
    [[nodiscard]] bool publish(const Presence& publisher, const std::string& name,
                               const net::SharedFrame& frame);
    void unsubscribe(const Presence& subscriber, const std::string& name);
    // The presence is about to be removed from the registry.
    void on_depart(const Presence& presence);

    // By name.
    [[nodiscard]] std::vector<StreamInfo> list(const std::string& mesh_id) const;
    [[nodiscard]] std::vector<std::string> names(const std::string& mesh_id) const;

  private:
    struct Stream {
        StreamInfo info;
        UnixMillis used_at = 0;
        std::vector<std::string> subscribers;  // presence ids, which outlive a lost connection
    };
    using MeshStreams = std::map<std::string, Stream>;

    // Null when there is no room.
    [[nodiscard]] Stream* find_or_make(const Presence& user, const std::string& name);
    [[nodiscard]] static bool make_room(MeshStreams& streams);

    Registry& registry_;
    const Clock& clock_;
    std::unordered_map<std::string, MeshStreams> meshes_;
};

}  // namespace nave::broker
