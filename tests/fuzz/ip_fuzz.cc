// Addresses, prefixes and X-Forwarded-For: what parses also survives being written and read again.
// The first line is a list of proxies, the second a peer, the rest a forwarded-for list.
#include "net/ip.h"
#include "net/listen_address.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void require(bool claim) {
    if (!claim) {
        std::abort();
    }
}

std::string_view take_line(std::string_view& text) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nave::net;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string_view proxies_text = take_line(text);
    const std::string_view peer_text = take_line(text);
    if (const auto where = parse_listen_address(proxies_text)) {
        require(where->host.find(']') == std::string::npos);
    }
    const auto peer = IpAddress::parse(peer_text);
    if (peer) {
        require(IpAddress::parse(peer->text()) == peer);
        const std::string key = peer->limit_key();
        const auto prefix = IpPrefix::parse(key);
        require(prefix && prefix->contains(*peer));
    }
    if (const auto proxies = TrustedProxies::parse(proxies_text)) {
        const IpAddress client = proxies->client(peer.value_or(IpAddress()), text);
        // A client is the peer or an address that is spelled in the list.
        require(!proxies->empty() || client == peer.value_or(IpAddress()));
        require(IpAddress::parse(client.text()) == client);
    }
    return 0;
}
