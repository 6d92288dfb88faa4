#include "net/accept_encoding.h"

#include "base/text.h"

#include <optional>

namespace nave::net {
namespace {

// Thousandths of a qvalue: "0.5" is 500. Malformed counts as a refusal.
int parse_quality(std::string_view text) {
    if (text.empty() || text.size() > 5 || (text.front() != '0' && text.front() != '1') ||
        (text.size() > 1 && text[1] != '.')) {
        return 0;
    }
    int thousandths = (text.front() - '0') * 1000;
    int unit = 100;
    for (const char c : text.size() > 2 ? text.substr(2) : std::string_view()) {
        if (c < '0' || c > '9') {
            return 0;
        }
        thousandths += (c - '0') * unit;
        unit /= 10;
    }
    return thousandths <= 1000 ? thousandths : 0;
}

int quality_of(std::string_view parameters) {
    for (const std::string_view parameter : split(parameters, ';')) {
        if (parameter.size() > 2 && equal_ignoring_case(parameter.substr(0, 2), "q=")) {
            return parse_quality(parameter.substr(2));
        }
    }
    return 1000;
}

}  // namespace

bool prefers_gzip(std::string_view accept_encoding) {
    std::optional<int> gzip;
    std::optional<int> identity;
    std::optional<int> any;
    for (const std::string_view element : split(accept_encoding, ',')) {
        const auto semicolon = element.find(';');
        const std::string_view coding = trim(element.substr(0, semicolon));
        const int quality = quality_of(
            semicolon == std::string_view::npos ? std::string_view() : element.substr(semicolon));
        if (equal_ignoring_case(coding, "gzip") || equal_ignoring_case(coding, "x-gzip")) {
            gzip = quality;
        } else if (equal_ignoring_case(coding, "identity")) {
            identity = quality;
        } else if (coding == "*") {
            any = quality;
        }
    }
    const int gzip_quality = gzip.value_or(any.value_or(0));
    // Identity is acceptable without being named, but then less wanted than what was named.
    return gzip_quality > 0 && gzip_quality >= identity.value_or(0);
}

bool matches_etag(std::string_view if_none_match, std::string_view etag) {
    if (trim(if_none_match) == "*") {
        return true;
    }
    for (std::string_view candidate : split(if_none_match, ',')) {
        if (candidate.starts_with("W/")) {
            candidate.remove_prefix(2);
        }
        if (candidate == etag) {
            return true;
        }
    }
    return false;
}

}  // namespace nave::net
