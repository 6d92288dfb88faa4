// What the log commits to of an identity.
#pragma once

#include "prekeys/kt/leaf.h"
#include "prekeys/types.h"

namespace nave::prekeys {

[[nodiscard]] inline kt::CommittedIdentity committed_identity(const Address& address,
                                                              const IdentityKeys& keys) {
    kt::CommittedIdentity identity;
    identity.address = address.text();
    identity.suite = suite_name(keys.suite);
    identity.identity_key = keys.signing_key;
    identity.dh_key = keys.dh_key;
    identity.dh_key_signature = keys.dh_signature.value_or(Bytes());
    return identity;
}

}  // namespace nave::prekeys
