// KeyBudgets: who may have how many one-time keys of a target. Over a budget nobody is refused; the
// bundle goes out without a one-time key (degrade, never deny).
//
// A caller pays three times: for its client address and this target, for its own name and this
// target when it is identified, and for the target. Names are free (anybody may register), so they
// only narrow what the address has; anonymous and identified callers have target budgets of their
// own, so that strangers cannot take what is there for those who say who they are.
#pragma once

#include "base/clock.h"
#include "net/rate_limit.h"
#include "prekeys/config.h"
#include "prekeys/types.h"

#include <optional>
#include <string>
#include <string_view>

namespace nave::prekeys {

struct KeyPayer {
    std::string client_key;            // the client address as limits count it
    std::optional<Address> requester;  // verified
};

class KeyBudgets {
  public:
    KeyBudgets(const Clock& clock, const Limits& limits);

    // Nothing when paid; otherwise the limit that is used up, "pair" or "target", and nothing is
    // taken.
    [[nodiscard]] std::optional<std::string_view> take(const Address& target,
                                                       const KeyPayer& payer);
    // Of a take() that paid, and after which no key was handed out.
    void give_back(const Address& target, const KeyPayer& payer);

  private:
    [[nodiscard]] net::RateLimiter& target_budget(const KeyPayer& payer);

    const Limits& limits_;
    net::RateLimiter per_pair_;
    net::RateLimiter by_anonymous_;
    net::RateLimiter by_identified_;
};

}  // namespace nave::prekeys
