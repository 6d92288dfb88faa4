// The proofs that open a connection: `hello`, signed by a member's key, and `session_hello`, signed
// by a session's key that the member's key vouches for (its attestation).
//
// Three steps, so that the middle one can run on a worker:
//   1. check_*()   shape and time, cheap; yields what has to be verified
//   2. verify()    the signatures (60 us each)
//   3. the caller  finds mesh and member, then asks the ReplayGuard
// Order of a hello's refusals: bad_session_pubkey, timestamp_skew, malformed, bad_signature,
// unauthorized. Of a session_hello's: bad_session_pubkey, bad_parent_pubkey, attestation_mismatch,
// the attestation's shape and times, the hello's skew and shape, then the two signatures. Capacity
// is the caller's to ask before anything else.
//
// Signed bytes, UTF-8, joined with `|`; numbers in decimal, keys as the hex text that was sent:
//   hello          meshId memberId pubkey timestamp
//   attestation    claudemesh-session-attest parentPubkey sessionPubkey expiresAt
//   session_hello  claudemesh-session-hello meshId parentPubkey sessionPubkey timestamp
// An id with a `|` in it is malformed: the bytes could be read as other fields.
//
// What these proofs do not say: a hello covers neither its session key nor that the peer owns it,
// so that whoever uses it as an address has to make sure that it is not somebody else's.
#pragma once

#include "base/clock.h"
#include "broker/types.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace nave::broker {

// A difference of exactly this much passes, in both directions.
inline constexpr std::chrono::milliseconds kHelloSkew{60'000};
inline constexpr std::chrono::hours kAttestationTtlMax{24};

enum class HelloRefusal : std::uint8_t {
    capacity,
    unauthorized,
    timestamp_skew,
    malformed,
    bad_signature,
    bad_session_pubkey,
    revoked,
    replayed,  // ours: the original accepts a captured hello until its time runs out
    bad_parent_pubkey,
    parent_member_id_mismatch,
    attestation_mismatch,
    attestation_malformed,
    attestation_expired,
    attestation_ttl_too_long,
    attestation_bad_signature,
    session_timestamp_skew,
    session_malformed,
    session_bad_signature,
};

// How a refusal is told: the `error` message's code, the reason and code of the close that follows,
// and the label of broker_connections_rejected_total.
struct RefusalForm {
    std::string_view code;
    std::string_view metric_reason;
    std::string_view close_reason;
    std::uint16_t close_code = 1008;
};
[[nodiscard]] const RefusalForm& refusal_form(HelloRefusal refusal);
// The `error` message's text; only `revoked` names the mesh.
[[nodiscard]] std::string refusal_message(HelloRefusal refusal, std::string_view mesh_name);

// Fields as they were sent. Session key empty: none.
struct HelloClaim {
    std::string mesh_id;
    std::string member_id;
    std::string pubkey;
    std::string session_pubkey;
    UnixMillis timestamp = 0;
    std::string signature;
};

struct AttestationClaim {
    std::string session_pubkey;
    std::string parent_pubkey;
    UnixMillis expires_at = 0;
    std::string signature;
};

struct SessionHelloClaim {
    std::string mesh_id;
    std::string parent_pubkey;
    std::string session_pubkey;
    UnixMillis timestamp = 0;
    std::string signature;
    AttestationClaim attestation;
};

struct SignedStatement {
    Key key{};
    std::string bytes;
    ByteArray<64> signature{};
    HelloRefusal when_wrong = HelloRefusal::bad_signature;
};

// Half of the SHA-256 of the hello's signature.
using ReplayKey = ByteArray<16>;

// What follows from a claim if verify() finds nothing wrong.
struct HelloProof {
    Key member_key{};
    std::optional<Key> session_key;
    UnixMillis signed_at = 0;
    ReplayKey replay_key{};
    std::vector<SignedStatement> statements;
    // The key was not written in its one form (hex_key.h). No member has such a key, so a good
    // signature ends in `unauthorized`, as in the original.
    bool key_in_upper_case = false;
};

[[nodiscard]] std::expected<HelloProof, HelloRefusal> check_hello(const HelloClaim& claim,
                                                                  UnixMillis now);
[[nodiscard]] std::expected<HelloProof, HelloRefusal> check_session_hello(
    const SessionHelloClaim& claim, UnixMillis now);
// Nullopt when every signature holds. Pure; runs on any thread.
[[nodiscard]] std::optional<HelloRefusal> verify(const HelloProof& proof);

// The signed bytes, for clients of this project (tests, load generator).
[[nodiscard]] std::string hello_bytes(const HelloClaim& claim);
[[nodiscard]] std::string attestation_bytes(const AttestationClaim& claim);
[[nodiscard]] std::string session_hello_bytes(const SessionHelloClaim& claim);

// Remembers hellos while their time would let them pass again.
//
// Ask after the signatures held and the member was found; otherwise anybody could fill it. It holds
// `capacity` of them (about 100 bytes each) and then forgets the one that runs out first, counted:
// under a flood of members' hellos it becomes what the original is, and nobody is locked out.
// Clients sign each hello anew with the time of day. Two of one member that are signed within the
// same millisecond have the same bytes; the second is refused and succeeds when it reconnects.
// Of one node; several nodes ask the database as well (presence_store.h).
class ReplayGuard {
  public:
    explicit ReplayGuard(std::size_t capacity = 65'536) : capacity_(capacity) {}

    // False when it was there. `signed_at` lies within the skew of `now`.
    [[nodiscard]] bool admit(const ReplayKey& key, UnixMillis signed_at, UnixMillis now);
    [[nodiscard]] std::size_t size() const { return known_.size(); }
    [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

  private:
    struct Hash {
        std::size_t operator()(const ReplayKey& key) const noexcept;
    };
    void forget_before(std::int64_t second);
    void forget_one();

    std::size_t capacity_;
    std::unordered_set<ReplayKey, Hash> known_;
    std::map<std::int64_t, std::vector<ReplayKey>> by_last_second_;
    std::uint64_t evicted_ = 0;
};

}  // namespace nave::broker
