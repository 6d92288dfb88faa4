#include "bus/redis/redis_address.h"

#include "base/text.h"

#include <fmt/format.h>

namespace nave::bus {
namespace {

constexpr std::string_view kScheme = "redis://";
constexpr std::int64_t kDatabaseMax = 65'535;
constexpr std::size_t kUrlMax = 2'048;

std::unexpected<Error> bad(std::string_view why) {
    return fail(Code::invalid, "bus.bad_url",
                fmt::format("must be of the form redis://user:password@host:port/number: {}", why));
}

// Splits host[:port], where an IPv6 host stands in brackets. False when it is neither.
bool take_host(std::string_view text, RedisAddress& address) {
    std::string_view rest;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) {
            return false;
        }
        address.host = text.substr(1, end - 1);
        rest = text.substr(end + 1);
    } else {
        const auto colon = text.find(':');
        address.host = text.substr(0, colon);
        rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    }
    address.port = "6379";
    if (rest.empty()) {
        return !address.host.empty();
    }
    const auto port = parse_int(rest.substr(1));
    if (rest.front() != ':' || !port || *port < 1 || *port > 65'535) {
        return false;
    }
    address.port = std::to_string(*port);
    return !address.host.empty();
}

bool is_host(std::string_view host) {
    return host.find_first_not_of(
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
               ".-_:") == std::string_view::npos;
}

}  // namespace

Result<RedisAddress> RedisAddress::parse(const Secret& url) {
    std::string_view text = url.reveal();
    if (text.starts_with("rediss://")) {
        return fail(Code::invalid, "bus.bad_url",
                    "TLS (rediss://) is not supported: use redis:// over a private network or a "
                    "tunnel");
    }
    if (!text.starts_with(kScheme) || text.size() > kUrlMax) {
        return bad("it has to begin with redis://");
    }
    text.remove_prefix(kScheme.size());
    RedisAddress address;
    if (const auto at = text.rfind('@'); at != std::string_view::npos) {
        const std::string_view credentials = text.substr(0, at);
        text.remove_prefix(at + 1);
        const auto colon = credentials.find(':');
        if (colon == std::string_view::npos) {
            return bad("a user needs a password");
        }
        auto user = percent_decode(credentials.substr(0, colon));
        auto password = percent_decode(credentials.substr(colon + 1));
        if (!user || !password || password->empty()) {
            return bad("user and password are percent-encoded, and neither is \"user:\"");
        }
        address.user = std::move(*user);
        address.password = Secret(std::move(*password));
    }
    const auto slash = text.find('/');
    if (!take_host(text.substr(0, slash), address) || !is_host(address.host)) {
        return bad("host and port cannot be read");
    }
    if (slash != std::string_view::npos && slash + 1 < text.size()) {
        const auto number = parse_int(text.substr(slash + 1));
        if (!number || *number < 0 || *number > kDatabaseMax) {
            return bad("what follows the slash is the number of a database");
        }
        address.database = static_cast<int>(*number);
    }
    return address;
}

std::string RedisAddress::shown() const {
    return fmt::format("{}:{}/{}", host, port, database);
}

std::optional<std::string> redis_url_problem(std::string_view url) {
    const auto parsed = RedisAddress::parse(Secret(std::string(url)));
    return parsed ? std::nullopt : std::optional<std::string>(parsed.error().message);
}

}  // namespace nave::bus
