// Content negotiation as far as assets need it (RFC 9110, section 12.5.3 and 13.1.2).
#pragma once

#include <string_view>

namespace nave::net {

// Whether gzip may be sent and is not liked less than the identity encoding.
[[nodiscard]] bool prefers_gzip(std::string_view accept_encoding);
// Whether an If-None-Match value names this (strong, quoted) entity tag; compares weakly.
[[nodiscard]] bool matches_etag(std::string_view if_none_match, std::string_view etag);

}  // namespace nave::net
