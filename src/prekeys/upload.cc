#include "prekeys/upload.h"

#include "crypto/kem.h"
#include "crypto/x25519.h"
#include "crypto/xeddsa.h"
#include "prekeys/errors.h"

#include <fmt/format.h>

#include <algorithm>

namespace nave::prekeys {
namespace {

constexpr std::size_t kSignatureSize = 64;
constexpr std::size_t kAlgorithmNameMax = 32;
constexpr std::size_t kKemKeyMax = 1569;

std::unexpected<Error> with_key_ids(std::unexpected<Error> error, const std::vector<KeyId>& ids) {
    return errors::with_details(std::move(error),
                                fmt::format(R"({{"keyIds":[{}]}})", fmt::join(ids, ",")));
}

// A Diffie-Hellman public key in the suite's form.
bool is_acceptable_curve_key(Suite suite, ByteView key) {
    if (uses_xeddsa(suite)) {
        const auto point = crypto::montgomery_key(key);
        return point.has_value() && crypto::is_acceptable_x25519_key(*point);
    }
    return crypto::is_acceptable_x25519_key(key);
}

Result<KeyId> read_key_id(const json::Reader& key) {
    return key.integer("keyId", 1, kKeyIdMax);
}

Result<SignedPreKey> read_signed_prekey(const json::Reader& body, const UploadContext& context) {
    TRY(const json::Reader reader, body.object("signedPreKey"));
    SignedPreKey key;
    TRY(key.id, read_key_id(reader));
    TRY(key.public_key, reader.bytes("publicKey", curve_key_size(context.suite)));
    TRY(key.signature, reader.bytes("signature", kSignatureSize));
    key.created_at = context.now;
    // Only pqxdh-ed25519 signs the creation time, so only there it must be given.
    if (reader.has("createdAt") || context.suite == Suite::pqxdh_ed25519) {
        TRY(key.created_at, reader.integer("createdAt", 0, context.now + context.skew_ms));
    }
    if (!is_acceptable_curve_key(context.suite, key.public_key)) {
        return with_key_ids(errors::weak_key(), {key.id});
    }
    return key;
}

Result<KemPreKey> read_kem_key(const json::Reader& reader, Suite suite) {
    KemPreKey key;
    TRY(key.id, read_key_id(reader));
    key.algorithm = "kyber1024";  // what libsignal ships, and does not label
    if (reader.has("alg") || !uses_xeddsa(suite)) {
        TRY(key.algorithm, reader.text("alg", kAlgorithmNameMax));
    }
    const auto algorithm = crypto::parse_kem_algorithm(key.algorithm);
    if (!algorithm) {
        return reader.problem("alg", "is not a KEM of this suite");
    }
    TRY(key.public_key, reader.bytes("publicKey", 1, kKemKeyMax));
    TRY(key.signature, reader.bytes("signature", kSignatureSize));
    const auto form = uses_xeddsa(suite) ? crypto::KemForm::libsignal : crypto::KemForm::raw;
    if (const auto checked = crypto::check_kem_key(*algorithm, form, key.public_key); !checked) {
        return with_key_ids(errors::bad_kem_key(checked.error().message), {key.id});
    }
    return key;
}

template <class Key>
Result<void> refuse_doubled_ids(const std::vector<Key>& keys, std::string_view field) {
    std::vector<KeyId> ids;
    ids.reserve(keys.size());
    for (const Key& key : keys) {
        ids.push_back(key.id);
    }
    std::ranges::sort(ids);
    if (std::ranges::adjacent_find(ids) != ids.end()) {
        return errors::invalid_field(field, "names one keyId twice");
    }
    return ok();
}

Result<KeyBatch> read_batch(const json::Reader& body, Suite suite) {
    KeyBatch batch;
    std::vector<KeyId> weak;
    TRY_VOID(body.objects("oneTimePreKeys", kUploadKeysMax,
                          [&](const json::Reader& reader) -> Result<void> {
                              OneTimePreKey key;
                              TRY(key.id, read_key_id(reader));
                              TRY(key.public_key, reader.bytes("publicKey", curve_key_size(suite)));
                              if (!is_acceptable_curve_key(suite, key.public_key)) {
                                  weak.push_back(key.id);
                              }
                              batch.one_time.push_back(std::move(key));
                              return ok();
                          }));
    if (!weak.empty()) {
        return with_key_ids(errors::weak_key(), weak);
    }
    TRY_VOID(refuse_doubled_ids(batch.one_time, "oneTimePreKeys"));
    if (!uses_kem(suite) && body.has("kemOneTimePreKeys")) {
        return body.problem("kemOneTimePreKeys", "is not part of this suite");
    }
    TRY_VOID(body.objects("kemOneTimePreKeys", kUploadKeysMax,
                          [&](const json::Reader& reader) -> Result<void> {
                              TRY(KemPreKey key, read_kem_key(reader, suite));
                              batch.kem_one_time.push_back(std::move(key));
                              return ok();
                          }));
    TRY_VOID(refuse_doubled_ids(batch.kem_one_time, "kemOneTimePreKeys"));
    return batch;
}

Result<std::optional<KemPreKey>> read_last_resort(const json::Reader& body, Suite suite,
                                                  bool required) {
    if (!uses_kem(suite)) {
        if (body.has("kemLastResortPreKey")) {
            return body.problem("kemLastResortPreKey", "is not part of this suite");
        }
        return std::nullopt;
    }
    if (!required && !body.has("kemLastResortPreKey")) {
        return std::nullopt;
    }
    TRY(const json::Reader reader, body.object("kemLastResortPreKey"));
    TRY(KemPreKey key, read_kem_key(reader, suite));
    return key;
}

Result<IdentityKeys> read_identity_keys(const json::Reader& body, Suite suite) {
    IdentityKeys keys;
    keys.suite = suite;
    if (uses_xeddsa(suite)) {
        TRY(keys.signing_key, body.bytes("identityKey", curve_key_size(suite)));
        if (!is_acceptable_curve_key(suite, keys.signing_key)) {
            return errors::weak_key();
        }
        return keys;
    }
    TRY(keys.signing_key, body.bytes("identitySigningKey", 32));
    TRY(keys.dh_key, body.bytes("identityDhKey", 32));
    if (body.has("identityDhKeySignature")) {
        TRY(keys.dh_signature, body.bytes("identityDhKeySignature", kSignatureSize));
    }
    if (!crypto::is_acceptable_x25519_key(keys.dh_key)) {
        return errors::weak_key();
    }
    return keys;
}

// The members that register and rotate-identity share, beside the identity itself.
Result<Registration> read_key_material(const json::Reader& body, Address address,
                                       IdentityKeys identity, const UploadContext& context,
                                       bool registration_id_required) {
    TRY(SignedPreKey signed_prekey, read_signed_prekey(body, context));
    Registration out{std::move(address),       std::move(identity), std::nullopt,
                     std::move(signed_prekey), std::nullopt,        {},
                     UploadMode::merge};
    if (body.has("registrationId")) {
        TRY(out.registration_id, body.integer("registrationId", 1, kRegistrationIdMax));
    } else if (registration_id_required) {
        return body.problem("registrationId", "is missing");
    }
    TRY(out.last_resort, read_last_resort(body, context.suite, true));
    TRY(out.batch, read_batch(body, context.suite));
    return out;
}

}  // namespace

Result<Address> read_address(const json::Reader& body) {
    // The reader's own bound is generous; Address::parse has the rule and the public error.
    TRY(const std::string text, body.text("address", 64 * 1024));
    return Address::parse(text);
}

Result<Registration> read_registration(const json::Reader& body, UnixMillis now,
                                       std::int64_t skew_ms) {
    TRY(Address address, read_address(body));
    UploadContext context{Suite::x3dh_ed25519, now, skew_ms};
    if (body.has("suite")) {
        TRY(const std::string name, body.text("suite", 64));
        const auto suite = parse_suite(name);
        if (!suite) {
            return body.problem("suite", "is not a suite of this server");
        }
        context.suite = *suite;
    }
    TRY(IdentityKeys identity, read_identity_keys(body, context.suite));
    // libsignal's bundles cannot be built without a registration id.
    const bool id_required = uses_xeddsa(context.suite);
    TRY(Registration out,
        read_key_material(body, std::move(address), std::move(identity), context, id_required));
    if (body.has("mode")) {
        TRY(const std::string mode, body.text("mode", 16));
        if (mode != "merge" && mode != "replace") {
            return body.problem("mode", "must be merge or replace");
        }
        out.mode = mode == "replace" ? UploadMode::replace : UploadMode::merge;
    }
    return out;
}

Result<Replenishment> read_replenishment(const json::Reader& body, const UploadContext& context) {
    TRY(Address address, read_address(body));
    TRY(KeyBatch batch, read_batch(body, context.suite));
    TRY(auto last_resort, read_last_resort(body, context.suite, false));
    return Replenishment{std::move(address), std::move(batch), std::move(last_resort)};
}

Result<SignedPreKeyRotation> read_signed_prekey_rotation(const json::Reader& body,
                                                         const UploadContext& context) {
    TRY(Address address, read_address(body));
    TRY(SignedPreKey key, read_signed_prekey(body, context));
    TRY(auto last_resort, read_last_resort(body, context.suite, false));
    return SignedPreKeyRotation{std::move(address), std::move(key), std::move(last_resort)};
}

Result<IdentityRotation> read_identity_rotation(const json::Reader& body,
                                                const UploadContext& context) {
    TRY(Address address, read_address(body));
    TRY(const json::Reader identity_reader, body.object("newIdentity"));
    TRY(IdentityKeys identity, read_identity_keys(identity_reader, context.suite));
    TRY(Bytes proof, body.bytes("proof", kSignatureSize));
    // Without a registration id the stored one stays.
    TRY(Registration next,
        read_key_material(body, std::move(address), std::move(identity), context, false));
    next.mode = UploadMode::replace;
    return IdentityRotation{std::move(next), std::move(proof)};
}

}  // namespace nave::prekeys
