#include "broker/registry.h"

#include "base/check.h"

#include <algorithm>
#include <cstring>

namespace nave::broker {

std::size_t KeyHash::operator()(const Key& key) const noexcept {
    std::size_t hash = 0;
    std::memcpy(&hash, key.data(), sizeof hash);
    return hash;
}

const Registry::LiveMesh* Registry::find_mesh(std::string_view mesh_id) const {
    const auto found = meshes_.find(std::string(mesh_id));
    return found == meshes_.end() ? nullptr : &found->second;
}

Registry::LiveMesh* Registry::find_mesh(std::string_view mesh_id) {
    const auto found = meshes_.find(std::string(mesh_id));
    return found == meshes_.end() ? nullptr : &found->second;
}

// ---- meshes and members ----

void Registry::load_mesh(Mesh mesh, std::vector<Member> members) {
    const std::string id = mesh.id;
    LiveMesh& live = meshes_[id];
    live.mesh = std::move(mesh);
    live.members.clear();
    live.ids_by_key.clear();
    live.revoked_keys.clear();
    live.absent.reset();
    membership_changes_ += 1;
    for (Member& member : members) {
        if (member.revoked_at) {
            live.revoked_keys.insert(member.key);
            continue;
        }
        live.ids_by_key[member.key] = member.id;
        live.members.insert_or_assign(member.id, std::move(member));
    }
}

bool Registry::knows_mesh(std::string_view mesh_id) const {
    return find_mesh(mesh_id) != nullptr;
}

const Mesh* Registry::mesh(std::string_view mesh_id) const {
    const LiveMesh* live = find_mesh(mesh_id);
    return live == nullptr ? nullptr : &live->mesh;
}

// A presence carries its member's role and name as they are now.
void Registry::add_member(Member member) {
    membership_changes_ += 1;
    if (LiveMesh* live = find_mesh(member.mesh_id)) {
        live->ids_by_key[member.key] = member.id;
        live->revoked_keys.erase(member.key);
        for (Presence* presence : live->presences) {
            if (presence->member.id == member.id) {
                presence->member.role = member.role;
                presence->member.display_name = member.display_name;
            }
        }
        live->members.insert_or_assign(member.id, std::move(member));
        live->absent.reset();
    }
}

void Registry::remove_member(const Member& member) {
    membership_changes_ += 1;
    if (LiveMesh* live = find_mesh(member.mesh_id)) {
        live->ids_by_key.erase(member.key);
        live->members.erase(member.id);
        live->absent.reset();
        live->revoked_keys.insert(member.key);
    }
}

bool Registry::is_revoked(std::string_view mesh_id, const Key& key) const {
    const LiveMesh* live = find_mesh(mesh_id);
    return live != nullptr && live->revoked_keys.contains(key);
}

void Registry::forget_mesh(std::string_view mesh_id) {
    const LiveMesh* live = find_mesh(mesh_id);
    CHECK(live == nullptr || live->presences.empty(), "a mesh with peers is forgotten");
    meshes_.erase(std::string(mesh_id));
}

const Member* Registry::member_by_key(std::string_view mesh_id, const Key& key) const {
    const LiveMesh* live = find_mesh(mesh_id);
    if (live == nullptr) {
        return nullptr;
    }
    const auto found = live->ids_by_key.find(key);
    return found == live->ids_by_key.end() ? nullptr : &live->members.at(found->second);
}

const Member* Registry::member_by_id(std::string_view mesh_id, std::string_view id) const {
    const LiveMesh* live = find_mesh(mesh_id);
    if (live == nullptr) {
        return nullptr;
    }
    const auto found = live->members.find(std::string(id));
    return found == live->members.end() ? nullptr : &found->second;
}

// ---- presences ----

Presence& Registry::add(PresencePtr presence) {
    Presence& added = *presence;
    LiveMesh* live = find_mesh(added.mesh_id);
    CHECK(live != nullptr, "a presence in a mesh that is not loaded");
    // Those of other nodes become known in any order.
    const auto place =
        std::ranges::upper_bound(live->presences, added.connected_at, {}, &Presence::connected_at);
    live->presences.insert(place, &added);
    live->absent.reset();
    live->by_key[added.member.key].push_back(&added);
    if (added.session_key) {
        live->by_key[*added.session_key].push_back(&added);
    }
    by_directory_[added.profile.cwd].push_back(&added);
    connected_ += added.connected() ? 1 : 0;
    presences_.insert_or_assign(added.id, std::move(presence));
    return added;
}

void Registry::remove(Presence& presence) {
    LiveMesh* live = find_mesh(presence.mesh_id);
    CHECK(live != nullptr, "a presence in a mesh that is not loaded");
    std::erase(live->presences, &presence);
    live->absent.reset();
    const auto drop = [&](auto& map, const auto& key) {
        const auto found = map.find(key);
        if (found != map.end() && std::erase(found->second, &presence) > 0 &&
            found->second.empty()) {
            map.erase(found);
        }
    };
    drop(live->by_key, presence.member.key);
    if (presence.session_key) {
        drop(live->by_key, *presence.session_key);
    }
    drop(by_directory_, presence.profile.cwd);
    connected_ -= presence.connected() ? 1 : 0;
    presence.gone = true;
    const std::string id = presence.id;
    presences_.erase(id);
}

Presence* Registry::find(std::string_view presence_id) {
    const auto found = presences_.find(std::string(presence_id));
    return found == presences_.end() ? nullptr : found->second.get();
}

std::vector<Presence*> Registry::with_key(std::string_view mesh_id, const Key& key) const {
    const LiveMesh* live = find_mesh(mesh_id);
    if (live == nullptr) {
        return {};
    }
    const auto found = live->by_key.find(key);
    if (found == live->by_key.end()) {
        return {};
    }
    std::vector<Presence*> peers;
    peers.reserve(found->second.size());
    const auto take = [&](auto wanted) {
        for (auto peer = found->second.rbegin(); peer != found->second.rend(); ++peer) {
            if (wanted(**peer)) {
                peers.push_back(*peer);
            }
        }
    };
    take([](const Presence& peer) { return peer.connected(); });
    take([](const Presence& peer) { return !peer.connected() && peer.is_there(); });
    take([](const Presence& peer) { return !peer.is_there(); });
    return peers;
}

std::vector<Presence*> Registry::in_mesh(std::string_view mesh_id) const {
    const LiveMesh* live = find_mesh(mesh_id);
    return live == nullptr ? std::vector<Presence*>{} : live->presences;
}

std::vector<Presence*> Registry::visible_to(const Member& member) const {
    std::vector<Presence*> peers = in_mesh(member.mesh_id);
    std::erase_if(peers, [&](const Presence* peer) {
        return !peer->profile.visible && peer->member.id != member.id;
    });
    return peers;
}

std::size_t Registry::count(std::string_view mesh_id) const {
    const LiveMesh* live = find_mesh(mesh_id);
    return live == nullptr ? 0 : live->presences.size();
}

Presence* Registry::longest_disconnected(std::string_view mesh_id) const {
    Presence* longest = nullptr;
    for (Presence* peer : in_mesh(mesh_id)) {
        if (!peer->is_there() &&
            (longest == nullptr || peer->lease_ends_at < longest->lease_ends_at)) {
            longest = peer;
        }
    }
    return longest;
}

void Registry::set_connected(Presence& presence, net::WebSocketPtr socket) {
    connected_ += presence.connected() ? 0 : 1;
    presence.socket = std::move(socket);
    presence.lease_ends_at.reset();
}

void Registry::set_disconnected(Presence& presence, UnixMillis lease_ends_at) {
    connected_ -= presence.connected() ? 1 : 0;
    presence.socket = nullptr;
    presence.lease_ends_at = lease_ends_at;
}

Presence* Registry::by_directory(std::string_view cwd, std::int64_t pid) const {
    const auto found = by_directory_.find(std::string(cwd));
    if (found == by_directory_.end()) {
        return nullptr;
    }
    Presence* youngest = nullptr;
    for (Presence* peer : found->second) {
        if (!peer->connected()) {
            continue;
        }
        if (pid != 0 && peer->profile.pid == pid) {
            return peer;
        }
        if (youngest == nullptr || peer->connected_at >= youngest->connected_at) {
            youngest = peer;
        }
    }
    return youngest;
}

void Registry::each(const std::function<void(Presence&)>& visit) const {
    for (const auto& [id, presence] : presences_) {
        visit(*presence);
    }
}

// ---- targets ----

std::vector<Presence*> Registry::peers_of(std::string_view mesh_id, const Presence* sender,
                                          const Target& target) const {
    if (const Key* key = std::get_if<Key>(&target)) {
        return with_key(mesh_id, *key);
    }
    const auto* group = std::get_if<GroupTarget>(&target);
    std::vector<Presence*> peers = in_mesh(mesh_id);
    std::erase_if(peers, [&](const Presence* peer) {
        return peer == sender ||
               (group != nullptr && !has_group(peer->profile.groups, group->name));
    });
    return peers;
}

const std::vector<const Member*>& Registry::absent_members(const LiveMesh& live) {
    if (!live.absent) {
        live.absent.emplace();
        for (const auto& [id, member] : live.members) {
            if (!live.by_key.contains(member.key)) {
                live.absent->push_back(&member);
            }
        }
    }
    return *live.absent;
}

std::vector<Key> Registry::absent_of(std::string_view mesh_id, const Key& sending_member,
                                     const Target& target) const {
    const LiveMesh* live = find_mesh(mesh_id);
    if (live == nullptr || std::holds_alternative<Key>(target)) {
        return {};
    }
    const auto* group = std::get_if<GroupTarget>(&target);
    std::vector<Key> keys;
    for (const Member* member : absent_members(*live)) {
        if (member->key != sending_member &&
            (group == nullptr || has_group(member->default_groups, group->name))) {
            keys.push_back(member->key);
        }
    }
    return keys;
}

}  // namespace nave::broker
