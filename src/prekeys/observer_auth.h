// Who may watch: the observer token as a bearer, or a short-lived single-use ticket made with it,
// for EventSource, which cannot send headers.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "base/secret.h"
#include "net/bearer_gate.h"
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
    [[nodiscard]] bool use_ticket(const std::string& ticket);

    net::BearerGate gate_;
    const Clock& clock_;
    Entropy& entropy_;
    std::map<std::string, SteadyTime> tickets_;  // hash of the ticket -> when it expires
};

}  // namespace nave::prekeys
