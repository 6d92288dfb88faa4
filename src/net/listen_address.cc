#include "net/listen_address.h"

#include "base/text.h"

#include <algorithm>

namespace nave::net {

std::optional<ListenAddress> parse_listen_address(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    std::string_view host = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
        if (!host.contains(':') || host.find_first_of("[]") != std::string_view::npos) {
            return std::nullopt;
        }
    } else if (host.find_first_of(":[]") != std::string_view::npos) {
        return std::nullopt;  // an IPv6 address needs brackets, or its last group looks like a port
    }
    const bool is_number = !digits.empty() && digits.size() <= 5 &&
                           std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
    const auto port = is_number ? parse_int(digits) : std::nullopt;
    if (!port || *port > 65535) {
        return std::nullopt;
    }
    return ListenAddress{.host = std::string(host), .port = static_cast<std::uint16_t>(*port)};
}

}  // namespace nave::net
