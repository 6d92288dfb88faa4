#include "broker/observer_rows.h"

#include "base/json_writer.h"
#include "broker/hex_key.h"

#include <functional>
#include <optional>

namespace nave::broker {
namespace {

constexpr std::size_t kKeyPrefix = 12;
constexpr std::size_t kGroupsShown = 8;

std::size_t hash_of(const Groups& groups) {
    std::size_t hash = groups.size();
    for (const Group& group : groups) {
        hash = hash * 31 + std::hash<std::string>()(group.name);
    }
    return hash;
}

void optional_time(json::ObjectWriter& writer, std::string_view name,
                   const std::optional<UnixMillis>& at) {
    if (at) {
        writer.integer(name, *at);
    } else {
        writer.raw(name, "null");
    }
}

std::string groups_json(const Groups& groups) {
    std::string out = "[";
    for (std::size_t i = 0; i < groups.size() && i < kGroupsShown; ++i) {
        out.append(i == 0 ? "" : ",");
        json::append_quoted(out, groups.at(i).name);
    }
    out.push_back(']');
    return out;
}

}  // namespace

PeerSight sight_of(const Presence& peer, const DeliveryLimits& limits, UnixMillis now) {
    PeerSight sight;
    sight.status = peer.status.status;
    sight.source = peer.status.source;
    sight.status_at = peer.status.updated_at;
    sight.connected = peer.is_there();
    sight.elsewhere = peer.remote();
    sight.connection = peer.connection;
    sight.in_flight = peer.in_flight.size();
    sight.buffered = peer.connected() ? peer.socket->buffered() : 0;
    sight.acknowledges = peer.acknowledges;
    sight.slow =
        peer.connected() &&
        (sight.in_flight >= limits.in_flight_max || sight.buffered >= limits.buffered_max ||
         (!peer.in_flight.empty() &&
          now - peer.in_flight.front().envelope->pushed_at >= kSlowAfterMs));
    sight.groups_hash = hash_of(peer.profile.groups);
    return sight;
}

const std::string& name_of(const Presence& peer) {
    return peer.profile.display_name.empty() ? peer.member.display_name : peer.profile.display_name;
}

std::string key_prefix(const Key& key) {
    return hex_key(key).substr(0, kKeyPrefix);
}

void append_peer(std::string& out, const Presence& peer, const PeerSight& sight,
                 std::string_view mesh_slug) {
    json::ObjectWriter writer(out);
    writer.plain("id", peer.id);
    writer.text("mesh", mesh_slug);
    writer.text("name", name_of(peer));
    writer.plain("key", key_prefix(peer.key()));
    writer.boolean("session", peer.session_key.has_value());
    writer.plain("role", peer.member.role == Role::admin ? "admin" : "member");
    writer.plain("status", status_name(sight.status));
    writer.plain("source", source_name(sight.source));
    writer.integer("statusAt", sight.status_at);
    writer.raw("groups", groups_json(peer.profile.groups));
    writer.integer("groupCount", static_cast<std::int64_t>(peer.profile.groups.size()));
    writer.boolean("elsewhere", peer.remote());
    writer.integer("connectedAt", peer.connected_at);
    optional_time(writer, "leaseEndsAt", peer.lease_ends_at);
    writer.integer("inFlight", static_cast<std::int64_t>(sight.in_flight));
    writer.integer("buffered", static_cast<std::int64_t>(sight.buffered));
    writer.boolean("acknowledges", sight.acknowledges);
    writer.boolean("slow", sight.slow);
    writer.close();
}

void append_mesh_row(std::string& out, const Mesh& mesh, const MeshCount& count,
                     std::size_t capacity, const MeshQueue& queue) {
    json::ObjectWriter writer(out);
    writer.plain("id", mesh.id);
    writer.text("name", mesh.name);
    writer.text("slug", mesh.slug);
    writer.integer("connected", static_cast<std::int64_t>(count.connected));
    writer.integer("leased", static_cast<std::int64_t>(count.leased));
    writer.integer("capacity", static_cast<std::int64_t>(capacity));
    writer.integer("queued", queue.envelopes);
    optional_time(writer, "oldestAt",
                  queue.envelopes > 0 ? std::optional(queue.oldest_at) : std::nullopt);
    writer.close();
}

}  // namespace nave::broker
