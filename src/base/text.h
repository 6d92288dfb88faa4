// UTF-8 checks, Unicode normalisation and small text parsing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nave {

[[nodiscard]] bool is_utf8(std::string_view text);
// Each malformed sequence becomes U+FFFD.
[[nodiscard]] std::string repair_utf8(std::string_view text);
// Unicode NFKC (UAX #15); nullopt when the input is not UTF-8.
[[nodiscard]] std::optional<std::string> nfkc(std::string_view text);

[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);  // ASCII
[[nodiscard]] std::string lower(std::string_view text);                          // ASCII
[[nodiscard]] std::string_view trim(std::string_view text);                      // spaces and tabs
// Empty pieces are dropped, the rest trimmed.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);
// Whole text must be a decimal integer that fits.
[[nodiscard]] std::optional<std::int64_t> parse_int(std::string_view text);

// RFC 3986 percent-decoding; nullopt on a stray or truncated escape, or an encoded NUL.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);

// "2026-11-20T10:15:30.123Z" (RFC 3339, UTC).
[[nodiscard]] std::string rfc3339(std::int64_t unix_millis);

// The candidate nearest to `word` by edit distance, when near enough to be a typing slip.
[[nodiscard]] std::optional<std::string_view> nearest(
    std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace nave
