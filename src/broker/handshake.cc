#include "broker/handshake.h"

#include "broker/hex_key.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace nave::broker {
namespace {

using Check = std::expected<HelloProof, HelloRefusal>;

bool is_skewed(UnixMillis timestamp, UnixMillis now) {
    return timestamp < now - kHelloSkew.count() || timestamp > now + kHelloSkew.count();
}

bool is_ambiguous(std::string_view id) {
    return id.find('|') != std::string_view::npos;
}

ReplayKey replay_key(const ByteArray<64>& signature) {
    const ByteArray<32> hash = crypto::sha256(signature);
    ReplayKey key{};
    std::copy_n(hash.begin(), key.size(), key.begin());
    return key;
}

std::expected<SignedStatement, HelloRefusal> check_attestation(const AttestationClaim& claim,
                                                               const Key& parent, UnixMillis now) {
    const auto signature = parse_hex_signature(claim.signature);
    if (!signature) {
        return std::unexpected(HelloRefusal::attestation_malformed);
    }
    if (claim.expires_at < now) {
        return std::unexpected(HelloRefusal::attestation_expired);
    }
    if (claim.expires_at > now + std::chrono::milliseconds(kAttestationTtlMax).count()) {
        return std::unexpected(HelloRefusal::attestation_ttl_too_long);
    }
    return SignedStatement{parent, attestation_bytes(claim), *signature,
                           HelloRefusal::attestation_bad_signature};
}

}  // namespace

const RefusalForm& refusal_form(HelloRefusal refusal) {
    static constexpr auto plain = [](std::string_view code) {
        return RefusalForm{code, code, code, 1008};
    };
    static constexpr auto labelled = [](std::string_view code, std::string_view metric_reason) {
        return RefusalForm{code, metric_reason, code, 1008};
    };
    static constexpr RefusalForm kForms[] = {
        plain("capacity"),
        plain("unauthorized"),
        plain("timestamp_skew"),
        plain("malformed"),
        plain("bad_signature"),
        plain("bad_session_pubkey"),
        {"revoked", "revoked", "banned", 4002},
        plain("replayed"),
        plain("bad_parent_pubkey"),
        plain("parent_member_id_mismatch"),
        plain("attestation_mismatch"),
        labelled("malformed", "attestation_malformed"),
        labelled("expired", "attestation_expired"),
        labelled("ttl_too_long", "attestation_ttl_too_long"),
        labelled("bad_signature", "attestation_bad_signature"),
        labelled("timestamp_skew", "session_timestamp_skew"),
        labelled("malformed", "session_malformed"),
        labelled("bad_signature", "session_bad_signature"),
    };
    static_assert(std::size(kForms) ==
                  static_cast<std::size_t>(HelloRefusal::session_bad_signature) + 1);
    return kForms[static_cast<std::size_t>(refusal)];
}

std::string refusal_message(HelloRefusal refusal, std::string_view mesh_name) {
    switch (refusal) {
        case HelloRefusal::capacity:
            return "mesh full";
        case HelloRefusal::unauthorized:
            return "key not in mesh";
        case HelloRefusal::revoked:
            return fmt::format("you were removed from the mesh {}", mesh_name);
        default:
            return fmt::format("hello rejected: {}", refusal_form(refusal).code);
    }
}

std::string hello_bytes(const HelloClaim& claim) {
    return fmt::format("{}|{}|{}|{}", claim.mesh_id, claim.member_id, claim.pubkey,
                       claim.timestamp);
}

std::string attestation_bytes(const AttestationClaim& claim) {
    return fmt::format("claudemesh-session-attest|{}|{}|{}", claim.parent_pubkey,
                       claim.session_pubkey, claim.expires_at);
}

std::string session_hello_bytes(const SessionHelloClaim& claim) {
    return fmt::format("claudemesh-session-hello|{}|{}|{}|{}", claim.mesh_id, claim.parent_pubkey,
                       claim.session_pubkey, claim.timestamp);
}

