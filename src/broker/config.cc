#include "broker/config.h"

#include "base/check.h"

#include <filesystem>
#include <optional>

namespace nave::broker {
namespace {

std::optional<std::string> check_rate(std::string_view text) {
    if (!net::parse_rate(text)) {
        return "must look like 20/s:200 or 60/min (count per s, min or h, and burst)";
    }
    return std::nullopt;
}

constexpr std::string_view kPrefixes[] = {"BROKER_"};

constexpr Setting kSettings[] = {
    {.name = "BROKER_PORT",
     .type = SettingType::integer,
     .description = "Port of the broker when it stands alone (7900).",
     .min = 0,
     .max = 65535},
    {.name = "BROKER_DB_PATH",
     .type = SettingType::path,
     .description = "SQLite file. Default: broker.db in the data "
                    "directory."},
    {.name = "STATUS_TTL_SECONDS",
     .type = SettingType::integer,
     .default_text = "60",
     .description = "Peers that are working and have said nothing for this long become idle.",
     .min = 1,
     .max = 86'400},
    {.name = "HOOK_FRESH_WINDOW_SECONDS",
     .type = SettingType::integer,
     .default_text = "30",
     .description = "How long a status from a hook beats inference.",
     .min = 1,
     .max = 86'400},
    {.name = "MAX_CONNECTIONS_PER_MESH",
     .type = SettingType::integer,
     .default_text = "100",
     .description = "Connected peers of one mesh; further ones are refused with close code 1008.",
     .min = 1,
     .max = 100'000},
    {.name = "MAX_MESSAGE_BYTES",
     .type = SettingType::integer,
     .default_text = "65536",
     .description = "Largest WebSocket message and hook body; larger ones close with 1009 or get "
                    "413.",
     .min = 1'024,
     .max = 16'777'216},
    {.name = "HOOK_RATE_LIMIT_PER_MIN",
     .type = SettingType::integer,
     .default_text = "30",
     .description = "Hook calls per process id and directory.",
     .min = 1,
     .max = 100'000},
    {.name = "BROKER_SEND_LIMIT",
     .default_text = "20/s:200",
     .description = "Envelopes per member; further ones are refused.",
     .validate = &check_rate},
    {.name = "BROKER_MESSAGE_TTL_HOURS",
     .type = SettingType::integer,
     .default_text = "168",
     .description = "How long an envelope waits for its receiver.",
     .min = 1,
     .max = 8'760},
    {.name = "BROKER_RECONNECT_LEASE_SECONDS",
     .type = SettingType::integer,
     .default_text = "90",
     .description = "How long a peer that lost its connection still counts as present; 0: not at "
                    "all.",
     .min = 0,
     .max = 3'600},
    {.name = "BROKER_PUBLIC_URL",
     .type = SettingType::url,
     .description = "Address of this broker in invites, such as wss://broker.example.org/ws. "
                    "Default: made from the listen address.",
     .choices = "ws,wss"},
    {.name = "BROKER_AUDIT_MESSAGES",
     .type = SettingType::choice,
     .default_text = "off",
     .description = "Whether each envelope leaves a record in the audit log: who sent it, to whom "
                    "and when, never what. Off because that is a list of who talks to whom, and a "
                    "row for each envelope.",
     .choices = "off,on"},
    {.name = "BROKER_AUDIT_DAYS",
     .type = SettingType::integer,
     .default_text = "365",
     .description = "How long audit records are kept; 0: for good.",
     .min = 0,
     .max = 36'500},
    {.name = "BROKER_ADMIN_TOKEN",
     .description = "Enables the admin API; its bearer token.",
     .secret = true,
     .length_min = 16},
    {.name = "BROKER_METRICS_TOKEN",
     .description = "Bearer token that /metrics asks for; open when unset.",
     .secret = true,
     .length_min = 16},
    {.name = "BROKER_OBSERVER_TOKEN",
     .description = "Enables the observer and its page of the console at /observer/.",
     .secret = true,
     .length_min = 16},
    {.name = "BROKER_LOG_LEVEL",
     .type = SettingType::choice,
     .default_text = "info",
     .description = "Log level of this service.",
     .choices = "debug,info,warn,error"},
    {.name = "NODE_ENV",
     .type = SettingType::choice,
     .default_text = "development",
     .description = "Accepted for compatibility; changes nothing.",
     .choices = "development,production,test"},
};

const SettingGroup kGroup{.title = "broker", .settings = kSettings, .prefixes = kPrefixes};

}  // namespace

const SettingGroup& settings() {
    return kGroup;
}

Config read_config(const Settings& settings) {
    const auto seconds = [&](std::string_view name) {
        return std::chrono::milliseconds(settings.integer(name) * 1000);
    };
    Config config;
    config.status.ttl = seconds("STATUS_TTL_SECONDS");
    config.status.hook_fresh = seconds("HOOK_FRESH_WINDOW_SECONDS");
    config.delivery.status = config.status;
    config.connections_per_mesh_max =
        static_cast<std::size_t>(settings.integer("MAX_CONNECTIONS_PER_MESH"));
    config.message_bytes_max = static_cast<std::size_t>(settings.integer("MAX_MESSAGE_BYTES"));
    config.hook_rate_per_minute = settings.integer("HOOK_RATE_LIMIT_PER_MIN");
    const auto rate = net::parse_rate(settings.text("BROKER_SEND_LIMIT"));
    CHECK(rate.has_value(), "load_settings() validated it");
    config.send_rate = *rate;
    config.message_ttl = std::chrono::hours(settings.integer("BROKER_MESSAGE_TTL_HOURS"));
    config.reconnect_lease = seconds("BROKER_RECONNECT_LEASE_SECONDS");
    config.audit_messages = settings.text("BROKER_AUDIT_MESSAGES") == "on";
    config.audit_kept = std::chrono::hours(24 * settings.integer("BROKER_AUDIT_DAYS"));
    config.public_url = settings.text("BROKER_PUBLIC_URL");
    config.admin_token = settings.secret("BROKER_ADMIN_TOKEN");
    config.metrics_token = settings.secret("BROKER_METRICS_TOKEN");
    config.observer_token = settings.secret("BROKER_OBSERVER_TOKEN");
    return config;
}

StorageChoice read_storage(const Settings& settings, std::string_view data_dir,
                           const Secret& shared_url) {
    StorageChoice choice;
    choice.sqlite_path = settings.text("BROKER_DB_PATH");
    // A path that was set is meant, even where the process as a whole uses PostgreSQL.
    if (!shared_url.empty() && choice.sqlite_path.empty()) {
        choice.postgres_url = shared_url;
        return choice;
    }
    if (choice.sqlite_path.empty()) {
        choice.sqlite_path = (std::filesystem::path(data_dir) / "broker.db").string();
    }
    return choice;
}

}  // namespace nave::broker
