#include "net/ip.h"

#include "base/text.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>

namespace nave::net {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedV4 = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kMappedBits = 96;

std::string v6_text(const std::array<std::uint8_t, 16>& bytes) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    inet_ntop(AF_INET6, bytes.data(), text.data(), text.size());
    return text.data();
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    // inet_pton wants a terminated string, and must not see one that ends early.
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.empty() || text.size() >= terminated.size() || text.contains('\0')) {
        return std::nullopt;
    }
    std::ranges::copy(text, terminated.begin());
    std::array<std::uint8_t, 16> bytes{};
    if (text.contains(':')) {
        if (inet_pton(AF_INET6, terminated.data(), bytes.data()) != 1) {
            return std::nullopt;
        }
        return IpAddress(bytes);
    }
    std::ranges::copy(kMappedV4, bytes.begin());
    if (inet_pton(AF_INET, terminated.data(), bytes.data() + kMappedV4.size()) != 1) {
        return std::nullopt;
    }
    return IpAddress(bytes);
}

bool IpAddress::is_v4() const {
    return std::equal(kMappedV4.begin(), kMappedV4.end(), bytes_.begin());
}

bool IpAddress::is_loopback() const {
    if (is_v4()) {
        return bytes_[12] == 127;
    }
    return std::all_of(bytes_.begin(), bytes_.end() - 1, [](auto b) { return b == 0; }) &&
           bytes_[15] == 1;
}

std::string IpAddress::text() const {
    if (!is_v4()) {
        return v6_text(bytes_);
    }
    std::array<char, INET_ADDRSTRLEN> text{};
    inet_ntop(AF_INET, bytes_.data() + kMappedV4.size(), text.data(), text.size());
    return text.data();
}

std::string IpAddress::limit_key() const {
    if (is_v4()) {
        return text();
    }
    std::array<std::uint8_t, 16> network = bytes_;
    std::fill(network.begin() + 8, network.end(), std::uint8_t{0});
    return v6_text(network) + "/64";
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
    const auto slash = text.find('/');
    const std::string_view host = text.substr(0, slash);
    const auto address = IpAddress::parse(host);
    if (!address) {
        return std::nullopt;
    }
    const bool dotted = !host.contains(':');
    IpPrefix out;
    out.base_ = *address;
    if (slash != std::string_view::npos) {
        const std::string_view digits = text.substr(slash + 1);
        const auto bits = parse_int(digits);
        const bool plain = !digits.empty() && digits.front() >= '0' && digits.front() <= '9';
        if (!plain || !bits || *bits > (dotted ? 32 : 128)) {
            return std::nullopt;
        }
        out.bits_ = static_cast<int>(*bits) + (dotted ? kMappedBits : 0);
    }
    for (int bit = out.bits_; bit < 128; ++bit) {
        const auto byte = out.base_.bytes()[static_cast<std::size_t>(bit / 8)];
        if (((byte >> (7 - bit % 8)) & 1) != 0) {
            return std::nullopt;
        }
    }
    return out;
}

bool IpPrefix::contains(const IpAddress& address) const {
    const auto whole = static_cast<std::size_t>(bits_ / 8);
    const auto& a = address.bytes();
    const auto& b = base_.bytes();
    if (std::memcmp(a.data(), b.data(), whole) != 0) {
        return false;
    }
    const int rest = bits_ % 8;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

Result<TrustedProxies> TrustedProxies::parse(std::string_view list) {
    TrustedProxies out;
    for (const std::string_view piece : split(list, ',')) {
        const auto prefix = IpPrefix::parse(piece);
        if (!prefix) {
            return fail(Code::invalid, "net.bad_prefix",
                        "'" + std::string(piece) +
                            "' is not an address or prefix such as 10.0.0.0/8 or fd00::/8.");
        }
        out.prefixes_.push_back(*prefix);
    }
    return out;
}

bool TrustedProxies::trusts(const IpAddress& address) const {
    return std::ranges::any_of(prefixes_,
                               [&](const IpPrefix& prefix) { return prefix.contains(address); });
}

IpAddress TrustedProxies::client(const IpAddress& peer, std::string_view forwarded_for) const {
    IpAddress current = peer;
    while (!forwarded_for.empty() && trusts(current)) {
        const auto comma = forwarded_for.rfind(',');
        const std::string_view entry =
            comma == std::string_view::npos ? forwarded_for : forwarded_for.substr(comma + 1);
        forwarded_for =
            comma == std::string_view::npos ? std::string_view() : forwarded_for.substr(0, comma);
        const std::string_view text = trim(entry);
        if (text.empty()) {
            continue;  // empty list elements carry nothing (RFC 9110, section 5.6.1)
        }
        const auto hop = IpAddress::parse(text);
        if (!hop) {
            break;
        }
        current = *hop;
    }
    return current;
}

}  // namespace nave::net
