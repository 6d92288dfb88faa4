// The text form of an address to listen on: `host:port`, `[v6]:port`, `:port` (all interfaces).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nave::net {

struct ListenAddress {
    std::string host;  // "" for all interfaces
    std::uint16_t port = 0;
};

[[nodiscard]] std::optional<ListenAddress> parse_listen_address(std::string_view text);

}  // namespace nave::net
