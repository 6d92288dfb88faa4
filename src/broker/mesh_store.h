// MeshStore: meshes, their members and their invites. One method is one transaction, which also
// writes the audit records of what it changes.
#pragma once

#include "base/entropy.h"
#include "base/result.h"
#include "broker/types.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nave::broker {

// A mesh with what only its owner and its invites need.
struct NewMesh {
    Mesh mesh;
    Bytes owner_secret;  // Ed25519 seed
    Bytes root_key;      // 32 bytes that every invite carries
};

struct Invite {
    std::string id;
    std::string mesh_id;
    Role role = Role::member;
    std::int64_t max_uses = 1;
    std::int64_t used_count = 0;
    UnixMillis expires_at = 0;
    UnixMillis created_at = 0;
    std::optional<UnixMillis> revoked_at;
};

struct JoinRequest {
    std::string mesh_id;  // as in the signed invite
    std::string token;
    Key owner_key{};  // that signed it
    Role role = Role::member;
    Key peer_key{};
    std::string display_name;
    std::string new_member_id;
    UnixMillis now = 0;
};

struct JoinOutcome {
    Member member;
    bool already_member = false;
};

struct LoadedMesh {
    Mesh mesh;
    std::vector<Member> members;  // revoked ones included
};

struct MemberChange {
    Member member;  // as it is now
    bool changed = false;
};

// A mesh whose members or state changed, by this process or another.
struct MeshChange {
    std::string mesh_id;
    std::int64_t revision = 0;  // grows with each change
};

class MeshStore {
  public:
    explicit MeshStore(storage::Database& database) : database_(database) {}

    // Error "mesh_exists" when the slug is taken.
    Task<Result<void>> create(NewMesh mesh);
    Task<Result<std::vector<Mesh>>> list();
    // By id or slug.
    Task<Result<std::optional<NewMesh>>> find(std::string id_or_slug);
    // Sockets of an archived mesh are refused. False when there is no such mesh.
    Task<Result<bool>> archive(std::string mesh_id, UnixMillis now);
    // Nullopt when unknown or archived.
    Task<Result<std::optional<LoadedMesh>>> load(std::string mesh_id);

    // Meshes changed at or after `since`, by the clocks of those who changed them. The groups that
    // remember_groups() notes are no change.
    Task<Result<std::vector<MeshChange>>> changes(UnixMillis since);

    // All, revoked ones included, by time of joining.
    Task<Result<std::vector<Member>>> members(std::string mesh_id);
    // Also a revoked one.
    Task<Result<std::optional<Member>>> member_by_key(std::string mesh_id, Key key);
    // For operators; error "member_exists". A revoked member with this key comes back.
    Task<Result<Member>> add_member(Member member);
    // `by` is the id of the member who does it, empty for an operator. Nullopt when no member of
    // the mesh has this id.
    Task<Result<std::optional<MemberChange>>> revoke_member(std::string mesh_id,
                                                            std::string member_id, std::string by,
                                                            UnixMillis now);
    Task<Result<std::optional<MemberChange>>> restore_member(std::string mesh_id,
                                                             std::string member_id, std::string by,
                                                             UnixMillis now);
    // The groups a member is reached by while absent.
    Task<Result<void>> remember_groups(std::string member_id, std::vector<Group> groups,
                                       UnixMillis now);

    // Notes that the member uses the session key; false when another member did before.
    Task<Result<bool>> take_session_key(std::string mesh_id, Key session_key, std::string member_id,
                                        UnixMillis now);
    // Session keys not used since then are free again. One batch; false when nothing was left.
    Task<Result<bool>> forget_session_keys(UnixMillis unused_since);

    // False when there is an invite with this token.
    Task<Result<bool>> create_invite(Invite invite, std::string token);
    Task<Result<std::vector<Invite>>> invites(std::string mesh_id);
    // Yields it as it is now, revoked before or not; nullopt when there is none.
    Task<Result<std::optional<Invite>>> revoke_invite(std::string mesh_id, std::string invite_id,
                                                      UnixMillis now);
    // Uses up one use of the invite, unless the key is a member already. Errors in this order:
    // mesh_not_found, invite_owner_mismatch, invite_not_found, invite_mesh_mismatch,
    // invite_revoked, invite_expired, invite_exhausted.
    Task<Result<JoinOutcome>> join(JoinRequest request);

    // For restored rows: invites that were used up or revoked since the backup must not come back,
    // so all of them end; claims ended with the process that made them.
    [[nodiscard]] static Result<void> after_restore(storage::Transaction& tx, UnixMillis now);

  private:
    storage::Database& database_;
};

}  // namespace nave::broker
