#include "prekeys/observer_auth.h"

#include "base/encoding.h"
#include "crypto/hash.h"
#include "crypto/token.h"
#include "prekeys/errors.h"

namespace nave::prekeys {
namespace {

constexpr std::size_t kTicketsMax = 1'000;

std::string ticket_hash(std::string_view ticket) {
    return hex(crypto::sha256(as_bytes(ticket)));
}

Result<void> result_of(const net::BearerGate::Verdict& verdict) {
    using Kind = net::BearerGate::Verdict::Kind;
    switch (verdict.kind) {
        case Kind::open:
            return ok();
        case Kind::wrong_token:
            return errors::unauthorized("The observer token is missing or wrong.");
        case Kind::wait:
            break;
    }
    auto error = errors::rate_limited("Too many wrong tokens from this address.");
    error.error().retry_after = verdict.retry_after;
    return error;
}

}  // namespace

ObserverAuth::ObserverAuth(Secret token, const Clock& clock, Entropy& entropy)
    : gate_(std::move(token), clock), clock_(clock), entropy_(entropy) {}

bool ObserverAuth::use_ticket(const std::string& ticket) {
    const auto found = tickets_.find(ticket_hash(ticket));
    if (found == tickets_.end()) {
        return false;
    }
    const bool alive = found->second > clock_.steady();
    tickets_.erase(found);
    return alive;
}

Result<void> ObserverAuth::check(const net::Request& request) {
    return result_of(gate_.check(request));
}

Result<void> ObserverAuth::check_stream(const net::Request& request) {
    // First, so that a client that has to wait does not lose its ticket.
    TRY_VOID(result_of(gate_.admit(request)));
    bool allowed = gate_.is_token(request.bearer_token());
    if (!allowed) {
        const std::string ticket = request.query_param("ticket");
        allowed =
            ticket.empty() ? gate_.is_token(request.query_param("token")) : use_ticket(ticket);
    }
    return result_of(gate_.judge(request, allowed));
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
