#include "prekeys/wire.h"

#include "base/check.h"
#include "base/encoding.h"
#include "base/json.h"
#include "base/json_writer.h"

#include <fmt/format.h>

namespace nave::prekeys {
namespace {

using json::ObjectWriter;

void append_identity(ObjectWriter& writer, const Profile& profile) {
    const IdentityKeys& keys = profile.keys;
    writer.text("address", profile.address.text());
    writer.text("suite", suite_name(keys.suite));
    if (profile.registration_id) {
        writer.integer("registrationId", *profile.registration_id);
    } else {
        writer.raw("registrationId", "null");
    }
    if (uses_xeddsa(keys.suite)) {
        writer.bytes("identityKey", keys.signing_key);
    } else {
        writer.bytes("identitySigningKey", keys.signing_key);
        writer.bytes("identityDhKey", keys.dh_key);
        if (keys.dh_signature) {
            writer.bytes("identityDhKeySignature", *keys.dh_signature);
        } else {
            writer.raw("identityDhKeySignature", "null");
        }
    }
    ObjectWriter prekey = writer.object("signedPreKey");
    prekey.integer("keyId", profile.signed_prekey.id);
    prekey.bytes("publicKey", profile.signed_prekey.public_key);
    prekey.bytes("signature", profile.signed_prekey.signature);
    prekey.integer("createdAt", profile.signed_prekey.created_at);
    prekey.close();
}

}  // namespace

std::string bundle_json(const Profile& profile, const BundleKeys& keys, OneTimeStatus status,
                        UnixMillis issued_at) {
    std::string out;
    out.reserve(keys.kem != nullptr ? 4096 : 1024);
    ObjectWriter writer(out);
    append_identity(writer, profile);
    if (keys.one_time != nullptr) {
        ObjectWriter one_time = writer.object("oneTimePreKey");
        one_time.integer("keyId", keys.one_time->id);
        one_time.bytes("publicKey", keys.one_time->public_key);
        one_time.close();
    } else {
        writer.raw("oneTimePreKey", "null");
    }
    if (keys.kem != nullptr) {
        ObjectWriter kem = writer.object("kemPreKey");
        kem.integer("keyId", keys.kem->id);
        kem.text("alg", keys.kem->algorithm);
        kem.bytes("publicKey", keys.kem->public_key);
        kem.bytes("signature", keys.kem->signature);
        kem.boolean("lastResort", keys.kem_is_last_resort);
        kem.close();
    } else {
        writer.raw("kemPreKey", "null");
    }
    writer.text("oneTimeStatus", status_name(status));
    writer.integer("issuedAt", issued_at);
    writer.close();
    return out;
}

std::string identity_json(const Profile& profile) {
    std::string out;
    ObjectWriter writer(out);
    append_identity(writer, profile);
    writer.close();
    return out;
}

std::string results_json(const UploadResults& results) {
    return fmt::format(R"({{"accepted":[{}],"duplicate":[{}],"consumed":[{}],"conflict":[{}]}})",
                       fmt::join(results.accepted, ","), fmt::join(results.duplicate, ","),
                       fmt::join(results.consumed, ","), fmt::join(results.conflict, ","));
}

std::string enrol_json(const Address& address, std::string_view fingerprint,
                       const EnrolOutcome& outcome, std::int64_t low_threshold,
                       std::int64_t refill_to) {
    std::string out;
    ObjectWriter writer(out);
    writer.text("address", address.text());
    writer.text("identityFingerprint", fingerprint);
    writer.integer("oneTimePreKeyCount", outcome.upload.stock.one_time);
    writer.integer("kemOneTimePreKeyCount", outcome.upload.stock.kem_one_time);
    writer.integer("lowThreshold", low_threshold);
    writer.integer("refillTo", refill_to);
    writer.raw("results", results_json(outcome.upload.one_time));
    writer.raw("kemResults", results_json(outcome.upload.kem_one_time));
    writer.integer("restoreEpoch", outcome.restore_epoch);
    writer.close();
    return out;
}

std::string add_member(std::string object, std::string_view name, std::string_view value_json) {
    CHECK(object.ends_with('}'), "not a JSON object");
    object.pop_back();
    fmt::format_to(std::back_inserter(object), R"({}"{}":{}}})", object.ends_with('{') ? "" : ",",
                   name, value_json);
    return object;
}

}  // namespace nave::prekeys
