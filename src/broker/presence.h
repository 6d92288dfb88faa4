// Presence: one peer in a mesh, for as long as its connection or its reconnect lease lasts. Kept in
// memory by the node that holds its socket, and as a copy by the others; the registry owns it.
#pragma once

#include "base/ring.h"
#include "broker/queue_store.h"
#include "broker/types.h"
#include "net/websocket.h"

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace nave::broker {

// set_profile: how a peer presents itself. Empty: not said.
struct Card {
    std::string avatar;
    std::string title;
    std::string bio;
    std::vector<std::string> capabilities;

    friend bool operator==(const Card&, const Card&) = default;
};

// What a peer says about itself in its hello and later.
struct Profile {
    std::string display_name;
    std::string session_id;
    std::int64_t pid = 0;
    std::string cwd;
    std::string hostname;  // empty: not said; likewise the next three
    std::string peer_type;
    std::string channel;
    std::string model;
    std::optional<std::string> summary;
    std::vector<Group> groups;
    bool visible = true;
    Card card;
    std::string stats;  // set_stats: JSON text of an object; empty: not said
};

// How far the queue of a presence has been read, for urgent envelopes (priority now) and the rest.
struct QueuePosition {
    // Nothing deliverable for the presence is left in the database: new envelopes may be pushed
    // from memory. Otherwise they wait their turn there.
    bool caught_up = false;
    // Envelopes for it that are on their way into the database without a claim.
    std::size_t being_stored = 0;
};

// An envelope that was pushed, one for all who get it.
struct PushedEnvelope : boost::intrusive_ref_counter<PushedEnvelope, boost::thread_unsafe_counter> {
    Sequence sequence = 0;
    std::string id;
    std::string client_message_id;
    // Of an envelope to many: pushes that its list in the database still stands for.
    std::size_t live_left = 0;
    UnixMillis pushed_at = 0;
};
using PushedEnvelopePtr = boost::intrusive_ptr<PushedEnvelope>;

// Pushed and not yet known to have arrived. There are as many as pushes under way: kept small.
struct InFlight {
    PushedEnvelopePtr envelope;
    Part::Kind kind = Part::Kind::direct;
    bool to_member = false;  // under the member's key, not the session's
};

struct Presence : boost::intrusive_ref_counter<Presence, boost::thread_unsafe_counter> {
    std::string id;
    std::string mesh_id;
    Member member;
    std::optional<Key> session_key;
    Profile profile;
    StatusRecord status;
    UnixMillis connected_at = 0;
    UnixMillis last_seen_at = 0;
    std::optional<UnixMillis> lease_ends_at;  // set while disconnected
    bool gone = false;                        // the registry has removed it

    // Several nodes (cluster.h).
    std::string node;           // that has its socket; empty: this one
    std::int64_t version = 1;   // of what is known about it
    std::int64_t arrivals = 1;  // connections it has had
    std::uint64_t heard = 0;    // when news of it came last, counted in news

    net::WebSocketPtr socket;   // null while disconnected
    bool acknowledges = false;  // has sent client_ack on this socket

    // Delivery's own.
    // What was queued for the session before has been offered to its member as well.
    UnixMillis shared_until = 0;
    std::uint32_t connection = 0;            // grows with every connection lost
    std::array<QueuePosition, 2> positions;  // urgent, rest
    std::size_t lane_bytes = 0;  // of envelopes that will be pushed once they are stored
    bool draining = false;
    bool claims_in_doubt = false;  // the last one failed, perhaps after its commit
    bool drain_again = false;
    Ring<InFlight> in_flight;
    bool ping_due = false;  // a ping is to follow what was pushed last
    std::uint64_t pings_sent = 0;
    std::uint64_t pings_answered = 0;
    std::size_t pinged = 0;  // of in_flight, from the front: pushed before the last ping

    // Where envelopes for this peer are addressed to, and what it sends under.
    [[nodiscard]] const Key& key() const { return session_key ? *session_key : member.key; }
    [[nodiscard]] Part part(const InFlight& one) const {
        return {one.envelope->sequence, one.kind, one.to_member ? member.key : key()};
    }
    [[nodiscard]] bool connected() const { return socket != nullptr; }
    [[nodiscard]] bool remote() const { return !node.empty(); }
    // Connected, here or at another node; else it has a lease.
    [[nodiscard]] bool is_there() const { return !lease_ends_at.has_value(); }
    [[nodiscard]] QueuePosition& position(Priority priority) {
        return positions[priority == Priority::now ? 0 : 1];
    }
};
using PresencePtr = boost::intrusive_ptr<Presence>;

}  // namespace nave::broker
