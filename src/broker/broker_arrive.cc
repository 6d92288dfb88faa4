// Broker: who comes, and what that means for those who are there.
#include "broker/broker.h"
#include "broker/cluster.h"
#include "broker/ids.h"

#include <utility>

namespace nave::broker {

Task<Result<bool>> Broker::ensure_mesh(std::string mesh_id) {
    if (registry.knows_mesh(mesh_id)) {
        co_return true;
    }
    CO_TRY(auto loaded, co_await meshes.load(mesh_id));
    if (!loaded) {
        co_return false;
    }
    // Another hello may have loaded it meanwhile.
    if (!registry.knows_mesh(mesh_id)) {
        registry.load_mesh(std::move(loaded->mesh), std::move(loaded->members));
        if (cluster != nullptr) {
            CO_TRY_VOID(co_await cluster->learn(mesh_id));
        }
    }
    co_return true;
}

bool Broker::is_full(std::string_view mesh_id) const {
    return cluster == nullptr &&  // the database knows
           registry.count(mesh_id) >= config.connections_per_mesh_max &&
           registry.longest_disconnected(mesh_id) == nullptr;
}

bool Broker::may_resume(std::string_view mesh_id, const HelloProof& proof) const {
    const Key& key = proof.session_key ? *proof.session_key : proof.member_key;
    return !registry.with_key(mesh_id, key).empty();
}

// A peer that comes back within its lease goes on as the same presence: known by its session key,
// or without one by session id and key.
Presence* Broker::to_resume(const Member& member, const std::optional<Key>& session_key,
                            std::string_view session_id) const {
    for (Presence* peer : registry.with_key(member.mesh_id, session_key.value_or(member.key))) {
        const bool same_session =
            session_key ? peer->session_key == session_key
                        : !peer->session_key && peer->profile.session_id == session_id;
        if (same_session && peer->member.id == member.id) {
            return peer;
        }
    }
    return nullptr;
}

// Told only to who has proved to hold the key.
HelloRefusal Broker::refusal_of_stranger(std::string_view mesh_id, const HelloProof& proof) const {
    return !proof.key_in_upper_case && registry.is_revoked(mesh_id, proof.member_key)
               ? HelloRefusal::revoked
               : HelloRefusal::unauthorized;
}

Task<Result<std::expected<Arrival, HelloRefusal>>> Broker::arrive(HelloProof proof,
                                                                  Introduction introduction,
                                                                  net::WebSocketPtr socket) {
    using Outcome = std::expected<Arrival, HelloRefusal>;
    const auto refused = [](HelloRefusal why) { return Outcome(std::unexpected(why)); };
    CO_TRY(const auto wrong,
           co_await workers_.run(
               [proof]() -> Result<std::optional<HelloRefusal>> { return verify(proof); }));
    if (wrong) {
        co_return refused(*wrong);
    }
    CO_TRY(const bool known, co_await ensure_mesh(introduction.mesh_id));
    const Member* member =
        known ? registry.member_by_key(introduction.mesh_id, proof.member_key) : nullptr;
    if (known && member == nullptr && cluster != nullptr && !proof.key_in_upper_case) {
        CO_TRY(member, co_await find_newcomer(introduction.mesh_id, proof.member_key));
    }
    if (member == nullptr || proof.key_in_upper_case) {
        co_return refused(refusal_of_stranger(introduction.mesh_id, proof));
    }
    if (introduction.is_session && introduction.member_id != member->id) {
        co_return refused(HelloRefusal::parent_member_id_mismatch);
    }
    // A session key is an address, and a hello does not prove that it is the peer's own: whoever
    // uses it first keeps it.
    if (proof.session_key) {
        const Member* other = registry.member_by_key(introduction.mesh_id, *proof.session_key);
        if (other != nullptr && other->id != member->id) {
            co_return refused(HelloRefusal::bad_session_pubkey);
        }
        CO_TRY(const bool own,
               co_await meshes.take_session_key(introduction.mesh_id, *proof.session_key,
                                                member->id, clock.now()));
        if (!own) {
            co_return refused(HelloRefusal::bad_session_pubkey);
        }
        // The member may have been removed meanwhile.
        member = registry.member_by_key(introduction.mesh_id, proof.member_key);
        if (member == nullptr) {
            co_return refused(refusal_of_stranger(introduction.mesh_id, proof));
        }
    }
    if (!replays_.admit(proof.replay_key, proof.signed_at, clock.now())) {
        co_return refused(HelloRefusal::replayed);
    }

    if (cluster != nullptr) {
        std::optional<HelloStamp> hello =
            HelloStamp{proof.replay_key, proof.signed_at + 2 * kHelloSkew.count()};
        co_return co_await admit_among_nodes(*member, proof.session_key, std::move(hello),
                                             std::move(introduction.profile), std::move(socket));
    }
    auto arrival =
        admit(*member, proof.session_key, std::move(introduction.profile), std::move(socket));
    co_return arrival ? Outcome(*arrival) : refused(arrival.error());
}

std::expected<Arrival, HelloRefusal> Broker::admit(const Member& member,
                                                   const std::optional<Key>& session_key,
                                                   Profile profile, net::WebSocketPtr socket) {
    if (Presence* resumed = to_resume(member, session_key, profile.session_id)) {
        if (resumed->connected()) {
            const net::WebSocketPtr former = resumed->socket;
            delivery.on_disconnect(*resumed);
            registry.set_disconnected(*resumed, clock.now());
            former->close(net::ws_close::kNormal, "session_replaced");
        }
        resumed->last_seen_at = clock.now();
        registry.set_connected(*resumed, std::move(socket));
        return Arrival{resumed, true};
    }
    if (is_full(member.mesh_id)) {
        return std::unexpected(HelloRefusal::capacity);
    }
    // A peer that is here takes the place of one that may come back.
    if (registry.count(member.mesh_id) >= config.connections_per_mesh_max) {
        depart(*registry.longest_disconnected(member.mesh_id));
    }

    return Arrival{
        &settle_in(make_presence(member, session_key, std::move(profile), std::move(socket)), true),
        false};
}

PresencePtr Broker::make_presence(const Member& member, const std::optional<Key>& session_key,
                                  Profile profile, net::WebSocketPtr socket) {
    PresencePtr presence(new Presence);
    presence->id = new_id(entropy);
    presence->mesh_id = member.mesh_id;
    presence->member = member;
    presence->session_key = session_key;
    presence->profile = std::move(profile);
    if (presence->profile.display_name.empty()) {
        presence->profile.display_name = member.display_name;
    }
    if (presence->profile.groups.empty()) {
        presence->profile.groups = member.default_groups;
    }
    presence->connected_at = clock.now();
    presence->last_seen_at = presence->connected_at;
    presence->status.updated_at = presence->connected_at;
    presence->socket = std::move(socket);
    return presence;
}

Presence& Broker::settle_in(PresencePtr presence, bool is_new) {
    if (is_new && cluster == nullptr) {
        replace_session(*presence);
    }
    share_with(*presence);
    Presence& added = registry.add(std::move(presence));
    if (is_new) {
        audit.record(added.mesh_id, added.member.id,
                     AuditEvent::peer_joined(added.key(), added.profile.display_name));
        apply_pending(added);
    }
    if (added.profile.groups != added.member.default_groups) {
        remember_groups(added);
    }
    return added;
}

// One live connection per session id of a member; the younger wins.
void Broker::replace_session(const Presence& arriving) {
    for (Presence* peer : registry.with_key(arriving.mesh_id, arriving.member.key)) {
        if (peer->profile.session_id == arriving.profile.session_id &&
            !arriving.profile.session_id.empty()) {
            const net::WebSocketPtr former = peer->socket;
            depart(*peer);
            if (former != nullptr) {
                former->close(net::ws_close::kNormal, "session_replaced");
            }
        }
    }
}

// What waits for sessions of the member that have lost their connection is for the one that comes,
// too, as far as no other one has got it.
void Broker::share_with(const Presence& arriving) {
    const std::vector<Presence*> others = registry.with_key(arriving.mesh_id, arriving.member.key);
    for (Presence* leased : others) {
        if (leased->is_there() || !leased->session_key || leased->member.id != arriving.member.id) {
            continue;
        }
        Sharing sharing = sharing_of(*leased);
        sharing.keep = true;
        for (const Presence* other : others) {
            if (other->is_there()) {
                add_seen(sharing, *other);
            }
        }
        leased->shared_until = clock.now();
        delivery.share(std::move(sharing));
    }
}

Sharing Broker::sharing_of(const Presence& session) const {
    Sharing sharing;
    sharing.mesh_id = session.mesh_id;
    sharing.session = *session.session_key;
    sharing.member = session.member.key;
    sharing.after = session.shared_until;
    sharing.now = clock.now();
    return sharing;
}

void Broker::add_seen(Sharing& sharing, const Presence& by) {
    for (const Target& target : {Target(EveryoneTarget()), Target(GroupTarget("all"))}) {
        sharing.seen.push_back({target_text(target), by.connected_at});
    }
    for (const Group& group : by.profile.groups) {
        sharing.seen.push_back({target_text(GroupTarget(group.name)), by.connected_at});
    }
}

// What is sent to a group while its members are away is for those that were in it last.
void Broker::remember_groups(const Presence& presence) {
    const Member* known = registry.member_by_id(presence.mesh_id, presence.member.id);
    if (known == nullptr || stopping_) {
        return;
    }
    Member member = *known;
    member.default_groups = presence.profile.groups;
    tasks.spawn("remember groups",
                [](Broker& broker, std::string id, Groups groups, UnixMillis now) -> Task<void> {
                    const auto done = co_await broker.meshes.remember_groups(
                        std::move(id), std::move(groups), now);
                    if (!done) {
                        broker.logger.failure(LogLevel::warn, "cannot store a member's groups",
                                              done.error());
                    }
                }(*this, member.id, member.default_groups, clock.now()));
    registry.add_member(std::move(member));
}

}  // namespace nave::broker
