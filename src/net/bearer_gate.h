// BearerGate: lets in who shows the one token an operator has set (Authorization: Bearer). After
// ten wrong ones from an address it waits: one more every six seconds. Answers are the services'
// own.
#pragma once

#include "base/clock.h"
#include "base/secret.h"
#include "net/rate_limit.h"
#include "net/request.h"

#include <chrono>
#include <string_view>

namespace nave::net {

class BearerGate {
  public:
    struct Verdict {
        enum class Kind : std::uint8_t { open, wrong_token, wait };
        Kind kind;
        std::chrono::milliseconds retry_after{};  // of wait
    };

    // `token` is not empty.
    BearerGate(Secret token, const Clock& clock);

    // Counts a wrong or missing token against the client's address.
    [[nodiscard]] Verdict check(const Request& request);

    // The parts of check(), for gates with further keys. `wait`, else `open`:
    [[nodiscard]] Verdict admit(const Request& request) const;
    [[nodiscard]] bool is_token(std::string_view offered) const;
    [[nodiscard]] Verdict judge(const Request& request, bool allowed);

  private:
    Secret token_;
    RateLimiter failures_;
};

}  // namespace nave::net
