// Body shapes: what a body signed by scheme A may be used for. Scheme A covers neither method nor
// path, so whoever sees such a request could send it to another route first. The members alone
// therefore decide: no body that one route accepts is accepted by another.
//
// Other members stay free, so that clients may send more than this server reads; only a deletion,
// which no member marks, holds nothing else.
#pragma once

#include "prekeys/request_auth.h"

#include <optional>

namespace nave::prekeys {

enum class BodyUse : std::uint8_t {
    enrol,
    replenish,
    rotate_signed_prekey,
    rotate_identity,
    remove,
};

// Error SHADE_VALIDATION with details.field. Passes what is not signed by scheme A.
[[nodiscard]] Result<void> check_shape(const std::optional<RequestProof>& proof,
                                       const json::Object& body, BodyUse use);

}  // namespace nave::prekeys
