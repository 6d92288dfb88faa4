#include "broker/audit.h"

#include "base/check.h"
#include "base/encoding.h"
#include "base/text.h"
#include "broker/hex_key.h"
#include "broker/invite.h"
#include "crypto/hash.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace nave::broker {
namespace {

json::Object peer(const Key& key, std::string_view display_name) {
    return {{"pubkey", hex_key(key)}, {"displayName", display_name}};
}

json::Object about(const Member& member) {
    return {{"memberId", member.id},
            {"pubkey", hex_key(member.key)},
            {"displayName", member.display_name},
            {"role", role_name(member.role)}};
}

std::string hash_of(const AuditRecord& record, std::string_view canonical_payload) {
    const std::string_view actor =
        record.actor_member_id.empty() ? "null" : std::string_view(record.actor_member_id);
    return hex(crypto::sha256(
        as_bytes(fmt::format("{}|{}|{}|{}|{}|{}", record.prev_hash, record.mesh_id, record.type,
                             actor, canonical_payload, rfc3339(record.created_at)))));
}

std::optional<AuditFault> fault_of(const AuditRecord& record, std::string_view prev_hash) {
    if (record.prev_hash != prev_hash) {
        return AuditFault::broken_link;
    }
    const auto payload = json::parse(record.payload);
    if (!payload) {
        return AuditFault::unreadable;
    }
    const auto canonical = json::canonical(*payload);
    if (!canonical) {
        return AuditFault::unreadable;
    }
    if (hash_of(record, *canonical) != record.hash) {
        return AuditFault::wrong_hash;
    }
    return std::nullopt;
}

}  // namespace

std::string_view audit_type_name(AuditType type) {
    switch (type) {
        case AuditType::peer_joined:
            return "peer_joined";
        case AuditType::peer_left:
            return "peer_left";
        case AuditType::message_sent:
            return "message_sent";
        case AuditType::state_set:
            return "state_set";
        case AuditType::member_joined:
            return "member_joined";
        case AuditType::member_banned:
            return "member_banned";
        case AuditType::member_unbanned:
            return "member_unbanned";
        case AuditType::mesh_created:
            return "mesh_created";
        case AuditType::mesh_archived:
            return "mesh_archived";
        case AuditType::invite_created:
            return "invite_created";
        case AuditType::invite_revoked:
            return "invite_revoked";
        case AuditType::api_key_created:
            return "api_key_created";
        case AuditType::api_key_revoked:
            return "api_key_revoked";
    }
    std::unreachable();
}

AuditEvent AuditEvent::peer_joined(const Key& key, std::string_view display_name) {
    return {AuditType::peer_joined, peer(key, display_name)};
}

AuditEvent AuditEvent::peer_left(const Key& key, std::string_view display_name) {
    return {AuditType::peer_left, peer(key, display_name)};
}

AuditEvent AuditEvent::message_sent(std::string_view message_id, std::string_view target_spec,
                                    Priority priority) {
    return {AuditType::message_sent,
            {{"messageId", message_id},
             {"targetSpec", target_spec},
             {"priority", priority_name(priority)}}};
}

AuditEvent AuditEvent::state_set(std::string_view state_key) {
    return {AuditType::state_set, {{"key", state_key}}};
}

AuditEvent AuditEvent::member_joined(const Member& member) {
    return {AuditType::member_joined, about(member)};
}

AuditEvent AuditEvent::member_banned(const Member& member) {
    return {AuditType::member_banned, about(member)};
}

AuditEvent AuditEvent::member_unbanned(const Member& member) {
    return {AuditType::member_unbanned, about(member)};
}

AuditEvent AuditEvent::mesh_created(std::string_view slug) {
    return {AuditType::mesh_created, {{"slug", slug}}};
}

AuditEvent AuditEvent::mesh_archived() {
    return {AuditType::mesh_archived, {}};
}

AuditEvent AuditEvent::invite_created(std::string_view invite_id, Role role, std::int64_t max_uses,
                                      UnixMillis expires_at) {
    return {AuditType::invite_created,
            {{"inviteId", invite_id},
             {"role", role_name(role)},
             {"maxUses", max_uses},
             {"expiresAt", rfc3339(expires_at)}}};
}

AuditEvent AuditEvent::invite_revoked(std::string_view invite_id) {
    return {AuditType::invite_revoked, {{"inviteId", invite_id}}};
}

AuditEvent AuditEvent::api_key_created(std::string_view api_key_id, std::string_view label) {
    return {AuditType::api_key_created, {{"apiKeyId", api_key_id}, {"label", label}}};
}

AuditEvent AuditEvent::api_key_revoked(std::string_view api_key_id) {
    return {AuditType::api_key_revoked, {{"apiKeyId", api_key_id}}};
}

AuditRecord next_record(std::string_view prev_hash, std::string_view mesh_id,
                        std::string_view actor_member_id, const AuditEvent& event,
                        UnixMillis created_at) {
    auto canonical = json::canonical(event.payload());
    CHECK(canonical.has_value(), "an audit event holds a floating-point number");
    AuditRecord record;
    record.mesh_id = mesh_id;
    record.type = audit_type_name(event.type());
    record.actor_member_id = actor_member_id;
    record.payload = std::move(*canonical);
    record.prev_hash = prev_hash;
    record.created_at = created_at;
    record.hash = hash_of(record, record.payload);
    return record;
}

std::string_view fault_name(AuditFault fault) {
    switch (fault) {
        case AuditFault::broken_link:
            return "broken_link";
        case AuditFault::wrong_hash:
            return "wrong_hash";
        case AuditFault::unreadable:
            return "unreadable";
        case AuditFault::missing_end:
            return "missing_end";
    }
    std::unreachable();
}

std::expected<std::string, AuditBreak> verify_records(std::span<const AuditRecord> records,
                                                      std::string_view prev_hash) {
    for (const AuditRecord& record : records) {
        if (const auto fault = fault_of(record, prev_hash)) {
            return std::unexpected(AuditBreak{record.id, *fault});
        }
        prev_hash = record.hash;
    }
    return std::string(prev_hash);
}

}  // namespace nave::broker
