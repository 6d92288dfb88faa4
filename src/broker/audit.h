// The audit log of a mesh: who came, went, sent, changed and was removed, as a chain of hashes.
//
// hash = SHA-256 in hex of six parts joined with `|`: the former record's hash ("genesis" for the
// first), mesh id, event type, the acting member's id ("null" for none), the payload as JSON with
// keys sorted at every level and no spaces (RFC 8785), and the time as 2026-11-21T03:00:00.000Z.
//
// What it shows: no record was altered, removed or put in between, up to a hash that somebody has
// kept elsewhere. Without one, whoever can write the table can write another chain, and the end of
// a chain can be cut off.
//
// Events are made by the functions below and by nothing else, so that content cannot get in: no
// ciphertext, no state value, no summary, no memory.
#pragma once

#include "base/clock.h"
#include "base/json.h"
#include "broker/types.h"

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

namespace nave::broker {

inline constexpr std::string_view kAuditGenesis = "genesis";

enum class AuditType : std::uint8_t {
    peer_joined,
    peer_left,
    message_sent,
    state_set,
    member_joined,
    member_banned,
    member_unbanned,
    mesh_created,
    mesh_archived,
    invite_created,
    invite_revoked,
    api_key_created,
    api_key_revoked,
};
[[nodiscard]] std::string_view audit_type_name(AuditType type);

class AuditEvent {
  public:
    // `key` is the one the peer is reached by, its session's or its member's.
    [[nodiscard]] static AuditEvent peer_joined(const Key& key, std::string_view display_name);
    [[nodiscard]] static AuditEvent peer_left(const Key& key, std::string_view display_name);
    [[nodiscard]] static AuditEvent message_sent(std::string_view message_id,
                                                 std::string_view target_spec, Priority priority);
    [[nodiscard]] static AuditEvent state_set(std::string_view state_key);
    [[nodiscard]] static AuditEvent member_joined(const Member& member);
    [[nodiscard]] static AuditEvent member_banned(const Member& member);
    [[nodiscard]] static AuditEvent member_unbanned(const Member& member);
    [[nodiscard]] static AuditEvent mesh_created(std::string_view slug);
    [[nodiscard]] static AuditEvent mesh_archived();
    [[nodiscard]] static AuditEvent invite_created(std::string_view invite_id, Role role,
                                                   std::int64_t max_uses, UnixMillis expires_at);
    [[nodiscard]] static AuditEvent invite_revoked(std::string_view invite_id);
    [[nodiscard]] static AuditEvent api_key_created(std::string_view api_key_id,
                                                    std::string_view label);
    [[nodiscard]] static AuditEvent api_key_revoked(std::string_view api_key_id);

    [[nodiscard]] AuditType type() const { return type_; }
    [[nodiscard]] const json::Object& payload() const { return payload_; }

  private:
    AuditEvent(AuditType type, json::Object payload) : type_(type), payload_(std::move(payload)) {}

    AuditType type_;
    json::Object payload_;
};

// A row. Types are texts here, so that records of a newer version verify too.
struct AuditRecord {
    std::int64_t id = 0;  // the store's
    std::string mesh_id;
    std::string type;
    std::string actor_member_id;  // empty: nobody of the mesh
    std::string payload;          // JSON; the store may have changed spaces and the order of keys
    std::string prev_hash;
    std::string hash;
    UnixMillis created_at = 0;
};

// The record that follows the one with `prev_hash`; its id is still to be given. Under one lock per
// mesh, or two records follow the same one.
[[nodiscard]] AuditRecord next_record(std::string_view prev_hash, std::string_view mesh_id,
                                      std::string_view actor_member_id, const AuditEvent& event,
                                      UnixMillis created_at);

enum class AuditFault : std::uint8_t {
    broken_link,  // prev_hash is not the hash of the record before
    wrong_hash,   // the record is not the one that was hashed
    unreadable,   // its payload is no JSON that could have been hashed
    missing_end,  // the records end before the chain does
};
[[nodiscard]] std::string_view fault_name(AuditFault fault);

struct AuditBreak {
    std::int64_t id = 0;  // of missing_end: the last record there is, 0 for none
    AuditFault fault = AuditFault::broken_link;

    friend bool operator==(const AuditBreak&, const AuditBreak&) = default;
};

// Records in order, the first following `prev_hash`. Yields the last one's hash, which the next
// page of records has to follow (`prev_hash` when there are none).
[[nodiscard]] std::expected<std::string, AuditBreak> verify_records(
    std::span<const AuditRecord> records, std::string_view prev_hash = kAuditGenesis);

}  // namespace nave::broker
