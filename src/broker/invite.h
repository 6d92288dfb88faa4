// Invites, version 1: what the owner of a mesh signs and a newcomer brings to POST /join.
//
// JSON {v:1, mesh_id, mesh_slug, broker_url, expires_at (seconds), mesh_root_key, role,
// owner_pubkey, signature}. Signed bytes: the eight fields before the signature, in that order,
// joined with `|`; Ed25519 by the owner's key. The token is base64url of the JSON, the link
// ic://join/<token>. A `|` inside a field is refused, for it could be read as another field.
//
// An invite holds the mesh's root key: whoever has the token has the key.
#pragma once

#include "base/clock.h"
#include "base/json.h"
#include "base/result.h"
#include "base/secret.h"
#include "broker/types.h"
#include "crypto/ed25519.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nave::broker {

inline constexpr std::size_t kInviteTokenBytesMax = 8'192;

struct InviteTerms {
    std::string mesh_id;
    std::string mesh_slug;
    std::string broker_url;         // wss://host/ws, as clients reach this broker
    std::int64_t expires_at_s = 0;  // Unix time in seconds
    Secret mesh_root_key;           // base64url of 32 bytes
    Role role = Role::member;
};

struct SignedInvite {
    InviteTerms terms;
    Key owner_key{};
    std::string signature;  // as it came; 128 hex characters if it is to verify
};

// Error: invalid_argument, when a field is empty, too long or ambiguous.
[[nodiscard]] Result<SignedInvite> make_invite(InviteTerms terms,
                                               const crypto::Ed25519SigningKey& owner);
[[nodiscard]] Secret invite_token(const SignedInvite& invite);
[[nodiscard]] Secret invite_link(const Secret& token);

// The fields' shape; nothing is verified. Other members are ignored, as they are not signed. Error:
// invalid_argument with the field's name.
[[nodiscard]] Result<SignedInvite> parse_invite(const json::Object& invite);
// The same for a token. Error: invalid_argument.
[[nodiscard]] Result<SignedInvite> parse_invite_token(std::string_view token);
// The token of ic://join/<token>, http(s)://host/[locale/]join/<token>, or a bare one; what follows
// a `?` or `#` is left out. Error: invalid_argument. The token itself is not read.
[[nodiscard]] Result<Secret> token_of_link(std::string_view link);

// Does the owner's key in the invite hold for its terms? Whether that is the mesh's owner is
// another question. Slow (60 us): run on the worker pool. Error: invite_bad_signature.
[[nodiscard]] Result<void> verify_invite(const SignedInvite& invite);
// Is it the invite that this token holds? /join takes token and payload apart from each other: a
// payload of one invite must not ride on the uses and the life of another.
[[nodiscard]] bool token_holds(std::string_view token, const SignedInvite& invite);
[[nodiscard]] bool is_expired(const SignedInvite& invite, UnixMillis now);

[[nodiscard]] std::string_view role_name(Role role);
[[nodiscard]] std::optional<Role> parse_role(std::string_view name);

}  // namespace nave::broker
