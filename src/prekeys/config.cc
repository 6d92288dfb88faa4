#include "prekeys/config.h"

#include "base/check.h"

#include <fmt/format.h>

namespace nave::prekeys {
namespace {

std::optional<std::string> check_rate(std::string_view text) {
    if (!net::parse_rate(text)) {
        return "must look like 5/h, 60/min or 30/h:20 (count per s, min or h, and burst)";
    }
    return std::nullopt;
}

constexpr std::string_view kPrefixes[] = {"SHADE_"};
constexpr std::int64_t kSkewSecondsMax = 3600;

constexpr Setting kSettings[] = {
    {.name = "SHADE_PREKEY_DB_PATH",
     .type = SettingType::path,
     .description = "SQLite file. Default: shade-prekeys.db in the data directory "
                    "(/data/shade-prekeys.db in the container)."},
    {.name = "SHADE_PREKEY_PG_URL",
     .type = SettingType::url,
     .description = "PostgreSQL 15 or newer instead of SQLite; overrides DATABASE_URL.",
     .choices = "postgres,postgresql",
     .secret = true},
    {.name = "SHADE_OBSERVER_TOKEN",
     .description = "Enables the observer and its dashboard at /shade-observer/dashboard/.",
     .secret = true,
     .length_min = 16},
    {.name = "SHADE_STALE_DAYS",
     .type = SettingType::integer,
     .default_text = "30",
     .description = "Identities without activity for this many days are purged; 0 disables.",
     .min = 0,
     .max = 36500},
    {.name = "SHADE_CLEANUP_INTERVAL_HOURS",
     .type = SettingType::integer,
     .default_text = "24",
     .description = "Hours between cleanup runs; one also runs at start.",
     .min = 1,
     .max = 8760},
    {.name = "SHADE_CLEANUP_DRY_RUN",
     .type = SettingType::boolean,
     .default_text = "0",
     .description = "Count and log stale identities instead of purging them."},
    {.name = "SHADE_STALE_TOUCH_ON_FETCH",
     .type = SettingType::boolean,
     .default_text = "1",
     .description = "Whether a bundle fetch counts as activity. With 0 nobody can keep an "
                    "abandoned identity alive by fetching it."},
    {.name = "SHADE_TOMBSTONE_DAYS",
     .type = SettingType::integer,
     .default_text = "365",
     .description = "How long the address of a removed identity stays closed to other keys.",
     .min = 0,
     .max = 36500},
    {.name = "SHADE_LOG_LEVEL",
     .type = SettingType::choice,
     .default_text = "info",
     .description = "Log level of this service.",
     .choices = "debug,info,warn,error"},
    {.name = "SHADE_AUDIENCE",
     .description = "Name of this server inside scheme B signatures, so that a request signed for "
                    "one server cannot be replayed on another. Empty by default."},
    {.name = "SHADE_MAX_SKEW_SECONDS",
     .type = SettingType::integer,
     .default_text = "300",
     .description = "Accepted difference between a signature's time and the server's.",
     .min = 1,
     .max = kSkewSecondsMax},
    {.name = "SHADE_TRUSTED_PROXIES",
     .description = "Comma-separated addresses or prefixes whose X-Forwarded-For is believed; "
                    "applies to the whole process.",
     .validate = [](std::string_view text) -> std::optional<std::string> {
         const auto parsed = net::TrustedProxies::parse(text);
         return parsed ? std::nullopt : std::optional(parsed.error().message);
     }},
    {.name = "SHADE_DISABLE_RATE_LIMIT",
     .type = SettingType::boolean,
     .default_text = "0",
     .description = "Switches every rate limit off, for development only; logs a warning."},
    {.name = "SHADE_LIMIT_REGISTER",
     .default_text = "5/h",
     .description = "Registrations per client address.",
     .validate = &check_rate},
    {.name = "SHADE_LIMIT_FETCH",
     .default_text = "60/min",
     .description = "Fetches of bundles and identities per client address.",
     .validate = &check_rate},
    {.name = "SHADE_LIMIT_TARGET",
     .default_text = "30/h:20",
     .description = "One-time keys of one target handed to anonymous callers together; beyond it "
                    "bundles come without one.",
     .validate = &check_rate},
    {.name = "SHADE_LIMIT_TARGET_IDENTIFIED",
     .default_text = "120/h:60",
     .description = "One-time keys of one target handed to identified callers together; beyond it "
                    "bundles come without one.",
     .validate = &check_rate},
    {.name = "SHADE_LIMIT_PAIR",
     .default_text = "6/h:6",
     .description = "One-time keys of one target handed to one client address, and to one "
                    "identified caller; beyond it bundles come without one.",
     .validate = &check_rate},
    {.name = "SHADE_LIMIT_REPLENISH",
     .default_text = "10/min",
     .description = "Uploads per identity.",
     .validate = &check_rate},
    {.name = "SHADE_RESERVE_PERCENT",
     .type = SettingType::integer,
     .default_text = "20",
     .description = "Share of an address's one-time keys that only identified callers get.",
     .min = 0,
     .max = 100},
    {.name = "SHADE_MAX_OPK",
     .type = SettingType::integer,
     .default_text = "200",
     .description = "One-time prekeys stored per address.",
     .min = 1,
     .max = 10000},
    {.name = "SHADE_MAX_KEM_OPK",
     .type = SettingType::integer,
     .default_text = "100",
     .description = "KEM one-time prekeys stored per address.",
     .min = 1,
     .max = 10000},
    {.name = "SHADE_MAX_ADDRESSES",
     .type = SettingType::integer,
     .default_text = "16",
     .description = "Addresses one identity key may register.",
     .min = 1,
     .max = 10000},
    {.name = "SHADE_LOW_THRESHOLD",
     .type = SettingType::integer,
     .default_text = "20",
     .description = "Stock below which clients are told to upload more.",
     .min = 0,
     .max = 10000},
    {.name = "SHADE_REFILL_TO",
     .type = SettingType::integer,
     .default_text = "100",
     .description = "Stock that clients are told to refill to.",
     .min = 1,
     .max = 10000},
    {.name = "SHADE_PUBLIC_COUNT",
     .type = SettingType::boolean,
     .default_text = "0",
     .description = "Answers GET /v1/keys/count without a signature, as older servers did. A "
                    "public count tells strangers who is online and how fast keys drain."},
    {.name = "SHADE_BUNDLE_ACCESS",
     .type = SettingType::choice,
     .default_text = "open",
     .description = "Who may fetch bundles: anyone, callers who sign, or holders of "
                    "SHADE_BUNDLE_TOKEN.",
     .choices = "open,identified,token"},
    {.name = "SHADE_BUNDLE_TOKEN",
     .description = "Bearer token for bundle fetches when SHADE_BUNDLE_ACCESS is token.",
     .secret = true,
     .length_min = 16},
    {.name = "SHADE_KT_KEY_FILE",
     .type = SettingType::path,
     .description = "Seed of the key-transparency log's keys; made at the first start. Nodes that "
                    "share a database share this file. Default: shade-kt.key in the data "
                    "directory."},
    {.name = "SHADE_KT_CHECKPOINT_FILE",
     .type = SettingType::path,
     .description = "Where the last signed checkpoint is kept, to notice a database that fell "
                    "back. Default: shade-kt.checkpoint in the data directory."},
    {.name = "SHADE_KT_ORIGIN",
     .description = "Name of the log in its checkpoints. Default: made from its key."},
    {.name = "SHADE_METRICS_TOKEN",
     .description = "Bearer token that /metrics asks for; open when unset.",
     .secret = true,
     .length_min = 16},
    {.name = "SHADE_OBSERVER_SHOW_ADDRESSES",
     .type = SettingType::boolean,
     .default_text = "0",
     .description = "Shows addresses in the observer instead of keyed hashes only."},
};

constexpr SettingGroup kGroup{"prekeys", kSettings, kPrefixes};

net::Rate rate(const Settings& settings, std::string_view name) {
    const auto parsed = net::parse_rate(settings.text(name));
    CHECK(parsed.has_value(), "rate was validated");
    return *parsed;
}

BundleAccess bundle_access(std::string_view text) {
    if (text == "identified") {
        return BundleAccess::identified;
    }
    return text == "token" ? BundleAccess::token : BundleAccess::open;
}

constexpr std::int64_t kDayMs = 24LL * 3600 * 1000;

}  // namespace

const SettingGroup& settings() {
    return kGroup;
}

Result<Config> read_config(const Settings& s) {
    Config config;
    config.audience = s.text("SHADE_AUDIENCE");
    config.skew_ms = s.integer("SHADE_MAX_SKEW_SECONDS") * 1000;
    config.low_threshold = s.integer("SHADE_LOW_THRESHOLD");
    config.refill_to = s.integer("SHADE_REFILL_TO");
    config.public_count = s.boolean("SHADE_PUBLIC_COUNT");
    config.bundle_access = bundle_access(s.text("SHADE_BUNDLE_ACCESS"));
    config.bundle_token = s.secret("SHADE_BUNDLE_TOKEN");
    config.observer_token = s.secret("SHADE_OBSERVER_TOKEN");
    config.observer_shows_addresses = s.boolean("SHADE_OBSERVER_SHOW_ADDRESSES");
    config.metrics_token = s.secret("SHADE_METRICS_TOKEN");
    config.stale_days = s.integer("SHADE_STALE_DAYS");
    config.cleanup_interval = std::chrono::hours(s.integer("SHADE_CLEANUP_INTERVAL_HOURS"));
    config.cleanup_dry_run = s.boolean("SHADE_CLEANUP_DRY_RUN");
    config.store.one_time_max = s.integer("SHADE_MAX_OPK");
    config.store.kem_one_time_max = s.integer("SHADE_MAX_KEM_OPK");
    config.store.addresses_per_identity_max = s.integer("SHADE_MAX_ADDRESSES");
    config.store.reserve_percent = s.integer("SHADE_RESERVE_PERCENT");
    config.store.tombstone_ms = s.integer("SHADE_TOMBSTONE_DAYS") * kDayMs;
    config.store.touch_on_fetch = s.boolean("SHADE_STALE_TOUCH_ON_FETCH");
    config.store.low_threshold = config.low_threshold;
    // A proof can be accepted until its time + skew. Whatever the skew is now: it may have been
    // wider on another node, or be widened at the next start.
    config.store.replay_memory_ms = (kSkewSecondsMax + 60) * 1000;
    config.limits.enabled = !s.boolean("SHADE_DISABLE_RATE_LIMIT");
    config.limits.register_per_ip = rate(s, "SHADE_LIMIT_REGISTER");
    config.limits.fetch_per_ip = rate(s, "SHADE_LIMIT_FETCH");
    config.limits.one_time_per_target = rate(s, "SHADE_LIMIT_TARGET");
    config.limits.one_time_per_target_identified = rate(s, "SHADE_LIMIT_TARGET_IDENTIFIED");
    config.limits.one_time_per_pair = rate(s, "SHADE_LIMIT_PAIR");
    config.limits.replenish_per_identity = rate(s, "SHADE_LIMIT_REPLENISH");
    if (config.bundle_access == BundleAccess::token && config.bundle_token.empty()) {
        return fail(Code::invalid, "prekeys.config",
                    "SHADE_BUNDLE_ACCESS is token but SHADE_BUNDLE_TOKEN is not set");
    }
    for (const auto& [name, most] :
         {std::pair<std::string_view, std::int64_t>("SHADE_MAX_OPK", config.store.one_time_max),
          std::pair<std::string_view, std::int64_t>("SHADE_MAX_KEM_OPK",
                                                    config.store.kem_one_time_max)}) {
        if (config.refill_to > most) {
            return fail(Code::invalid, "prekeys.config",
                        fmt::format("SHADE_REFILL_TO ({}) is above {} ({}): clients would be told "
                                    "to upload what is then refused",
                                    config.refill_to, name, most));
        }
    }
    if (config.low_threshold > config.refill_to) {
        return fail(Code::invalid, "prekeys.config",
                    fmt::format("SHADE_LOW_THRESHOLD ({}) is above SHADE_REFILL_TO ({}): clients "
                                "would never be done uploading",
                                config.low_threshold, config.refill_to));
    }
    return config;
}

TransparencyFiles read_transparency_files(const Settings& s, std::string_view data_dir) {
    TransparencyFiles files{s.text("SHADE_KT_KEY_FILE"), s.text("SHADE_KT_CHECKPOINT_FILE"),
                            s.text("SHADE_KT_ORIGIN")};
    if (files.key.empty()) {
        files.key = fmt::format("{}/shade-kt.key", data_dir);
    }
    if (files.checkpoint.empty()) {
        files.checkpoint = fmt::format("{}/shade-kt.checkpoint", data_dir);
    }
    return files;
}

StorageChoice read_storage(const Settings& s, std::string_view data_dir, const Secret& shared_url) {
    const Secret own_url = s.secret("SHADE_PREKEY_PG_URL");
    if (!own_url.empty()) {
        return {own_url, {}};
    }
    const std::string path = s.text("SHADE_PREKEY_DB_PATH");
    // A path that was set is meant, even where the process as a whole uses PostgreSQL.
    if (!shared_url.empty() && path.empty()) {
        return {shared_url, {}};
    }
    return {Secret(), path.empty() ? fmt::format("{}/shade-prekeys.db", data_dir) : path};
}

}  // namespace nave::prekeys
