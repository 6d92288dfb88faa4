#include "net/bearer_gate.h"

#include "base/check.h"
#include "crypto/token.h"

namespace nave::net {
namespace {

constexpr Rate kFailures{.burst = 10, .refill_per_second = 10.0 / 60};

}  // namespace

BearerGate::BearerGate(Secret token, const Clock& clock)
    : token_(std::move(token)), failures_(clock, kFailures) {
    CHECK(!token_.empty(), "an empty token would be shown by everyone");
}

bool BearerGate::is_token(std::string_view offered) const {
    return crypto::is_secret(token_, offered);
}

BearerGate::Verdict BearerGate::admit(const Request& request) const {
    const auto verdict = failures_.peek(request.client.limit_key());
    if (!verdict.allowed) {
        return {Verdict::Kind::wait, verdict.retry_after};
    }
    return {Verdict::Kind::open};
}

BearerGate::Verdict BearerGate::judge(const Request& request, bool allowed) {
    if (allowed) {
        return {Verdict::Kind::open};
    }
    failures_.take(request.client.limit_key());
    return {Verdict::Kind::wrong_token};
}

BearerGate::Verdict BearerGate::check(const Request& request) {
    const Verdict admitted = admit(request);
    return admitted.kind == Verdict::Kind::wait ? admitted
                                                : judge(request, is_token(request.bearer_token()));
}

}  // namespace nave::net
