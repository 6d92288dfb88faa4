#include "prekeys/cleanup.h"

namespace nave::prekeys {
namespace {

constexpr std::int64_t kBatch = 500;
constexpr UnixMillis kDayMs = 24LL * 3600 * 1000;
// After a failed cycle (database away) the next one comes soon, not in a day.
constexpr std::chrono::milliseconds kRetry{60'000};

}  // namespace

StaleCleanup::StaleCleanup(Loop& loop, const Config& config, Store& store, const Clock& clock,
                           Entropy& entropy, EventSink& events, Logger& logger)
    : loop_(loop),
      config_(config),
      store_(store),
      clock_(clock),
      entropy_(entropy),
      events_(events),
      logger_(logger) {}

Task<Result<std::int64_t>> StaleCleanup::run_once() {
    std::int64_t purged = 0;
    if (config_.stale_days > 0) {
        const UnixMillis cutoff = clock_.now() - config_.stale_days * kDayMs;
        if (config_.cleanup_dry_run) {
            CO_TRY(purged, co_await store_.count_stale_identities(cutoff));
        }
        for (bool more = !config_.cleanup_dry_run; more;) {
            CO_TRY(const auto batch,
                   co_await store_.purge_stale_identities(cutoff, kBatch, clock_.now()));
            purged += static_cast<std::int64_t>(batch.size());
            for (const PurgedIdentity& identity : batch) {
                Event event;
                event.type = EventType::identity_purged;
                event.at = clock_.now();
                event.address = identity.address;
                events_.on_event(event);
            }
            more = static_cast<std::int64_t>(batch.size()) == kBatch;
        }
    }
    last_run_at_ = clock_.now();
    last_purged_ = config_.cleanup_dry_run ? 0 : purged;
    logger_.info("stale cleanup", {{"purged", last_purged_},
                                   {"stale", purged},
                                   {"stale_days", config_.stale_days},
                                   {"dry_run", config_.cleanup_dry_run}});
    if (last_purged_ > 0) {
        Event event;
        event.type = EventType::purged;
        event.at = clock_.now();
        event.count = last_purged_;
        events_.on_event(event);
    }
    co_return purged;
}

Task<void> StaleCleanup::run() {
    for (;;) {
        const auto cycle = co_await run_once();
        std::chrono::milliseconds wait = config_.cleanup_interval;
        if (!cycle) {
            logger_.failure(LogLevel::warn, "stale cleanup failed", cycle.error());
            wait = kRetry;
        }
        // Several nodes on one database should not all clean at the same moment.
        const auto jitter = entropy_.below(static_cast<std::uint64_t>(wait.count() / 10 + 1));
        co_await loop_.sleep(wait + std::chrono::milliseconds(jitter));
    }
}

}  // namespace nave::prekeys
