// Vocabulary of the broker. Times are UnixMillis; keys are raw Ed25519 public keys, 64 lower-case
// hex characters on the wire; ids are 32 characters of base62 (ids.h).
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "broker/groups.h"
#include "broker/status.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nave::broker {

using Key = ByteArray<32>;

enum class Role : std::uint8_t { member, admin };

struct Mesh {
    std::string id;
    std::string name;
    std::string slug;
    Key owner_key{};
    UnixMillis created_at = 0;
    std::optional<UnixMillis> archived_at;
};

struct Member {
    std::string id;
    std::string mesh_id;
    Key key{};
    std::string display_name;
    Role role = Role::member;
    std::vector<Group> default_groups;
    UnixMillis joined_at = 0;
    std::optional<UnixMillis> revoked_at;
};

// An envelope is opaque: nonce and ciphertext are what the sender wrote, never decoded.
struct Envelope {
    std::string id;
    std::string mesh_id;
    std::string sender_member_id;
    Key sender_member_key{};
    Key sender_key{};  // the session's, when it has one: what the receiver replies to
    std::string sender_name;
    std::string target_spec;
    Priority priority = Priority::next;
    std::string nonce;
    std::string ciphertext;
    std::string client_message_id;    // empty: none
    std::string request_fingerprint;  // empty: none
    std::string reply_to;             // empty: none
    std::string subtype;              // empty: sent by a peer; "reminder": by the scheduler
    UnixMillis created_at = 0;
    UnixMillis expires_at = 0;
};

// Where an envelope stands in the queue: grows with every one stored.
using Sequence = std::int64_t;

struct QueuedEnvelope {
    Sequence sequence = 0;
    Envelope envelope;
};

}  // namespace nave::broker
