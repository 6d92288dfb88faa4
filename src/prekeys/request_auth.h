// Authentication of requests by the identity key itself; there are no accounts.
//
// Scheme A: `signedAt` and `signature` in the body; signed bytes are the RFC 8785 form of the body
// without `signature`. Binds neither method, path nor server; kept for compatible clients.
// Scheme B: headers Shade-Address, Shade-Timestamp, Shade-Nonce, Shade-Signature over
//   SHADE-REQ-V1 \n METHOD \n path?query \n audience \n address \n timestamp \n nonce \n
//   sha256(body)
#pragma once

#include "base/json.h"
#include "net/request.h"
#include "prekeys/types.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nave::prekeys {

// What a request claims about its origin; nothing is verified yet.
struct RequestProof {
    enum class Scheme : std::uint8_t { body, headers };
    Scheme scheme = Scheme::body;
    std::optional<Address> address;  // scheme B: who signs
    UnixMillis signed_at = 0;
    Bytes message;    // the exact signed bytes
    Bytes signature;  // 64 bytes
    Bytes nonce;      // scheme B: 16 bytes
};

// nullopt when the request carries neither scheme. `body` is the parsed body, or null for none.
// Errors: SHADE_VALIDATION for malformed proof members.
[[nodiscard]] Result<std::optional<RequestProof>> read_proof(const net::Request& request,
                                                             const json::Object* body,
                                                             std::string_view audience);

// Error SHADE_TIMESTAMP_SKEW with details.serverTime. A difference of exactly `skew_ms` passes.
[[nodiscard]] Result<void> check_skew(const RequestProof& proof, UnixMillis now,
                                      std::int64_t skew_ms);

// Error SHADE_FORBIDDEN when scheme B names another address than the one acted on.
[[nodiscard]] Result<void> check_subject(const RequestProof& proof, const Address& address);

// Slow: run on the worker pool.
[[nodiscard]] bool verify_proof(const RequestProof& proof, const IdentityKeys& identity);

// What the replay table remembers: the signature's hash, and for scheme B also (address, nonce).
[[nodiscard]] std::vector<Bytes> replay_hashes(const RequestProof& proof);

// "path?a=1&b=2" with the query's pairs sorted by key, percent-encoding kept; public for tests.
[[nodiscard]] std::string signed_target(std::string_view path, std::string_view query);

}  // namespace nave::prekeys
