#include "broker/invite.h"

#include "base/encoding.h"
#include "base/json_reader.h"
#include "base/text.h"
#include "broker/errors.h"
#include "broker/hex_key.h"

#include <fmt/format.h>

#include <algorithm>

namespace nave::broker {
namespace {

constexpr std::size_t kNameMax = 128;
constexpr std::size_t kUrlMax = 2'048;
constexpr std::size_t kRootKeyMax = 256;
constexpr std::size_t kSignatureTextMax = 256;
constexpr std::int64_t kSecondsMax = 253'402'300'799;  // the end of the year 9999

std::string signed_bytes(const InviteTerms& terms, const Key& owner_key) {
    return fmt::format("1|{}|{}|{}|{}|{}|{}|{}", terms.mesh_id, terms.mesh_slug, terms.broker_url,
                       terms.expires_at_s, terms.mesh_root_key.reveal(), role_name(terms.role),
                       hex_key(owner_key));
}

Result<void> check_text(std::string_view name, std::string_view text, std::size_t bytes_max) {
    if (text.empty() || text.size() > bytes_max || text.find('|') != std::string_view::npos ||
        !is_utf8(text)) {
        return errors::invalid_argument(
            fmt::format("{} must be 1 to {} bytes without |.", name, bytes_max));
    }
    return ok();
}

Result<void> check_terms(const InviteTerms& terms) {
    TRY_VOID(check_text("mesh_id", terms.mesh_id, kNameMax));
    TRY_VOID(check_text("mesh_slug", terms.mesh_slug, kNameMax));
    TRY_VOID(check_text("broker_url", terms.broker_url, kUrlMax));
    TRY_VOID(check_text("mesh_root_key", terms.mesh_root_key.reveal(), kRootKeyMax));
    if (terms.expires_at_s < 1 || terms.expires_at_s > kSecondsMax) {
        return errors::invalid_argument("expires_at must be seconds since 1970.");
    }
    return ok();
}

Result<SignedInvite> read_fields(const json::Reader& reader) {
    SignedInvite invite;
    InviteTerms& terms = invite.terms;
    TRY_VOID(reader.integer("v", 1, 1));
    TRY(terms.mesh_id, reader.text("mesh_id", kNameMax));
    TRY(terms.mesh_slug, reader.text("mesh_slug", kNameMax));
    TRY(terms.broker_url, reader.text("broker_url", kUrlMax));
    TRY(terms.expires_at_s, reader.integer("expires_at", 1, kSecondsMax));
    TRY(std::string root_key, reader.text("mesh_root_key", kRootKeyMax));
    terms.mesh_root_key = Secret(std::move(root_key));
    TRY(const std::string role_text, reader.text("role", kNameMax));
    TRY(const std::string owner_text, reader.text("owner_pubkey", kNameMax));
    TRY(invite.signature, reader.text("signature", kSignatureTextMax));
    const auto role = parse_role(role_text);
    if (!role) {
        return reader.problem("role", "must be admin or member");
    }
    const auto owner_key = parse_hex_key(owner_text);
    if (!owner_key) {
        return reader.problem("owner_pubkey", "must be 64 lower-case hex characters");
    }
    terms.role = *role;
    invite.owner_key = *owner_key;
    TRY_VOID(check_terms(terms));
    return invite;
}

bool is_token_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

bool is_locale(std::string_view segment) {
    return segment.size() >= 2 && segment.size() <= 16 &&
           std::ranges::all_of(segment, is_token_character);
}

// What stands after the "join/" of a link's path "host/[locale/]join/<token>".
std::optional<std::string_view> after_join(std::string_view rest) {
    const std::size_t host_end = rest.find('/');
    if (host_end == 0 || host_end == std::string_view::npos) {
        return std::nullopt;
    }
    rest.remove_prefix(host_end + 1);
    if (!rest.starts_with("join/")) {
        const std::size_t locale_end = rest.find('/');
        if (locale_end == std::string_view::npos || !is_locale(rest.substr(0, locale_end))) {
            return std::nullopt;
        }
        rest.remove_prefix(locale_end + 1);
    }
    if (!rest.starts_with("join/")) {
        return std::nullopt;
    }
    return rest.substr(5);
}

std::optional<std::string_view> token_in(std::string_view link) {
    if (link.starts_with("ic://join/")) {
        return link.substr(10);
    }
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (link.starts_with(scheme)) {
            return after_join(link.substr(scheme.size()));
        }
    }
    return link;
}

}  // namespace

