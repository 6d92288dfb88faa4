// Settings of the service (every SHADE_* variable) and their typed form.
#pragma once

#include "base/secret.h"
#include "net/ip.h"
#include "net/rate_limit.h"
#include "prekeys/store.h"
#include "prekeys/transparency.h"
#include "runtime/log.h"
#include "runtime/settings.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace nave::prekeys {

[[nodiscard]] const SettingGroup& settings();

enum class BundleAccess : std::uint8_t { open, identified, token };

struct Limits {
    bool enabled = true;
    net::Rate register_per_ip;
    net::Rate fetch_per_ip;
    net::Rate one_time_per_target;             // by anonymous callers together
    net::Rate one_time_per_target_identified;  // by identified ones together
    net::Rate one_time_per_pair;
    net::Rate replenish_per_identity;
};

struct Config {
    std::string audience;
    std::int64_t skew_ms = 300'000;
    std::int64_t low_threshold = 20;
    std::int64_t refill_to = 100;
    bool public_count = false;
    BundleAccess bundle_access = BundleAccess::open;
    Secret bundle_token;
    Secret observer_token;  // empty: the observer is not mounted
    bool observer_shows_addresses = false;
    Secret metrics_token;          // empty: /metrics is open
    std::int64_t stale_days = 30;  // 0: never purge
    std::chrono::hours cleanup_interval{24};
    bool cleanup_dry_run = false;
    StorePolicy store;
    Limits limits;
};

// Reads settings that load_settings() accepted. Errors: combinations that make no sense.
[[nodiscard]] Result<Config> read_config(const Settings& settings);

// SHADE_KT_*: by default files in the data directory.
[[nodiscard]] TransparencyFiles read_transparency_files(const Settings& settings,
                                                        std::string_view data_dir);

// Where the service stores: SHADE_PREKEY_PG_URL, else DATABASE_URL, else the SQLite file.
struct StorageChoice {
    Secret postgres_url;  // empty: SQLite
    std::string sqlite_path;
};
[[nodiscard]] StorageChoice read_storage(const Settings& settings, std::string_view data_dir,
                                         const Secret& shared_url);

}  // namespace nave::prekeys
