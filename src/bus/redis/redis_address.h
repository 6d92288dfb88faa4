// RedisAddress: a redis:// URL, checked. The password never leaves it but to the server.
#pragma once

#include "base/result.h"
#include "base/secret.h"

#include <optional>
#include <string>
#include <string_view>

namespace nave::bus {

struct RedisAddress {
    std::string host;
    std::string port;
    std::string user;  // empty: the server's default user
    Secret password;   // empty: none
    int database = 0;

    // redis://[[user]:password@]host[:port][/number]; user and password percent-encoded. Error
    // "bus.bad_url", which never repeats the URL.
    static Result<RedisAddress> parse(const Secret& url);

    [[nodiscard]] std::string shown() const;  // "host:port/database"
};

// For the setting: what is wrong with the URL, or nothing.
[[nodiscard]] std::optional<std::string> redis_url_problem(std::string_view url);

}  // namespace nave::bus
