// ServerAddress: a PostgreSQL URL, checked, and what may be shown of it. libpq understands the rest
// of the URL itself (sslmode, several hosts...); its error texts pass through scrub() before
// anybody sees them.
#pragma once

#include "base/result.h"
#include "base/secret.h"

#include <string>
#include <string_view>
#include <vector>

namespace nave::storage::postgres {

class ServerAddress {
  public:
    // "storage.bad_url" when it is not a postgres:// URL; the error never repeats the URL.
    static Result<ServerAddress> parse(const Secret& url);

    [[nodiscard]] const Secret& url() const { return url_; }
    // "db@host:port"
    [[nodiscard]] const std::string& shown() const { return shown_; }
    // `text` on one line, with the password, as written or decoded, replaced by "***".
    [[nodiscard]] std::string scrub(std::string_view text) const;

  private:
    Secret url_;
    std::string shown_;
    std::vector<Secret> passwords_;
};

}  // namespace nave::storage::postgres
