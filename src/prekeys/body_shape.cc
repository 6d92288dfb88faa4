#include "prekeys/body_shape.h"

#include "prekeys/errors.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace nave::prekeys {
namespace {

using Members = std::initializer_list<std::string_view>;

// Replenishments hold one of these and never a signed prekey, which all other uploads hold.
constexpr std::array<std::string_view, 3> kStockMembers{"oneTimePreKeys", "kemOneTimePreKeys",
                                                        "kemLastResortPreKey"};
constexpr std::array<std::string_view, 3> kDeletionMembers{"address", "signedAt", "signature"};

Result<void> refuse(const json::Object& body, Members members) {
    for (const std::string_view name : members) {
        if (body.contains(name)) {
            return errors::invalid_field(name, "belongs to another request than this one");
        }
    }
    return ok();
}

bool holds_stock(const json::Object& body) {
    return std::ranges::any_of(kStockMembers, [&](std::string_view name) {
        const json::Value* value = body.if_contains(name);
        return value != nullptr && !value->is_null();
    });
}

}  // namespace

Result<void> check_shape(const std::optional<RequestProof>& proof, const json::Object& body,
                         BodyUse use) {
    if (!proof || proof->scheme != RequestProof::Scheme::body) {
        return ok();
    }
    switch (use) {
        case BodyUse::enrol:
            return refuse(body, {"newIdentity"});
        case BodyUse::rotate_identity:
            return ok();  // only here newIdentity is required, and all others refuse it
        case BodyUse::rotate_signed_prekey:
            return refuse(body, {"newIdentity", "identitySigningKey", "identityKey"});
        case BodyUse::replenish:
            if (!holds_stock(body)) {
                return errors::invalid_field("oneTimePreKeys", "is missing");
            }
            return refuse(body, {"signedPreKey", "newIdentity"});
        case BodyUse::remove:
            for (const auto& member : body) {
                const std::string_view name(member.key().data(), member.key().size());
                if (std::ranges::find(kDeletionMembers, name) == kDeletionMembers.end()) {
                    return errors::invalid_field(name, "has no place in a deletion");
                }
            }
            return ok();
    }
    return ok();
}

}  // namespace nave::prekeys
