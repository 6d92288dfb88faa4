#include "broker/admin_json.h"

#include "broker/hex_key.h"
#include "broker/invite.h"
#include "broker/wire.h"

namespace nave::broker {

void append_mesh(std::string& out, const Mesh& mesh) {
    json::ObjectWriter writer(out);
    writer.plain("id", mesh.id);
    writer.text("name", mesh.name);
    writer.plain("slug", mesh.slug);
    writer.plain("ownerPubkey", hex_key(mesh.owner_key));
    writer.plain("createdAt", iso8601(mesh.created_at));
    if (mesh.archived_at) {
        writer.plain("archivedAt", iso8601(*mesh.archived_at));
    }
    writer.close();
}

void append_member(std::string& out, const Member& member) {
    json::ObjectWriter writer(out);
    writer.plain("id", member.id);
    writer.plain("pubkey", hex_key(member.key));
    writer.text("displayName", member.display_name);
    writer.plain("role", role_name(member.role));
    writer.plain("joinedAt", iso8601(member.joined_at));
    if (member.revoked_at) {
        writer.plain("revokedAt", iso8601(*member.revoked_at));
    }
    writer.close();
}

namespace {

void write_invite(json::ObjectWriter& writer, const Invite& invite) {
    writer.plain("id", invite.id);
    writer.plain("role", role_name(invite.role));
    writer.integer("maxUses", invite.max_uses);
    writer.integer("usedCount", invite.used_count);
    writer.plain("createdAt", iso8601(invite.created_at));
    writer.plain("expiresAt", iso8601(invite.expires_at));
    if (invite.revoked_at) {
        writer.plain("revokedAt", iso8601(*invite.revoked_at));
    }
}

}  // namespace

namespace {

void write_api_key(json::ObjectWriter& writer, const ApiKey& key) {
    writer.plain("id", key.id);
    writer.plain("memberId", key.member_id);
    writer.text("label", key.label);
    writer.boolean("maySend", key.may_send);
    writer.boolean("mayReceive", key.may_receive);
    writer.plain("createdAt", iso8601(key.created_at));
    if (key.expires_at) {
        writer.plain("expiresAt", iso8601(*key.expires_at));
    }
    if (key.revoked_at) {
        writer.plain("revokedAt", iso8601(*key.revoked_at));
    }
}

}  // namespace

void append_api_key(std::string& out, const ApiKey& key) {
    json::ObjectWriter writer(out);
    write_api_key(writer, key);
    writer.close();
}

void append_made_api_key(std::string& out, const MadeApiKey& made) {
    json::ObjectWriter writer(out);
    write_api_key(writer, made.key);
    writer.plain("token", made.token.reveal());
    writer.close();
}

void append_invite(std::string& out, const Invite& invite) {
    json::ObjectWriter writer(out);
    write_invite(writer, invite);
    writer.close();
}

void write_audit_record(json::ObjectWriter& writer, const AuditRecord& record) {
    writer.integer("id", record.id);
    writer.text("meshId", record.mesh_id);
    writer.text("eventType", record.type);
    if (record.actor_member_id.empty()) {
        writer.raw("actorMemberId", "null");
    } else {
        writer.text("actorMemberId", record.actor_member_id);
    }
    if (json::parse(record.payload)) {
        writer.raw("payload", record.payload);
    } else {
        writer.text("payload", record.payload);
    }
    writer.text("prevHash", record.prev_hash);
    writer.text("hash", record.hash);
    writer.plain("createdAt", iso8601(record.created_at));
}

void write_verdict(json::ObjectWriter& writer, const AuditVerdict& verdict) {
    writer.boolean("valid", !verdict.broken);
    writer.integer("entries", verdict.records);
    writer.integer("trimmed", verdict.trimmed);
    writer.text("head", verdict.head);
    if (verdict.broken) {
        writer.integer("brokenAt", verdict.broken->id);
        writer.plain("fault", fault_name(verdict.broken->fault));
    }
}

void append_made_invite(std::string& out, const MadeInvite& made) {
    json::ObjectWriter writer(out);
    write_invite(writer, made.invite);
    writer.plain("token", made.token.reveal());
    writer.plain("link", made.link.reveal());
    writer.close();
}

}  // namespace nave::broker
