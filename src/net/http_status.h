// Reason phrases of RFC 9110, section 15, and of the statuses added by later documents.
#pragma once

#include <string_view>

namespace nave::net {

// Empty when the status is unknown; the status line then ends in a space, which is valid.
[[nodiscard]] std::string_view reason_phrase(int status);

}  // namespace nave::net
