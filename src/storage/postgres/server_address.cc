#include "storage/postgres/server_address.h"

#include "base/text.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <memory>
#include <utility>

namespace nave::storage::postgres {
namespace {

struct FreeOptions {
    void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

// The password as it stands in the URL, still percent-encoded; empty when there is none.
std::string_view password_in(std::string_view url) {
    const auto start = url.find("://") + 3;
    const std::string_view authority = url.substr(start, url.find_first_of("/?#", start) - start);
    const auto at = authority.rfind('@');
    const auto colon = authority.find(':');
    if (at == std::string_view::npos || colon == std::string_view::npos || colon > at) {
        return {};
    }
    return authority.substr(colon + 1, at - colon - 1);
}

// libpq finds out only when it connects. Several hosts may have a port each, or none.
bool are_ports(std::string_view list) {
    for (const std::string_view port : split(list, ',')) {
        const auto number = parse_int(port);
        if (!number || *number < 1 || *number > 65'535) {
            return false;
        }
    }
    return true;
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
        text.replace(at, what.size(), by);
    }
}

}  // namespace

Result<ServerAddress> ServerAddress::parse(const Secret& url) {
    const std::string text(url.reveal());
    const bool has_scheme = text.starts_with("postgres://") || text.starts_with("postgresql://");
    char* message = nullptr;
    const std::unique_ptr<PQconninfoOption, FreeOptions> options(
        has_scheme ? PQconninfoParse(text.c_str(), &message) : nullptr);
    if (message != nullptr) {
        PQfreemem(message);  // it repeats parts of the URL, perhaps of the password
    }
    const auto bad_url = [] {
        return fail(Code::invalid, "storage.bad_url",
                    "The database URL is not of the form postgres://user:password@host:port/"
                    "database; special characters in user and password are percent-encoded.");
    };
    if (!options) {
        return bad_url();
    }
    ServerAddress address;
    address.url_ = url;
    std::string host = "localhost";
    std::string port = "5432";
    std::string database;
    for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
        const std::string_view keyword = option->keyword;
        if (option->val == nullptr || *option->val == '\0') {
            continue;
        }
        if (keyword == "host") {
            host = option->val;
        } else if (keyword == "port") {
            port = option->val;
        } else if (keyword == "dbname") {
            database = option->val;
        } else if (keyword == "user" && database.empty()) {
            database = option->val;
        } else if (keyword == "password") {
            address.passwords_.emplace_back(option->val);
        }
    }
    if (!are_ports(port)) {
        return bad_url();
    }
    if (const std::string_view raw = password_in(text); !raw.empty()) {
        address.passwords_.emplace_back(std::string(raw));
    }
    address.shown_ = fmt::format("{}@{}:{}", database, host, port);
    return address;
}

std::string ServerAddress::scrub(std::string_view text) const {
    std::string clean(trim(text));
    for (const Secret& password : passwords_) {
        replace_all(clean, password.reveal(), "***");
    }
    while (clean.ends_with('\n')) {
        clean.pop_back();
    }
    replace_all(clean, "\n", " ");
    return clean;
}

}  // namespace nave::storage::postgres
