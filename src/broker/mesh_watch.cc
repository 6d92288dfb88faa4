#include "broker/mesh_watch.h"

#include <utility>
#include <vector>

namespace nave::broker {

Task<Result<void>> MeshWatch::look() {
    const UnixMillis now = broker_.clock.now();
    const UnixMillis overlap = std::chrono::milliseconds(kOverlap).count();
    // Whatever is older was there when its mesh was loaded.
    const UnixMillis since = (looked_at_ == 0 ? now : looked_at_) - overlap;
    CO_TRY(const std::vector<MeshChange> changes, co_await broker_.meshes.changes(since));
    bool all_applied = true;
    std::unordered_map<std::string, std::int64_t> seen;
    for (const MeshChange& change : changes) {
        const auto known = revisions_.find(change.mesh_id);
        const bool is_new = known == revisions_.end() || known->second != change.revision;
        if (is_new && broker_.registry.knows_mesh(change.mesh_id)) {
            CO_TRY(const bool applied, co_await refresh(change.mesh_id));
            if (!applied) {
                all_applied = false;
                continue;
            }
        }
        seen.insert_or_assign(change.mesh_id, change.revision);
    }
    revisions_ = std::move(seen);
    if (all_applied) {
        looked_at_ = now;
    }
    co_return ok();
}

Task<Result<bool>> MeshWatch::refresh(std::string mesh_id) {
    Registry& registry = broker_.registry;
    const std::uint64_t before = registry.membership_changes();
    CO_TRY(auto loaded, co_await broker_.meshes.load(mesh_id));
    if (!registry.knows_mesh(mesh_id)) {
        co_return true;
    }
    if (!loaded) {
        broker_.archive(mesh_id);
        co_return true;
    }
    // Rows read before a change made here would undo it.
    if (registry.membership_changes() != before) {
        co_return false;
    }
    for (Member& member : loaded->members) {
        const Member* const known = registry.member_by_id(mesh_id, member.id);
        if (member.revoked_at) {
            if (known != nullptr || !registry.is_revoked(mesh_id, member.key)) {
                broker_.revoke(member);
            }
            continue;
        }
        if (known != nullptr) {
            // Remembered after a peer has left, which is no change of the mesh.
            member.default_groups = known->default_groups;
        }
        registry.add_member(std::move(member));
    }
    co_return true;
}

}  // namespace nave::broker
