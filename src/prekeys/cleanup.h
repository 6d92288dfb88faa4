// StaleCleanup: removes identities nobody used for SHADE_STALE_DAYS, at start and on an interval,
// so that the database stays bounded without manual work. Removed addresses leave tombstones.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "prekeys/config.h"
#include "prekeys/events.h"
#include "prekeys/store.h"
#include "runtime/log.h"
#include "runtime/loop.h"

#include <optional>

namespace nave::prekeys {

class StaleCleanup {
  public:
    StaleCleanup(Loop& loop, const Config& config, Store& store, const Clock& clock,
                 Entropy& entropy, EventSink& events, Logger& logger);

    // One cycle; returns how many identities were (or, dry, would be) removed.
    Task<Result<std::int64_t>> run_once();
    // Cycles until cancelled: at once, then every interval with up to a tenth of jitter.
    Task<void> run();

    [[nodiscard]] std::optional<UnixMillis> last_run_at() const { return last_run_at_; }
    [[nodiscard]] std::int64_t last_purged() const { return last_purged_; }

  private:
    Loop& loop_;
    const Config& config_;
    Store& store_;
    const Clock& clock_;
    Entropy& entropy_;
    EventSink& events_;
    Logger& logger_;
    std::optional<UnixMillis> last_run_at_;
    std::int64_t last_purged_ = 0;
};

}  // namespace nave::prekeys