Check check_hello(const HelloClaim& claim, UnixMillis now) {
    HelloProof proof;
    if (!claim.session_pubkey.empty()) {
        proof.session_key = parse_hex_key(claim.session_pubkey);
        if (!proof.session_key) {
            return std::unexpected(HelloRefusal::bad_session_pubkey);
        }
    }
    if (is_skewed(claim.timestamp, now)) {
        return std::unexpected(HelloRefusal::timestamp_skew);
    }
    const auto lower_case = lower_hex_key(claim.pubkey);
    const auto signature = parse_hex_signature(claim.signature);
    if (!lower_case || !signature || is_ambiguous(claim.mesh_id) || is_ambiguous(claim.member_id)) {
        return std::unexpected(HelloRefusal::malformed);
    }
    proof.member_key = *parse_hex_key(*lower_case);
    proof.key_in_upper_case = *lower_case != claim.pubkey;
    proof.signed_at = claim.timestamp;
    proof.replay_key = replay_key(*signature);
    proof.statements.push_back(
        {proof.member_key, hello_bytes(claim), *signature, HelloRefusal::bad_signature});
    return proof;
}

Check check_session_hello(const SessionHelloClaim& claim, UnixMillis now) {
    HelloProof proof;
    proof.session_key = parse_hex_key(claim.session_pubkey);
    if (!proof.session_key) {
        return std::unexpected(HelloRefusal::bad_session_pubkey);
    }
    const auto parent = parse_hex_key(claim.parent_pubkey);
    if (!parent) {
        return std::unexpected(HelloRefusal::bad_parent_pubkey);
    }
    if (claim.attestation.session_pubkey != claim.session_pubkey ||
        claim.attestation.parent_pubkey != claim.parent_pubkey) {
        return std::unexpected(HelloRefusal::attestation_mismatch);
    }
    auto attestation = check_attestation(claim.attestation, *parent, now);
    if (!attestation) {
        return std::unexpected(attestation.error());
    }
    if (is_skewed(claim.timestamp, now)) {
        return std::unexpected(HelloRefusal::session_timestamp_skew);
    }
    const auto signature = parse_hex_signature(claim.signature);
    if (!signature || is_ambiguous(claim.mesh_id)) {
        return std::unexpected(HelloRefusal::session_malformed);
    }
    proof.member_key = *parent;
    proof.signed_at = claim.timestamp;
    proof.replay_key = replay_key(*signature);
    proof.statements.push_back(std::move(*attestation));
    proof.statements.push_back({*proof.session_key, session_hello_bytes(claim), *signature,
                                HelloRefusal::session_bad_signature});
    return proof;
}

std::optional<HelloRefusal> verify(const HelloProof& proof) {
    for (const SignedStatement& statement : proof.statements) {
        if (!crypto::ed25519_verify(statement.key, as_bytes(statement.bytes),
                                    statement.signature)) {
            return statement.when_wrong;
        }
    }
    if (proof.key_in_upper_case) {
        return HelloRefusal::unauthorized;
    }
    return std::nullopt;
}

std::size_t ReplayGuard::Hash::operator()(const ReplayKey& key) const noexcept {
    std::size_t hash = 0;
    std::memcpy(&hash, key.data(), sizeof hash);
    return hash;
}

bool ReplayGuard::admit(const ReplayKey& key, UnixMillis signed_at, UnixMillis now) {
    forget_before(now / 1'000);
    if (known_.contains(key)) {
        return false;
    }
    if (known_.size() >= capacity_) {
        forget_one();
    }
    known_.insert(key);
    by_last_second_[(signed_at + kHelloSkew.count()) / 1'000].push_back(key);
    return true;
}

void ReplayGuard::forget_before(std::int64_t second) {
    while (!by_last_second_.empty() && by_last_second_.begin()->first < second) {
        for (const ReplayKey& key : by_last_second_.begin()->second) {
            known_.erase(key);
        }
        by_last_second_.erase(by_last_second_.begin());
    }
}

void ReplayGuard::forget_one() {
    const auto first = by_last_second_.begin();
    known_.erase(first->second.back());
    first->second.pop_back();
    if (first->second.empty()) {
        by_last_second_.erase(first);
    }
    ++evicted_;
}

}  // namespace nave::broker