std::string_view role_name(Role role) {
    return role == Role::admin ? "admin" : "member";
}

std::optional<Role> parse_role(std::string_view name) {
    if (name == "admin") {
        return Role::admin;
    }
    if (name == "member") {
        return Role::member;
    }
    return std::nullopt;
}

Result<SignedInvite> make_invite(InviteTerms terms, const crypto::Ed25519SigningKey& owner) {
    TRY_VOID(check_terms(terms));
    const std::string bytes = signed_bytes(terms, owner.public_key());
    std::string signature = hex(owner.sign(as_bytes(bytes)));
    return SignedInvite{std::move(terms), owner.public_key(), std::move(signature)};
}

Secret invite_token(const SignedInvite& invite) {
    const InviteTerms& terms = invite.terms;
    const json::Object object{{"v", 1},
                              {"mesh_id", terms.mesh_id},
                              {"mesh_slug", terms.mesh_slug},
                              {"broker_url", terms.broker_url},
                              {"expires_at", terms.expires_at_s},
                              {"mesh_root_key", terms.mesh_root_key.reveal()},
                              {"role", role_name(terms.role)},
                              {"owner_pubkey", hex_key(invite.owner_key)},
                              {"signature", invite.signature}};
    return Secret(base64url(as_bytes(json::text(object))));
}

Secret invite_link(const Secret& token) {
    return Secret(fmt::format("ic://join/{}", token.reveal()));
}

Result<SignedInvite> parse_invite(const json::Object& invite) {
    auto read = read_fields(json::Reader(invite));
    if (!read) {
        return errors::invalid_argument("invite: " + read.error().message);
    }
    return read;
}

Result<SignedInvite> parse_invite_token(std::string_view token) {
    if (token.empty() || token.size() > kInviteTokenBytesMax) {
        return errors::invalid_argument("The invite's token is empty or too long.");
    }
    const auto bytes = base64_decode(token);
    if (!bytes) {
        return errors::invalid_argument("The invite's token is not base64url.");
    }
    const auto value = json::parse(as_text(*bytes));
    if (!value || !value->is_object()) {
        return errors::invalid_argument("The invite's token holds no JSON object.");
    }
    return parse_invite(value->get_object());
}

Result<Secret> token_of_link(std::string_view link) {
    link = trim(link);
    link = link.substr(0, link.find_first_of("?#"));
    const auto token = token_in(link);
    if (!token || token->empty() || token->size() > kInviteTokenBytesMax ||
        !std::ranges::all_of(*token, is_token_character)) {
        return errors::invalid_argument(
            "An invite is ic://join/TOKEN, https://HOST/join/TOKEN, or the token.");
    }
    return Secret(std::string(*token));
}

Result<void> verify_invite(const SignedInvite& invite) {
    const auto signature = parse_hex_signature(invite.signature);
    if (!signature ||
        !crypto::ed25519_verify(
            invite.owner_key, as_bytes(signed_bytes(invite.terms, invite.owner_key)), *signature)) {
        return errors::invite_bad_signature();
    }
    return ok();
}

bool token_holds(std::string_view token, const SignedInvite& invite) {
    const auto held = parse_invite_token(token);
    return held && held->signature == invite.signature &&
           signed_bytes(held->terms, held->owner_key) ==
               signed_bytes(invite.terms, invite.owner_key);
}

bool is_expired(const SignedInvite& invite, UnixMillis now) {
    return invite.terms.expires_at_s * 1'000 <= now;
}

}  // namespace nave::broker
