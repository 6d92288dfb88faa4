#include "prekeys/observer.h"

#include "base/json.h"

#include <fmt/format.h>

#include <array>
#include <span>
#include <utility>

namespace nave::prekeys {
namespace {

// The series of the history, in the order of their names below.
enum Counted : std::size_t { fetches, issued, exhausted, withheld, registrations, rate_limited };
enum Gauged : std::size_t { one_time, kem_one_time };
constexpr std::array<std::string_view, 5> kLimitNames{"register", "fetch", "target", "pair",
                                                      "replenish"};

// Members of "counters", in the order shown.
constexpr std::array<std::string_view, 8> kFlowCounters{"registered", "fetched",  "issued",
                                                        "exhausted",  "withheld", "replenished",
                                                        "rotated",    "deleted"};
constexpr std::array<std::string_view, 5> kTroubleCounters{
    "replaysRejected", "authFailures", "identityConflicts", "depletionSuspected", "purged"};

std::string_view counter_of(EventType type) {
    switch (type) {
        case EventType::registered:
            return "registered";
        case EventType::fetched:
            return "fetched";
        case EventType::replenished:
            return "replenished";
        case EventType::signed_prekey_rotated:
        case EventType::identity_rotated:
            return "rotated";
        case EventType::deleted:
            return "deleted";
        case EventType::replay_rejected:
            return "replaysRejected";
        case EventType::auth_failed:
            return "authFailures";
        case EventType::identity_conflict:
            return "identityConflicts";
        case EventType::depletion_suspected:
            return "depletionSuspected";
        case EventType::purged:
            return "purged";
        default:
            return "";
    }
}

// Internal events that the feed does not show: metrics and counters have them.
bool is_for_the_feed(EventType type) {
    return type != EventType::auth_failed && type != EventType::identity_key_reused &&
           type != EventType::last_resort_used && type != EventType::key_withheld &&
           type != EventType::identity_purged;
}

void append_text_member(std::string& out, std::string_view name, std::string_view value) {
    fmt::format_to(std::back_inserter(out), R"(,"{}":)", name);
    json::append_quoted(out, value);
}

void append_integer_member(std::string& out, std::string_view name, std::int64_t value) {
    fmt::format_to(std::back_inserter(out), R"(,"{}":{})", name, value);
}

}  // namespace

Observer::Observer(const Clock& clock, const Pseudonyms& pseudonyms, bool shows_addresses)
    : pseudonyms_(pseudonyms),
      shows_addresses_(shows_addresses),
      // A thousand events a millisecond would have to happen for two processes to share an id.
      feed_(net::SseLimits{.ids_after = static_cast<std::uint64_t>(clock.now()) * 1000}),
      history_(clock,
               {"fetches", "issued", "exhausted", "withheld", "registrations", "rateLimited"},
               {"oneTimePreKeys", "kemOneTimePreKeys"}) {
    for (const auto& list : {std::span<const std::string_view>(kFlowCounters),
                             std::span<const std::string_view>(kTroubleCounters)}) {
        for (const std::string_view name : list) {
            counters_.emplace(name, 0);
        }
    }
    for (const std::string_view name : kLimitNames) {
        rate_limited_.emplace(name, 0);
    }
}

void Observer::count(const Event& event) {
    if (const std::string_view name = counter_of(event.type); !name.empty()) {
        counters_.find(name)->second +=
            event.type == EventType::purged ? event.count.value_or(1) : 1;
    }
    switch (event.type) {
        case EventType::fetched:
            history_.add(fetches);
            history_.add(issued + static_cast<std::size_t>(*event.one_time));
            ++counters_.find(status_name(*event.one_time))->second;
            break;
        case EventType::registered:
            history_.add(registrations);
            break;
        case EventType::rate_limited:
        case EventType::key_withheld:
            history_.add(rate_limited);
            if (const auto found = rate_limited_.find(event.limit); found != rate_limited_.end()) {
                ++found->second;
            }
            break;
        default:
            break;
    }
}

std::string Observer::event_json(const Event& event) const {
    std::string out = fmt::format(R"({{"ts":{},"type":"{}")", event.at, event_name(event.type));
    if (event.address) {
        append_text_member(out, "addressHash", pseudonyms_.label(event.address->text()));
        if (shows_addresses_) {
            append_text_member(out, "address", event.address->text());
        }
    }
    if (event.suite) {
        append_text_member(out, "suite", suite_name(*event.suite));
    }
    if (event.one_time) {
        append_text_member(out, "oneTime", status_name(*event.one_time));
    }
    if (event.kem) {
        append_text_member(out, "kem", status_name(*event.kem));
    }
    if (event.remaining) {
        append_integer_member(out, "remaining", event.remaining->one_time);
        append_integer_member(out, "kemRemaining", event.remaining->kem_one_time);
    }
    if (!event.client_key.empty()) {
        append_text_member(out, "ipPrefixHash", pseudonyms_.label(event.client_key));
    }
    if (!event.limit.empty()) {
        append_text_member(out, "limit", event.limit);
    }
    if (event.count) {
        append_integer_member(out, "count", *event.count);
    }
    if (event.tree_size) {
        append_integer_member(out, "treeSize", *event.tree_size);
    }
    out.push_back('}');
    return out;
}

void Observer::on_event(const Event& event) {
    count(event);
    if (is_for_the_feed(event.type)) {
        feed_.publish(event_name(event.type), event_json(event));
    }
}

void Observer::set_snapshot(DirectorySnapshot snapshot) {
    snapshot_ = std::move(snapshot);
    if (snapshot_.totals) {
        history_.set(one_time, snapshot_.totals->one_time);
        history_.set(kem_one_time, snapshot_.totals->kem_one_time);
    }
}

void Observer::append_totals(std::string& out, std::int64_t low_threshold) const {
    const StoreTotals totals = snapshot_.totals.value_or(StoreTotals{});
    std::int64_t identities = 0;
    std::string by_suite;
    for (const Suite suite : kSuites) {
        const std::int64_t n = totals.identities_by_suite.at(static_cast<std::size_t>(suite));
        identities += n;
        fmt::format_to(std::back_inserter(by_suite), R"({}"{}":{})", by_suite.empty() ? "" : ",",
                       suite_name(suite), n);
    }
    fmt::format_to(std::back_inserter(out),
                   R"("totals":{{"identities":{},"identitiesBySuite":{{{}}},"oneTimePreKeys":{},)"
                   R"("kemOneTimePreKeys":{},"belowLowThreshold":{},"exhausted":{},)"
                   R"("lowThreshold":{}}})",
                   identities, by_suite, totals.one_time, totals.kem_one_time,
                   totals.below_low_threshold, totals.exhausted, low_threshold);
}

void Observer::append_counters(std::string& out) const {
    out.append(R"("counters":{)");
    for (const std::string_view name : kFlowCounters) {
        fmt::format_to(std::back_inserter(out), R"("{}":{},)", name, counters_.find(name)->second);
    }
    out.append(R"("rateLimited":{)");
    for (const std::string_view name : kLimitNames) {
        fmt::format_to(std::back_inserter(out), R"({}"{}":{})", name == kLimitNames[0] ? "" : ",",
                       name, rate_limited_.find(name)->second);
    }
    out.push_back('}');
    for (const std::string_view name : kTroubleCounters) {
        append_integer_member(out, name, counters_.find(name)->second);
    }
    out.push_back('}');
}

void Observer::append_low_stock(std::string& out) const {
    out.append(R"("lowStock":[)");
    bool first = true;
    for (const LowStockEntry& entry : snapshot_.low_stock) {
        out.append(std::exchange(first, false) ? "{" : ",{");
        fmt::format_to(std::back_inserter(out), R"("addressHash":"{}")",
                       pseudonyms_.label(entry.address.text()));
        if (shows_addresses_) {
            append_text_member(out, "address", entry.address.text());
        }
        append_text_member(out, "suite", suite_name(entry.suite));
        append_integer_member(out, "oneTimePreKeys", entry.stock.one_time);
        append_integer_member(out, "kemOneTimePreKeys", entry.stock.kem_one_time);
        if (entry.last_fetch_at) {
            append_integer_member(out, "lastFetchAt", *entry.last_fetch_at);
        } else {
            out.append(R"(,"lastFetchAt":null)");
        }
        append_integer_member(out, "lastOwnerActivityAt", entry.last_owner_activity_at);
        out.push_back('}');
    }
    out.push_back(']');
}

std::string Observer::state_members(std::int64_t low_threshold) {
    std::string out;
    append_totals(out, low_threshold);
    out.push_back(',');
    append_counters(out);
    out.push_back(',');
    append_low_stock(out);
    out.push_back(',');
    out.append(R"("history":)");
    history_.append_json(out);
    return out;
}

}  // namespace nave::prekeys
