#include "prekeys/observer_auth.h"

#include "base/encoding.h"
#include "crypto/hash.h"
#include "crypto/token.h"
#include "prekeys/errors.h"

namespace nave::prekeys {
namespace {

constexpr net::Rate kFailures{.burst = 10, .refill_per_second = 10.0 / 60};
constexpr std::size_t kTicketsMax = 1'000;

std::string ticket_hash(std::string_view ticket) {
    return hex(crypto::sha256(as_bytes(ticket)));
}

}  // namespace

ObserverAuth::ObserverAuth(Secret token, const Clock& clock, Entropy& entropy)
    : token_(std::move(token)), clock_(clock), entropy_(entropy), failures_(clock, kFailures) {}

bool ObserverAuth::is_token(std::string_view offered) const {
    return crypto::is_secret(token_, offered);
}

bool ObserverAuth::use_ticket(const std::string& ticket) {
    const auto found = tickets_.find(ticket_hash(ticket));
    if (found == tickets_.end()) {
        return false;
    }
    const bool alive = found->second > clock_.steady();
    tickets_.erase(found);
    return alive;
}

Result<void> ObserverAuth::admit(const net::Request& request) const {
    if (const auto verdict = failures_.peek(request.client.limit_key()); !verdict.allowed) {
        auto error = errors::rate_limited("Too many wrong tokens from this address.");
        error.error().retry_after = verdict.retry_after;
        return error;
    }
    return ok();
}

Result<void> ObserverAuth::judge(const net::Request& request, bool allowed) {
    if (!allowed) {
        failures_.take(request.client.limit_key());
        return errors::unauthorized("The observer token is missing or wrong.");
    }
    return ok();
}

Result<void> ObserverAuth::check(const net::Request& request) {
    TRY_VOID(admit(request));
    return judge(request, is_token(request.bearer_token()));
}

Result<void> ObserverAuth::check_stream(const net::Request& request) {
    // First, so that a client that has to wait does not lose its ticket.
    TRY_VOID(admit(request));
    bool allowed = is_token(request.bearer_token());
    if (!allowed) {
        const std::string ticket = request.query_param("ticket");
        allowed = ticket.empty() ? is_token(request.query_param("token")) : use_ticket(ticket);
    }
    return judge(request, allowed);
}

std::string ObserverAuth::make_ticket() {
    const SteadyTime now = clock_.steady();
    std::erase_if(tickets_, [now](const auto& ticket) { return ticket.second <= now; });
    if (tickets_.size() >= kTicketsMax) {
        tickets_.clear();
    }
    const Secret ticket = crypto::random_token(entropy_);
    tickets_.emplace(ticket_hash(ticket.reveal()), now + kTicketLife);
    return std::string(ticket.reveal());
}

}  // namespace nave::prekeys
