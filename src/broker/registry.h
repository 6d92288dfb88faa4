// Registry: who is in which mesh now, found by id, key, group, session or working directory. Holds
// the presences of this node, copies of those of other nodes (cluster.h) and the members of every
// mesh that has one. Loop thread only.
#pragma once

#include "base/clock.h"
#include "broker/presence.h"
#include "broker/target.h"

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace nave::broker {

struct KeyHash {
    // Keys are points of a curve, their bytes are as good as random.
    std::size_t operator()(const Key& key) const noexcept;
};

class Registry {
  public:
    // Members are the mesh's full list. Of revoked ones only the keys are kept: a hello tells them.
    void load_mesh(Mesh mesh, std::vector<Member> members);
    [[nodiscard]] bool knows_mesh(std::string_view mesh_id) const;
    [[nodiscard]] const Mesh* mesh(std::string_view mesh_id) const;
    void add_member(Member member);
    void remove_member(const Member& member);    // revoked from now on
    void forget_mesh(std::string_view mesh_id);  // it must have no presence
    // Grows with every load_mesh(), add_member() and remove_member().
    [[nodiscard]] std::uint64_t membership_changes() const { return membership_changes_; }

    [[nodiscard]] const Member* member_by_key(std::string_view mesh_id, const Key& key) const;
    [[nodiscard]] const Member* member_by_id(std::string_view mesh_id, std::string_view id) const;
    [[nodiscard]] bool is_revoked(std::string_view mesh_id, const Key& key) const;

    // Its id, mesh, member and session key do not change; remove() marks it gone.
    Presence& add(PresencePtr presence);
    void remove(Presence& presence);
    [[nodiscard]] Presence* find(std::string_view presence_id);
    // Connected here before connected elsewhere before leased, the youngest first.
    [[nodiscard]] std::vector<Presence*> with_key(std::string_view mesh_id, const Key& key) const;
    // Of one mesh, the oldest connection first.
    [[nodiscard]] std::vector<Presence*> in_mesh(std::string_view mesh_id) const;
    // The same without peers of other members that do not want to be listed.
    [[nodiscard]] std::vector<Presence*> visible_to(const Member& member) const;
    // Connections and leases.
    [[nodiscard]] std::size_t count(std::string_view mesh_id) const;
    // Null when all are connected.
    [[nodiscard]] Presence* longest_disconnected(std::string_view mesh_id) const;
    [[nodiscard]] std::size_t connected() const { return connected_; }
    void set_connected(Presence& presence, net::WebSocketPtr socket);
    void set_disconnected(Presence& presence, UnixMillis lease_ends_at);
    // For hooks, over all meshes: the youngest connection with this directory, and this process id
    // if there is one.
    [[nodiscard]] Presence* by_directory(std::string_view cwd, std::int64_t pid) const;
    void each(const std::function<void(Presence&)>& visit) const;

    // The connected or leased peers a target names, the sender left out of groups and broadcasts.
    [[nodiscard]] std::vector<Presence*> peers_of(std::string_view mesh_id, const Presence* sender,
                                                  const Target& target) const;
    // The keys of members that a group or broadcast target names and that have no presence, but for
    // the sending one. Group membership of an absent member is that of its last presence, else its
    // default.
    [[nodiscard]] std::vector<Key> absent_of(std::string_view mesh_id, const Key& sending_member,
                                             const Target& target) const;

  private:
    struct LiveMesh {
        Mesh mesh;
        std::unordered_map<std::string, Member> members;  // by id
        std::unordered_map<Key, std::string, KeyHash> ids_by_key;
        std::unordered_set<Key, KeyHash> revoked_keys;
        std::vector<Presence*> presences;  // in order of connection
        std::unordered_map<Key, std::vector<Presence*>, KeyHash> by_key;
        // Members without a presence, once somebody has asked for them; until who is a member or
        // present changes.
        mutable std::optional<std::vector<const Member*>> absent;
    };
    [[nodiscard]] static const std::vector<const Member*>& absent_members(const LiveMesh& live);
    [[nodiscard]] const LiveMesh* find_mesh(std::string_view mesh_id) const;
    [[nodiscard]] LiveMesh* find_mesh(std::string_view mesh_id);

    std::unordered_map<std::string, LiveMesh> meshes_;
    std::unordered_map<std::string, PresencePtr> presences_;
    std::unordered_map<std::string, std::vector<Presence*>> by_directory_;
    std::size_t connected_ = 0;
    std::uint64_t membership_changes_ = 0;
};

}  // namespace nave::broker
