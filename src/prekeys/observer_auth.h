// Who may watch: the observer token as a bearer, or a short-lived single-use ticket made with it,
// for EventSource, which cannot send headers.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "base/secret.h"
#include "net/rate_limit.h"
#include "net/request.h"

#include <chrono>
#include <map>
#include <string>

namespace nave::prekeys {

class ObserverAuth {
  public:
    static constexpr std::chrono::milliseconds kTicketLife{30'000};

    ObserverAuth(Secret token, const Clock& clock, Entropy& entropy);

    // Errors SHADE_UNAUTHORIZED, SHADE_RATE_LIMITED after ten failures a minute from one address.
    [[nodiscard]] Result<void> check(const net::Request& request);
    // As check(); also accepts ?ticket= and ?token= in the query.
    [[nodiscard]] Result<void> check_stream(const net::Request& request);
    [[nodiscard]] std::string make_ticket();

  private:
    [[nodiscard]] bool is_token(std::string_view offered) const;
    [[nodiscard]] bool use_ticket(const std::string& ticket);
    [[nodiscard]] Result<void> admit(const net::Request& request) const;
    [[nodiscard]] Result<void> judge(const net::Request& request, bool allowed);

    Secret token_;
    const Clock& clock_;
    Entropy& entropy_;
    net::RateLimiter failures_;
    std::map<std::string, SteadyTime> tickets_;  // hash of the ticket -> when it expires
};

}  // namespace nave::prekeys
