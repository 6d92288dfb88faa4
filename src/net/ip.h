// IP addresses and prefixes: who a client is for limits, and which peers may speak for others.
#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nave::net {

// IPv4 is held as an IPv4-mapped IPv6 address, so that one client has one spelling.
class IpAddress {
  public:
    IpAddress() = default;
    explicit IpAddress(std::array<std::uint8_t, 16> bytes) : bytes_(bytes) {}
    // RFC 4291 and dotted quad; no zone, port or brackets.
    [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);

    [[nodiscard]] bool is_v4() const;
    [[nodiscard]] bool is_loopback() const;
    [[nodiscard]] std::string text() const;
    // What rate limits count by: the whole IPv4 address, the /64 of an IPv6 address.
    [[nodiscard]] std::string limit_key() const;
    [[nodiscard]] const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
    bool operator==(const IpAddress&) const = default;

  private:
    std::array<std::uint8_t, 16> bytes_{};
};

class IpPrefix {
  public:
    // "10.0.0.0/8", "::1", "fd00::/8"; bits beyond the length must be zero.
    [[nodiscard]] static std::optional<IpPrefix> parse(std::string_view text);
    [[nodiscard]] bool contains(const IpAddress& address) const;

  private:
    IpAddress base_;
    int bits_ = 128;  // in the 16-byte form
};

// The proxies whose X-Forwarded-For is believed.
class TrustedProxies {
  public:
    TrustedProxies() = default;
    // Comma-separated prefixes. Error names the piece that is malformed.
    [[nodiscard]] static Result<TrustedProxies> parse(std::string_view list);
    // Walks X-Forwarded-For from the right past trusted hops; the first untrusted address is the
    // client. Malformed entries end the walk at the hop that sent them.
    [[nodiscard]] IpAddress client(const IpAddress& peer, std::string_view forwarded_for) const;
    [[nodiscard]] bool trusts(const IpAddress& address) const;
    [[nodiscard]] bool empty() const { return prefixes_.empty(); }

  private:
    std::vector<IpPrefix> prefixes_;
};

}  // namespace nave::net
