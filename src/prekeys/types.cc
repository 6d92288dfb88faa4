#include "prekeys/types.h"

#include "base/encoding.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "prekeys/errors.h"

#include <algorithm>

namespace nave::prekeys {
namespace {

constexpr std::size_t kAddressMax = 128;
// Before normalisation, which can shrink text: bounds the work, not the address.
constexpr std::size_t kAddressInputMax = 1024;

constexpr bool is_address_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == ':' ||
           c == '_' || c == '-' || c == '.';
}

}  // namespace

std::string_view suite_name(Suite suite) {
    switch (suite) {
        case Suite::x3dh_ed25519:
            return "x3dh-ed25519";
        case Suite::pqxdh_ed25519:
            return "pqxdh-ed25519";
        case Suite::pqxdh_xeddsa:
            return "pqxdh-xeddsa";
        case Suite::x3dh_xeddsa:
            return "x3dh-xeddsa";
    }
    return "";
}

std::optional<Suite> parse_suite(std::string_view name) {
    for (const Suite suite : kSuites) {
        if (suite_name(suite) == name) {
            return suite;
        }
    }
    return std::nullopt;
}

Result<Address> Address::parse(std::string_view text) {
    if (text.size() > kAddressInputMax) {
        return errors::bad_address();
    }
    auto normal = nfkc(text);
    if (!normal || normal->empty() || normal->size() > kAddressMax ||
        !std::ranges::all_of(*normal, is_address_char)) {
        return errors::bad_address();
    }
    return Address(std::move(*normal));
}

std::string IdentityKeys::fingerprint() const {
    Bytes keys = signing_key;
    append(keys, dh_key);
    return hex(ByteView(crypto::sha256(keys)).first(16));
}

std::string_view status_name(OneTimeStatus status) {
    switch (status) {
        case OneTimeStatus::issued:
            return "issued";
        case OneTimeStatus::exhausted:
            return "exhausted";
        case OneTimeStatus::withheld:
            return "withheld";
    }
    return "";
}

std::string_view status_name(KemStatus status) {
    switch (status) {
        case KemStatus::one_time:
            return "one_time";
        case KemStatus::last_resort:
            return "last_resort";
        case KemStatus::none:
            return "none";
    }
    return "";
}

}  // namespace nave::prekeys
