#include "prekeys/request_auth.h"

#include "base/encoding.h"
#include "base/json_reader.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "prekeys/errors.h"
#include "prekeys/signatures.h"
#include "prekeys/upload.h"

#include <fmt/format.h>

#include <algorithm>

namespace nave::prekeys {
namespace {

constexpr std::size_t kSignatureSize = 64;
constexpr std::size_t kNonceSize = 16;

Result<RequestProof> read_headers(const net::Request& request, std::string_view audience) {
    for (const std::string_view name :
         {"Shade-Address", "Shade-Timestamp", "Shade-Nonce", "Shade-Signature"}) {
        if (request.header_count(name) != 1) {
            return errors::invalid_field(name, "must be given exactly once");
        }
    }
    RequestProof proof;
    proof.scheme = RequestProof::Scheme::headers;
    const std::string_view address_text = request.header("Shade-Address");
    TRY(Address address, Address::parse(address_text));
    const std::string_view timestamp_text = request.header("Shade-Timestamp");
    const auto timestamp = parse_int(timestamp_text);
    if (!timestamp || *timestamp < 0 || *timestamp > kTimeMax) {
        return errors::invalid_field("Shade-Timestamp", "must be milliseconds since 1970");
    }
    const std::string_view nonce_text = request.header("Shade-Nonce");
    auto nonce = base64_decode(nonce_text);
    if (!nonce || nonce->size() != kNonceSize) {
        return errors::invalid_field("Shade-Nonce", "must be 16 bytes in base64url");
    }
    auto signature = base64_decode(request.header("Shade-Signature"));
    if (!signature || signature->size() != kSignatureSize) {
        return errors::invalid_field("Shade-Signature", "must be 64 bytes in base64");
    }
    proof.signed_at = *timestamp;
    proof.nonce = std::move(*nonce);
    proof.signature = std::move(*signature);
    append(proof.message,
           fmt::format("SHADE-REQ-V1\n{}\n{}\n{}\n{}\n{}\n{}\n{}", net::method_name(request.method),
                       signed_target(request.path, request.query), audience, address_text,
                       timestamp_text, nonce_text, hex(crypto::sha256(as_bytes(request.body)))));
    proof.address = std::move(address);
    return proof;
}

Result<RequestProof> read_body(const json::Object& body) {
    const json::Reader reader(body);
    RequestProof proof;
    TRY(proof.signed_at, reader.integer("signedAt", 0, kTimeMax));
    TRY(proof.signature, reader.bytes("signature", kSignatureSize));
    TRY(const std::string canonical, json::canonical(body, "signature"));
    append(proof.message, canonical);
    return proof;
}

}  // namespace

std::string signed_target(std::string_view path, std::string_view query) {
    if (query.empty()) {
        return std::string(path);
    }
    std::vector<std::string_view> pairs;
    for (std::size_t at = 0; at <= query.size();) {
        const std::size_t end = std::min(query.find('&', at), query.size());
        pairs.push_back(query.substr(at, end - at));
        at = end + 1;
    }
    // Equal keys keep their order: the views lie in the query in that order.
    std::ranges::sort(pairs, {}, [](std::string_view pair) {
        return std::pair(pair.substr(0, pair.find('=')), pair.data());
    });
    return fmt::format("{}?{}", path, fmt::join(pairs, "&"));
}

Result<std::optional<RequestProof>> read_proof(const net::Request& request,
                                               const json::Object* body,
                                               std::string_view audience) {
    if (request.header_count("Shade-Signature") > 0) {
        TRY(RequestProof proof, read_headers(request, audience));
        return proof;
    }
    if (body != nullptr && body->contains("signature")) {
        TRY(RequestProof proof, read_body(*body));
        return proof;
    }
    return std::nullopt;
}

Result<void> check_skew(const RequestProof& proof, UnixMillis now, std::int64_t skew_ms) {
    if (proof.signed_at > now + skew_ms || proof.signed_at < now - skew_ms) {
        return errors::with_details(errors::timestamp_skew(),
                                    fmt::format(R"({{"serverTime":{}}})", now));
    }
    return ok();
}

Result<void> check_subject(const RequestProof& proof, const Address& address) {
    if (proof.address && *proof.address != address) {
        return errors::forbidden("The signer's address is not the one acted on.");
    }
    return ok();
}

bool verify_proof(const RequestProof& proof, const IdentityKeys& identity) {
    return verify_signature(identity.suite, identity.signing_key, proof.message, proof.signature);
}

std::vector<Bytes> replay_hashes(const RequestProof& proof) {
    std::vector<Bytes> hashes;
    hashes.push_back(to_bytes(crypto::sha256(proof.signature)));
    if (proof.address) {
        Bytes scoped;
        append(scoped, proof.address->text());
        scoped.push_back(0);
        append(scoped, proof.nonce);
        hashes.push_back(to_bytes(crypto::sha256(scoped)));
    }
    return hashes;
}

}  // namespace nave::prekeys
