// Broker: arriving as one of several nodes, where the database decides who gets in.
#include "base/check.h"
#include "broker/broker.h"
#include "broker/cluster.h"
#include "broker/errors.h"

#include <utility>

namespace nave::broker {
namespace {

constexpr std::chrono::milliseconds kTurnWait{2};

// One member's arrivals at this node follow each other, so that they end in the order in which the
// database took them.
class Turn {
  public:
    Turn(std::set<std::string>& taken, std::string who) : taken_(taken), who_(std::move(who)) {
        taken_.insert(who_);
    }
    ~Turn() { taken_.erase(who_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

  private:
    std::set<std::string>& taken_;
    std::string who_;
};

}  // namespace

// A member that has joined by another node a moment ago.
Task<Result<const Member*>> Broker::find_newcomer(std::string mesh_id, Key key) {
    CO_TRY(auto found, co_await meshes.member_by_key(mesh_id, key));
    if (!found || found->revoked_at || !registry.knows_mesh(mesh_id)) {
        co_return nullptr;
    }
    registry.add_member(std::move(*found));
    co_return registry.member_by_key(mesh_id, key);
}

Task<Result<std::expected<Arrival, HelloRefusal>>> Broker::admit_among_nodes(
    Member member, std::optional<Key> session_key, std::optional<HelloStamp> hello, Profile profile,
    net::WebSocketPtr socket) {
    using Outcome = std::expected<Arrival, HelloRefusal>;
    const auto refused = [](HelloRefusal why) { return Outcome(std::unexpected(why)); };
    while (arriving_.contains(member.id)) {
        co_await loop_.sleep(kTurnWait);
    }
    const Turn turn(arriving_, member.id);
    PresencePtr made = make_presence(member, session_key, std::move(profile), std::move(socket));
    ArrivalRequest request;
    request.row = cluster->row_of(*made);
    request.hello = std::move(hello);
    request.capacity = config.connections_per_mesh_max;
    CO_TRY(const ArrivalOutcome outcome, co_await cluster->arrive(std::move(request)));
    switch (outcome.kind) {
        case ArrivalOutcome::Kind::no_mesh:
            co_return refused(HelloRefusal::unauthorized);
        case ArrivalOutcome::Kind::replayed:
            co_return refused(HelloRefusal::replayed);
        case ArrivalOutcome::Kind::full:
            co_return refused(HelloRefusal::capacity);
        case ArrivalOutcome::Kind::added:
        case ArrivalOutcome::Kind::resumed:
            break;
    }
    const bool resumed = outcome.kind == ArrivalOutcome::Kind::resumed;
    Presence* known = registry.find(outcome.row.id);
    if (known != nullptr && known->version > outcome.row.version) {
        // The peer is elsewhere already.
        made->socket->close(net::ws_close::kNormal, "session_replaced");
        co_return errors::busy();
    }
    made->id = outcome.row.id;
    made->version = outcome.row.version;
    made->arrivals = outcome.row.arrivals;
    // The member may have been removed meanwhile.
    if (registry.member_by_id(member.mesh_id, member.id) == nullptr) {
        cluster->departed(*made);
        co_return refused(registry.is_revoked(member.mesh_id, member.key)
                              ? HelloRefusal::revoked
                              : HelloRefusal::unauthorized);
    }
    if (known == nullptr) {
        if (resumed) {
            made->profile = outcome.row.profile;
            made->status = outcome.row.status;
            made->connected_at = outcome.row.connected_at;
        }
        known = &settle_in(std::move(made), !resumed);
    } else {
        take_over(*known, outcome.row, std::move(made->socket));
    }
    cluster->arrived(*known, outcome.ended);
    co_return Outcome(Arrival{known, resumed});
}

// The presence was here already, or is the copy of what another node had.
void Broker::take_over(Presence& presence, const PresenceRow& row, net::WebSocketPtr socket) {
    if (presence.connected()) {
        const net::WebSocketPtr former = presence.socket;
        delivery.on_disconnect(presence);
        registry.set_disconnected(presence, clock.now());
        former->close(net::ws_close::kNormal, "session_replaced");
    }
    presence.node.clear();
    presence.version = row.version;
    presence.arrivals = row.arrivals;
    presence.status = row.status;
    presence.last_seen_at = clock.now();
    registry.set_connected(presence, std::move(socket));
}

// Another node has ended it, in the database too.
void Broker::end(Presence& presence, std::uint16_t code, std::string_view reason) {
    const net::WebSocketPtr socket = presence.socket;
    remove(presence);
    if (socket != nullptr) {
        socket->close(code, reason);
    }
}

}  // namespace nave::broker
