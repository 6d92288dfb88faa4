#include "prekeys/test_keys.h"

#include "base/encoding.h"
#include "crypto/field25519.h"
#include "crypto/hash.h"
#include "crypto/kem_test_keys.h"
#include "crypto/xeddsa.h"
#include "prekeys/signatures.h"

#include <fmt/format.h>

#include <algorithm>

namespace nave::prekeys {
namespace {

Bytes libsignal_form(ByteView key) {
    Bytes typed{crypto::kLibsignalCurveType};
    append(typed, key);
    return typed;
}

// Shared by all devices, so that two made from one seed do not repeat each other's proofs.
std::uint64_t next_proof() {
    static std::uint64_t proofs = 0;
    return ++proofs;
}

// The u-coordinate of an Ed25519 key. edwards_y() is (t - 1)/(t + 1), a map of order four, so
// three steps from y lead back to u.
ByteArray<32> montgomery_u(ByteArray<32> y) {
    y.back() &= 0x7f;
    for (int step = 0; step < 3; ++step) {
        y = crypto::detail::edwards_y(y).value();
    }
    return y;
}

}  // namespace

TestDevice::TestDevice(std::string_view address, Suite suite, std::uint64_t seed)
    : address_(Address::parse(address).value()),
      suite_(suite),
      seed_(seed),
      key_(crypto::Ed25519SigningKey::from_seed(derive("identity", 0)).value()) {}

Bytes TestDevice::derive(std::string_view purpose, std::uint64_t number) const {
    return to_bytes(crypto::sha256(as_bytes(fmt::format("{}/{}/{}", seed_, purpose, number))));
}

Bytes TestDevice::curve_key(std::string_view purpose, std::uint64_t number) const {
    Bytes key = derive(purpose, number);
    key.back() &= 0x7f;
    return uses_xeddsa(suite_) ? libsignal_form(key) : key;
}

IdentityKeys TestDevice::identity() const {
    IdentityKeys keys;
    keys.suite = suite_;
    if (uses_xeddsa(suite_)) {
        keys.signing_key = libsignal_form(montgomery_u(key_.public_key()));
        return keys;
    }
    keys.signing_key = to_bytes(key_.public_key());
    keys.dh_key = curve_key("dh", 0);
    keys.dh_signature = sign(dh_binding_message(address_, keys.dh_key));
    return keys;
}

Bytes TestDevice::sign(ByteView message) const {
    Bytes signature = to_bytes(key_.sign(message));
    if (uses_xeddsa(suite_)) {
        // XEdDSA carries the sign of the Edwards point in the signature's spare bit.
        signature.back() |= key_.public_key().back() & 0x80;
    }
    return signature;
}

SignedPreKey TestDevice::signed_prekey(KeyId id, UnixMillis created_at) const {
    SignedPreKey key{id, curve_key("signed", static_cast<std::uint64_t>(id)), {}, created_at};
    key.signature = sign(signed_prekey_message(suite_, key));
    return key;
}

OneTimePreKey TestDevice::one_time(KeyId id) const {
    return {id, curve_key("one-time", static_cast<std::uint64_t>(id))};
}

KemPreKey TestDevice::kem(KeyId id) const {
    const bool libsignal = uses_xeddsa(suite_);
    KemPreKey key;
    key.id = id;
    key.algorithm = libsignal ? "kyber1024" : "ml-kem-768";
    key.public_key =
        base64_decode(libsignal ? crypto::kLibsignalKyber1024 : crypto::kNobleMlKem768).value();
    // The last 32 bytes of a key are a seed, which can be anything.
    std::ranges::copy(derive("kem", static_cast<std::uint64_t>(id)), key.public_key.end() - 32);
    key.signature = sign(kem_prekey_message(suite_, key));
    return key;
}

KeyBatch TestDevice::batch(const TestUpload& what) const {
    KeyBatch batch;
    for (std::size_t i = 0; i < what.one_time; ++i) {
        batch.one_time.push_back(one_time(what.first_id + static_cast<KeyId>(i)));
    }
    for (std::size_t i = 0; i < what.kem_one_time; ++i) {
        batch.kem_one_time.push_back(kem(what.first_id + static_cast<KeyId>(i)));
    }
    return batch;
}

Registration TestDevice::registration(const TestUpload& what) const {
    std::optional<std::int64_t> registration_id;
    if (uses_xeddsa(suite_)) {
        registration_id = 4242;
    }
    std::optional<KemPreKey> last_resort;
    if (uses_kem(suite_)) {
        last_resort = kem(what.last_resort_id);
    }
    return {.address = address_,
            .identity = identity(),
            .registration_id = registration_id,
            .signed_prekey = signed_prekey(what.signed_prekey_id),
            .last_resort = std::move(last_resort),
            .batch = batch(what),
            .mode = what.mode};
}

Replenishment TestDevice::replenishment(const TestUpload& what) const {
    return {address_, batch(what), std::nullopt};
}

AcceptedProof TestDevice::accepted(UnixMillis signed_at) const {
    return {signed_at, identity().signing_key, {derive("replay", next_proof())}};
}

RequestProof TestDevice::body_proof(UnixMillis signed_at) const {
    RequestProof proof;
    proof.signed_at = signed_at;
    proof.message = derive("message", next_proof());
    proof.signature = sign(proof.message);
    return proof;
}

RequestProof TestDevice::header_proof(UnixMillis signed_at) const {
    RequestProof proof = body_proof(signed_at);
    proof.scheme = RequestProof::Scheme::headers;
    proof.address = address_;
    proof.nonce = to_bytes(ByteView(derive("nonce", next_proof())).first(16));
    return proof;
}

json::Object to_json(const SignedPreKey& key) {
    return {{"keyId", key.id},
            {"publicKey", base64(key.public_key)},
            {"signature", base64(key.signature)},
            {"createdAt", key.created_at}};
}

json::Object to_json(const OneTimePreKey& key) {
    return {{"keyId", key.id}, {"publicKey", base64(key.public_key)}};
}

json::Object to_json(const KemPreKey& key) {
    return {{"keyId", key.id},
            {"alg", key.algorithm},
            {"publicKey", base64(key.public_key)},
            {"signature", base64(key.signature)}};
}

json::Object register_body(const Registration& upload) {
    const IdentityKeys& identity = upload.identity;
    json::Object body{{"address", upload.address.text()}, {"suite", suite_name(identity.suite)}};
    if (upload.registration_id) {
        body["registrationId"] = *upload.registration_id;
    }
    if (uses_xeddsa(identity.suite)) {
        body["identityKey"] = base64(identity.signing_key);
    } else {
        body["identitySigningKey"] = base64(identity.signing_key);
        body["identityDhKey"] = base64(identity.dh_key);
        if (identity.dh_signature) {
            body["identityDhKeySignature"] = base64(*identity.dh_signature);
        }
    }
    body["signedPreKey"] = to_json(upload.signed_prekey);
    if (upload.last_resort) {
        body["kemLastResortPreKey"] = to_json(*upload.last_resort);
    }
    json::Array& one_time = body["oneTimePreKeys"].emplace_array();
    for (const OneTimePreKey& key : upload.batch.one_time) {
        one_time.push_back(to_json(key));
    }
    if (uses_kem(identity.suite)) {
        json::Array& kem = body["kemOneTimePreKeys"].emplace_array();
        for (const KemPreKey& key : upload.batch.kem_one_time) {
            kem.push_back(to_json(key));
        }
    }
    body["mode"] = upload.mode == UploadMode::replace ? "replace" : "merge";
    return body;
}

}  // namespace nave::prekeys
