// Reading the fields of `hello`, `session_hello` and `send`. Unknown fields are ignored; what has
// the wrong type is refused, except where clients of the original are known to be careless.
#include "base/json_reader.h"
#include "broker/errors.h"
#include "broker/fields.h"
#include "broker/groups.h"
#include "broker/requests.h"

namespace nave::broker {
namespace {

constexpr std::int64_t kTtlSecondsMax = 365 * 24 * 3600;
constexpr std::size_t kNameBytes = 256;
constexpr std::size_t kTextBytes = 4'096;

Result<Groups> groups_field(const json::Object& fields) {
    const json::Value* value = find_field(fields, "groups");
    if (value == nullptr) {
        return Groups();
    }
    auto groups = groups_from_json(*value);
    if (!groups) {
        return errors::invalid_argument("groups: " + groups.error().message);
    }
    return groups;
}

Result<Profile> read_profile(const json::Object& fields) {
    Profile profile;
    TRY(profile.display_name, text_field(fields, "displayName", kNameBytes));
    TRY(profile.session_id, text_field(fields, "sessionId", kNameBytes));
    TRY(profile.cwd, text_field(fields, "cwd", kTextBytes));
    TRY(profile.pid, integer_field(fields, "pid"));
    TRY(profile.hostname, text_field(fields, "hostname", kNameBytes));
    TRY(profile.peer_type, text_field(fields, "peerType", kNameBytes));
    TRY(profile.channel, text_field(fields, "channel", kNameBytes));
    TRY(profile.model, text_field(fields, "model", kNameBytes));
    TRY(profile.groups, groups_field(fields));
    return profile;
}

Result<Hello> read_member_hello(const json::Object& fields, Introduction introduction,
                                UnixMillis now) {
    HelloClaim claim;
    claim.mesh_id = introduction.mesh_id;
    TRY(claim.member_id, text_field(fields, "memberId", kNameBytes));
    TRY(claim.pubkey, text_field(fields, "pubkey", kNameBytes));
    TRY(claim.session_pubkey, text_field(fields, "sessionPubkey", kNameBytes));
    TRY(claim.timestamp, integer_field(fields, "timestamp"));
    TRY(claim.signature, text_field(fields, "signature", kNameBytes));
    return Hello{std::move(introduction), check_hello(claim, now)};
}

Result<Hello> read_session_hello(const json::Object& fields, Introduction introduction,
                                 UnixMillis now) {
    SessionHelloClaim claim;
    claim.mesh_id = introduction.mesh_id;
    introduction.is_session = true;
    TRY(introduction.member_id, text_field(fields, "parentMemberId", kNameBytes));
    TRY(claim.parent_pubkey, text_field(fields, "parentMemberPubkey", kNameBytes));
    TRY(claim.session_pubkey, text_field(fields, "sessionPubkey", kNameBytes));
    TRY(claim.timestamp, integer_field(fields, "timestamp"));
    TRY(claim.signature, text_field(fields, "signature", kNameBytes));
    const json::Value* attestation = fields.if_contains("parentAttestation");
    if (attestation != nullptr && attestation->is_object()) {
        const json::Object& parts = attestation->get_object();
        TRY(claim.attestation.session_pubkey, text_field(parts, "sessionPubkey", kNameBytes));
        TRY(claim.attestation.parent_pubkey, text_field(parts, "parentMemberPubkey", kNameBytes));
        TRY(claim.attestation.expires_at, integer_field(parts, "expiresAt"));
        TRY(claim.attestation.signature, text_field(parts, "signature", kNameBytes));
    }
    return Hello{std::move(introduction), check_session_hello(claim, now)};
}

}  // namespace

Result<Hello> read_hello(const ClientRequest& request, UnixMillis now) {
    Introduction introduction;
    TRY(introduction.mesh_id, required_text(request.fields, "meshId", kNameBytes));
    TRY(introduction.profile, read_profile(request.fields));
    return request.type == "session_hello"
               ? read_session_hello(request.fields, std::move(introduction), now)
               : read_member_hello(request.fields, std::move(introduction), now);
}

Result<Send> read_send(const ClientRequest& request, std::size_t bytes_max) {
    const json::Object& fields = request.fields;
    Send send;
    Envelope& envelope = send.envelope;
    TRY(send.client_id, text_field(fields, "id", kNameBytes));
    TRY(envelope.target_spec, required_text(fields, "targetSpec", kNameBytes + 1));
    TRY(const std::string priority, text_field(fields, "priority", kNameBytes));
    const auto known = priority.empty() ? Priority::next : parse_priority(priority);
    if (!known) {
        return bad_field("priority", "must be now, next or low");
    }
    envelope.priority = *known;
    TRY(envelope.nonce, text_field(fields, "nonce", bytes_max));
    TRY(envelope.ciphertext, text_field(fields, "ciphertext", bytes_max));
    if (envelope.nonce.size() + envelope.ciphertext.size() + envelope.target_spec.size() >
        bytes_max) {
        return errors::too_large();
    }
    TRY(envelope.client_message_id, text_field(fields, "client_message_id", kNameBytes));
    TRY(envelope.request_fingerprint, text_field(fields, "request_fingerprint", kNameBytes));
    TRY(envelope.reply_to, text_field(fields, "replyToId", kNameBytes));
    TRY(send.ttl_seconds, integer_field(fields, "ttlSeconds"));
    if (send.ttl_seconds < 0 || send.ttl_seconds > kTtlSecondsMax) {
        return bad_field("ttlSeconds", "must be 1 to 31536000, or absent");
    }
    TRY(send.target, parse_target(envelope.target_spec));
    if (std::holds_alternative<TopicTarget>(send.target)) {
        return errors::not_found("There are no topics on this broker.");
    }
    return send;
}

std::optional<ClientRequest> parse_request(std::string_view payload) {
    auto parsed = json::parse(payload, {.depth_max = 32, .floats_allowed = true});
    if (!parsed || !parsed->is_object()) {
        return std::nullopt;
    }
    ClientRequest request;
    request.fields = std::move(parsed->get_object());
    request.type = text_or_empty(request.fields, "type");
    request.request_id = text_or_empty(request.fields, "_reqId");
    request.bytes = payload.size();
    if (request.type.empty() || request.request_id.size() > 256) {
        return std::nullopt;
    }
    return request;
}

}  // namespace nave::broker
