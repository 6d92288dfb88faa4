#include "broker/admin.h"

#include "base/encoding.h"
#include "broker/broker.h"
#include "broker/errors.h"
#include "broker/ids.h"
#include "broker/invite.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"

#include <algorithm>
#include <utility>

namespace nave::broker {
namespace {

constexpr std::size_t kNameMax = 100;
constexpr int kTokenAttempts = 64;
constexpr std::int64_t kAuditPage = 1'000;

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// "My Project!" becomes "my-project"; empty when nothing is left.
std::string slug_of(std::string_view name) {
    std::string slug;
    for (char c : name) {
        if (c >= 'A' && c <= 'Z') {
            c = static_cast<char>(c - 'A' + 'a');
        }
        if (is_letter_or_digit(c)) {
            slug.push_back(c);
        } else if (!slug.empty() && slug.back() != '-') {
            slug.push_back('-');
        }
    }
    while (!slug.empty() && slug.back() == '-') {
        slug.pop_back();
    }
    return slug;
}

}  // namespace

Admin::Admin(storage::Database& database, const Clock& clock, Entropy& entropy, Broker* broker)
    : store_(database),
      keys_(database),
      audits_(database),
      clock_(clock),
      entropy_(entropy),
      broker_(broker) {}

Task<Result<NewMesh>> Admin::require_mesh(std::string mesh) {
    CO_TRY(auto found, co_await store_.find(std::move(mesh)));
    if (!found) {
        co_return errors::mesh_not_found();
    }
    co_return std::move(*found);
}

Task<Result<Mesh>> Admin::create_mesh(std::string name) {
    const std::string slug = slug_of(name);
    if (slug.empty() || name.size() > kNameMax) {
        co_return errors::invalid_argument(
            "a mesh's name has 1 to 100 bytes and at least one letter or digit");
    }
    ByteArray<32> seed{};
    ByteArray<32> root_key{};
    entropy_.fill(seed);
    entropy_.fill(root_key);
    const auto owner = crypto::Ed25519SigningKey::from_seed(seed);
    NewMesh made;
    made.mesh.id = new_id(entropy_);
    made.mesh.name = std::move(name);
    made.mesh.slug = slug;
    made.mesh.owner_key = owner->public_key();
    made.mesh.created_at = clock_.now();
    made.owner_secret = to_bytes(seed);
    made.root_key = to_bytes(root_key);
    const Mesh mesh = made.mesh;
    CO_TRY_VOID(co_await store_.create(std::move(made)));
    co_return mesh;
}

Task<Result<std::vector<Mesh>>> Admin::meshes() {
    co_return co_await store_.list();
}

Task<Result<Mesh>> Admin::archive_mesh(std::string mesh) {
    CO_TRY(NewMesh found, co_await require_mesh(std::move(mesh)));
    CO_TRY(const bool archived, co_await store_.archive(found.mesh.id, clock_.now()));
    if (!archived) {
        co_return errors::mesh_not_found();
    }
    if (!found.mesh.archived_at) {
        found.mesh.archived_at = clock_.now();
    }
    if (broker_ != nullptr) {
        broker_->archive(found.mesh.id);
    }
    co_return found.mesh;
}

Task<Result<std::vector<Member>>> Admin::members(std::string mesh) {
    CO_TRY(const NewMesh found, co_await require_mesh(std::move(mesh)));
    co_return co_await store_.members(found.mesh.id);
}

Task<Result<Member>> Admin::revoke_member(std::string mesh, std::string member_id) {
    CO_TRY(const NewMesh found, co_await require_mesh(std::move(mesh)));
    CO_TRY(auto change, co_await store_.revoke_member(found.mesh.id, member_id, {}, clock_.now()));
    if (!change) {
        co_return errors::not_found("No member of this mesh has this id.");
    }
    if (broker_ != nullptr) {
        broker_->revoke(change->member);
    }
    co_return std::move(change->member);
}

Task<Result<Member>> Admin::restore_member(std::string mesh, std::string member_id) {
    CO_TRY(const NewMesh found, co_await require_mesh(std::move(mesh)));
    CO_TRY(auto change, co_await store_.restore_member(found.mesh.id, member_id, {}, clock_.now()));
    if (!change) {
        co_return errors::not_found("No member of this mesh has this id.");
    }
    if (broker_ != nullptr && change->changed) {
        broker_->registry.add_member(change->member);
    }
    co_return std::move(change->member);
}

Task<Result<MadeInvite>> Admin::create_invite(InviteWish wish) {
    CO_TRY(const NewMesh found, co_await require_mesh(wish.mesh));
    if (found.mesh.archived_at) {
        co_return errors::mesh_not_found("The mesh is archived.");
    }
    if (wish.max_uses < 1 || wish.max_uses > 100'000 || wish.valid_for.count() < 1 ||
        wish.valid_for > std::chrono::hours(24 * 366)) {
        co_return errors::invalid_argument(
            "an invite is for 1 to 100000 uses and at most 366 days");
    }
    const auto owner = crypto::Ed25519SigningKey::from_seed(found.owner_secret);
    if (!owner) {
        co_return errors::invalid_argument("the mesh has no usable owner key");
    }
    MadeInvite made;
    made.invite.id = new_id(entropy_);
    made.invite.mesh_id = found.mesh.id;
    made.invite.role = wish.role;
    made.invite.max_uses = wish.max_uses;
    made.invite.created_at = clock_.now();
    // Invites of one mesh and role differ in nothing but their time, which has whole seconds: the
    // end is put off by up to a minute until the token is one of its own.
    for (int attempt = 0; attempt < kTokenAttempts; ++attempt) {
        const auto delay = static_cast<std::int64_t>(entropy_.below(60)) + 60 * (attempt / 8);
        const std::int64_t expires_at_s =
            made.invite.created_at / 1000 + wish.valid_for.count() + delay;
        made.invite.expires_at = expires_at_s * 1000;
        InviteTerms terms{found.mesh.id,
                          found.mesh.slug,
                          wish.broker_url,
                          expires_at_s,
                          Secret(base64url(found.root_key)),
                          wish.role};
        CO_TRY(const SignedInvite signed_invite, make_invite(std::move(terms), *owner));
        made.token = invite_token(signed_invite);
        made.link = invite_link(made.token);
        CO_TRY(const bool stored,
               co_await store_.create_invite(made.invite, std::string(made.token.reveal())));
        if (stored) {
            co_return made;
        }
    }
    co_return errors::busy("Too many invites of this kind were made at once; try again.");
}

Task<Result<std::vector<Invite>>> Admin::invites(std::string mesh) {
    CO_TRY(const NewMesh found, co_await require_mesh(std::move(mesh)));
    co_return co_await store_.invites(found.mesh.id);
}

Task<Result<Invite>> Admin::revoke_invite(std::string mesh, std::string invite_id) {
    CO_TRY(const NewMesh found, co_await require_mesh(std::move(mesh)));
    CO_TRY(auto revoked,
           co_await store_.revoke_invite(found.mesh.id, std::move(invite_id), clock_.now()));
    if (!revoked) {
        co_return errors::not_found("No invite of this mesh has this id.");
    }
    co_return std::move(*revoked);
}

Task<Result<MadeApiKey>> Admin::create_api_key(ApiKeyWish wish) {
    CO_TRY(const NewMesh found, co_await require_mesh(wish.mesh));
    if (wish.label.empty() || wish.label.size() > kNameMax) {
        co_return errors::invalid_argument("an API key has a label of 1 to 100 bytes");
    }
    if (!wish.may_send && !wish.may_receive) {
        co_return errors::invalid_argument("an API key may send, receive, or both");
    }
    MadeApiKey made;
    // 190 random bits; the prefix tells people and scanners what it is.
    made.token = Secret("nbk_" + new_id(entropy_));
    made.key.id = new_id(entropy_);
    made.key.mesh_id = found.mesh.id;
    made.key.member_id = std::move(wish.member_id);
    made.key.label = std::move(wish.label);
    made.key.may_send = wish.may_send;
    made.key.may_receive = wish.may_receive;
    made.key.created_at = clock_.now();
    if (wish.valid_for) {
        made.key.expires_at = made.key.created_at + wish.valid_for->count() * 1000;
    }
    CO_TRY_VOID(co_await keys_.create(made.key, crypto::sha256(as_bytes(made.token.reveal()))));
    co_return made;
}

Task<Result<std::vector<ApiKey>>> Admin::api_keys(std::string mesh) {
    CO_TRY(const NewMesh found, co_await require_mesh(std::move(mesh)));
    co_return co_await keys_.list(found.mesh.id);
}

Task<Result<ApiKey>> Admin::revoke_api_key(std::string mesh, std::string key_id) {
    CO_TRY(const NewMesh found, co_await require_mesh(std::move(mesh)));
    CO_TRY(auto key, co_await keys_.revoke(found.mesh.id, std::move(key_id), clock_.now()));
    if (!key) {
        co_return errors::not_found("No API key of this mesh has this id.");
    }
    co_return std::move(*key);
}

Task<Result<AuditVerdict>> Admin::verify_audit(std::string mesh) {
    CO_TRY(const NewMesh found, co_await require_mesh(std::move(mesh)));
    co_return co_await audits_.verify(found.mesh.id);
}

Task<Result<std::vector<AuditRecord>>> Admin::audit_records(std::string mesh, std::int64_t after) {
    CO_TRY(const NewMesh found, co_await require_mesh(std::move(mesh)));
    co_return co_await audits_.following(found.mesh.id, after, kAuditPage);
}

}  // namespace nave::broker
