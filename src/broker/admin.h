// Admin: meshes, members and invites, as an operator handles them by command line and API. What it
// changes takes effect on connected peers at once when a broker is given.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "base/secret.h"
#include "broker/mesh_store.h"

#include <chrono>
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
    Task<Result<Invite>> revoke_invite(std::string mesh, std::string invite_id);

  private:
    // Error "mesh_not_found".
    Task<Result<NewMesh>> require_mesh(std::string mesh);

    MeshStore store_;
    const Clock& clock_;
    Entropy& entropy_;
    Broker* broker_;
};

}  // namespace nave::broker
