#include "prekeys/signatures.h"

#include "crypto/ed25519.h"
#include "crypto/xeddsa.h"
#include "prekeys/errors.h"

#include <fmt/format.h>

namespace nave::prekeys {
namespace {

std::unexpected<Error> invalid_signatures(const std::vector<std::string>& ids) {
    return errors::with_details(errors::invalid_signature(),
                                fmt::format(R"({{"keyIds":[{}]}})", fmt::join(ids, ",")));
}

}  // namespace

bool verify_signature(Suite suite, ByteView signing_key, ByteView message, ByteView signature) {
    if (!uses_xeddsa(suite)) {
        return crypto::ed25519_verify(signing_key, message, signature);
    }
    const auto montgomery = crypto::montgomery_key(signing_key);
    return montgomery && crypto::xeddsa_verify(*montgomery, message, signature);
}

Bytes signed_prekey_message(Suite suite, const SignedPreKey& key) {
    if (suite != Suite::pqxdh_ed25519) {
        return key.public_key;
    }
    Bytes message;
    append(message, "SHADE-SPK-V1");
    append_be(message, static_cast<std::uint32_t>(key.id));
    append_be(message, static_cast<std::uint64_t>(key.created_at));
    append(message, key.public_key);
    return message;
}

Bytes kem_prekey_message(Suite suite, const KemPreKey& key) {
    if (suite != Suite::pqxdh_ed25519) {
        return key.public_key;
    }
    Bytes message;
    append(message, "SHADE-KEM-V1");
    append(message, key.algorithm);
    append_be(message, static_cast<std::uint32_t>(key.id));
    append(message, key.public_key);
    return message;
}

Bytes dh_binding_message(const Address& address, ByteView dh_key) {
    Bytes message;
    append(message, "SHADE-DHBIND-V1");
    message.push_back(0);
    append(message, address.text());
    message.push_back(0);
    append(message, dh_key);
    return message;
}

Bytes identity_rotation_message(const Address& address, ByteView old_signing_key,
                                ByteView new_signing_key, UnixMillis signed_at) {
    Bytes message;
    append(message, "SHADE-ROTATE-V1");
    message.push_back(0);
    append(message, address.text());
    message.push_back(0);
    append(message, old_signing_key);
    append(message, new_signing_key);
    append_be(message, static_cast<std::uint64_t>(signed_at));
    return message;
}

namespace {

void check_signed_prekey(const IdentityKeys& identity, const SignedPreKey& key,
                         std::vector<std::string>& failing) {
    if (!verify_signature(identity.suite, identity.signing_key,
                          signed_prekey_message(identity.suite, key), key.signature)) {
        failing.push_back(fmt::format("{}", key.id));
    }
}

void check_kem_key(const IdentityKeys& identity, const KemPreKey& key,
                   std::vector<std::string>& failing) {
    if (!verify_signature(identity.suite, identity.signing_key,
                          kem_prekey_message(identity.suite, key), key.signature)) {
        failing.push_back(fmt::format("{}", key.id));
    }
}

Result<void> none_of(const std::vector<std::string>& failing) {
    if (!failing.empty()) {
        return invalid_signatures(failing);
    }
    return ok();
}

}  // namespace

Result<void> check_identity_key(const IdentityKeys& identity) {
    const bool acceptable = uses_xeddsa(identity.suite)
                                ? crypto::is_acceptable_xeddsa_key(identity.signing_key)
                                : crypto::is_acceptable_ed25519_key(identity.signing_key);
    if (!acceptable) {
        return errors::weak_key();
    }
    return ok();
}

Result<void> verify_signed_prekey(const IdentityKeys& identity, const SignedPreKey& key) {
    std::vector<std::string> failing;
    check_signed_prekey(identity, key, failing);
    return none_of(failing);
}

Result<void> verify_kem_keys(const IdentityKeys& identity, const std::vector<KemPreKey>& keys) {
    std::vector<std::string> failing;
    for (const KemPreKey& key : keys) {
        check_kem_key(identity, key, failing);
    }
    return none_of(failing);
}

Result<void> verify_registration(const Registration& upload) {
    const IdentityKeys& identity = upload.identity;
    std::vector<std::string> failing;
    if (identity.dh_signature &&
        !crypto::ed25519_verify(identity.signing_key,
                                dh_binding_message(upload.address, identity.dh_key),
                                *identity.dh_signature)) {
        failing.emplace_back("\"identityDhKey\"");
    }
    check_signed_prekey(identity, upload.signed_prekey, failing);
    if (upload.last_resort) {
        check_kem_key(identity, *upload.last_resort, failing);
    }
    for (const KemPreKey& key : upload.batch.kem_one_time) {
        check_kem_key(identity, key, failing);
    }
    return none_of(failing);
}

}  // namespace nave::prekeys
