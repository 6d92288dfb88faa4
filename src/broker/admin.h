// Admin: meshes, members and invites, as an operator handles them by command line and API. What it
// changes takes effect on connected peers at once when a broker is given.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "base/secret.h"
#include "broker/api_key_store.h"
#include "broker/audit_store.h"
#include "broker/mesh_store.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nave::broker {

class Broker;

struct InviteWish {
    std::string mesh;  // id or slug
    Role role = Role::member;
    std::int64_t max_uses = 1;
    std::chrono::seconds valid_for{7 * 24 * 3600};
    std::string broker_url;
};

struct MadeInvite {
    Invite invite;
    Secret token;
    Secret link;
};

struct ApiKeyWish {
    std::string mesh;  // id or slug
    std::string member_id;
    std::string label;
    bool may_send = true;
    bool may_receive = true;
    std::optional<std::chrono::seconds> valid_for;  // nullopt: until revoked
};

struct MadeApiKey {
    ApiKey key;
    Secret token;
};

class Admin {
  public:
    // `broker` may be null: the command line works beside a running server.
    Admin(storage::Database& database, const Clock& clock, Entropy& entropy, Broker* broker);

    // The slug is made of the name: lower case letters, digits and single hyphens. Errors
    // "invalid_argument", "mesh_exists".
    Task<Result<Mesh>> create_mesh(std::string name);
    Task<Result<std::vector<Mesh>>> meshes();
    Task<Result<Mesh>> archive_mesh(std::string mesh);
    Task<Result<std::vector<Member>>> members(std::string mesh);
    // Both yield the member as it is now, changed or not. Errors "mesh_not_found", "not_found".
    Task<Result<Member>> revoke_member(std::string mesh, std::string member_id);
    Task<Result<Member>> restore_member(std::string mesh, std::string member_id);
    Task<Result<MadeInvite>> create_invite(InviteWish wish);
    Task<Result<std::vector<Invite>>> invites(std::string mesh);
    Task<Result<AuditVerdict>> verify_audit(std::string mesh);
    // A page of records, those with ids above `after`, the oldest first.
    Task<Result<std::vector<AuditRecord>>> audit_records(std::string mesh, std::int64_t after);
    Task<Result<Invite>> revoke_invite(std::string mesh, std::string invite_id);

    Task<Result<MadeApiKey>> create_api_key(ApiKeyWish wish);
    Task<Result<std::vector<ApiKey>>> api_keys(std::string mesh);
    Task<Result<ApiKey>> revoke_api_key(std::string mesh, std::string key_id);

  private:
    // Error "mesh_not_found".
    Task<Result<NewMesh>> require_mesh(std::string mesh);

    MeshStore store_;
    ApiKeyStore keys_;
    AuditStore audits_;
    const Clock& clock_;
    Entropy& entropy_;
    Broker* broker_;
};

}  // namespace nave::broker
