#include "prekeys/key_budgets.h"

#include <fmt/format.h>

namespace nave::prekeys {
namespace {

// No address of this service holds a slash, so no name can pass for a client.
std::string client_pair(const Address& target, const KeyPayer& payer) {
    return fmt::format("client/{}/{}", payer.client_key, target.text());
}

std::string name_pair(const Address& target, const Address& requester) {
    return fmt::format("{}/{}", requester.text(), target.text());
}

}  // namespace

KeyBudgets::KeyBudgets(const Clock& clock, const Limits& limits)
    : limits_(limits),
      per_pair_(clock, limits.one_time_per_pair),
      by_anonymous_(clock, limits.one_time_per_target),
      by_identified_(clock, limits.one_time_per_target_identified) {}

net::RateLimiter& KeyBudgets::target_budget(const KeyPayer& payer) {
    return payer.requester ? by_identified_ : by_anonymous_;
}

std::optional<std::string_view> KeyBudgets::take(const Address& target, const KeyPayer& payer) {
    if (!limits_.enabled) {
        return std::nullopt;
    }
    const std::string by_client = client_pair(target, payer);
    if (!per_pair_.take(by_client).allowed) {
        return "pair";
    }
    if (payer.requester && !per_pair_.take(name_pair(target, *payer.requester)).allowed) {
        per_pair_.give_back(by_client);
        return "pair";
    }
    if (!target_budget(payer).take(target.text()).allowed) {
        per_pair_.give_back(by_client);
        if (payer.requester) {
            per_pair_.give_back(name_pair(target, *payer.requester));
        }
        return "target";
    }
    return std::nullopt;
}

void KeyBudgets::give_back(const Address& target, const KeyPayer& payer) {
    if (!limits_.enabled) {
        return;
    }
    per_pair_.give_back(client_pair(target, payer));
    if (payer.requester) {
        per_pair_.give_back(name_pair(target, *payer.requester));
    }
    target_budget(payer).give_back(target.text());
}

}  // namespace nave::prekeys
