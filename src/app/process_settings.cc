#include "app/process_settings.h"

#include "app/services.h"
#include "bus/redis/redis_address.h"
#include "bus/redis/redis_bus.h"

#include <unistd.h>

namespace nave::app {
namespace {

constexpr std::string_view kPrefixes[] = {"NAVE_"};

constexpr Setting kSettings[] = {
    {.name = "NAVE_DATA_DIR",
     .type = SettingType::path,
     .default_text = "./data",
     .description = "Where embedded databases and generated secrets are kept."},
    {.name = "DATABASE_URL",
     .type = SettingType::url,
     .description = "PostgreSQL 15 or newer for every service that has no address of its own. "
                    "Unset: SQLite files in the data directory.",
     .choices = "postgres,postgresql",
     .secret = true},
    {.name = "REDIS_URL",
     .type = SettingType::text,
     .description = "redis://user:password@host:port/number: several processes on one PostgreSQL "
                    "hear each other through this server. Unset: one process.",
     .secret = true,
     .validate = &bus::redis_url_problem},
    {.name = "NAVE_BUS_PREFIX",
     .type = SettingType::text,
     .default_text = "nave:",
     .description = "What the names of all channels in Redis begin with; the same for all nodes of "
                    "one deployment, another for every other that uses the same server.",
     .validate = &bus::prefix_problem},
    {.name = "NAVE_LISTEN",
     .description = "Address to listen on, HOST:PORT; port 0 picks a free one. Default: all "
                    "addresses, the service's home port alone or 8080 together."},
    {.name = "PORT",
     .type = SettingType::integer,
     .description = "Port of a service that stands alone (prekeys).",
     .min = 0,
     .max = 65535},
    {.name = "NAVE_MIGRATE",
     .type = SettingType::choice,
     .default_text = "auto",
     .description = "auto: apply schema changes at start. manual: refuse to start on an old schema "
                    "and name the command.",
     .choices = "auto,manual"},
    {.name = "NAVE_LOG_LEVEL",
     .type = SettingType::choice,
     .default_text = "info",
     .description = "Log level of the process; services have their own.",
     .choices = "debug,info,warn,error"},
    {.name = "NAVE_LOG_FORMAT",
     .type = SettingType::choice,
     .default_text = "auto",
     .description = "json, pretty, or auto: pretty on a terminal.",
     .choices = "auto,json,pretty"},
    {.name = "NAVE_SHUTDOWN_SECONDS",
     .type = SettingType::integer,
     .default_text = "10",
     .description = "How long a stop waits for requests and services to finish.",
     .min = 1,
     .max = 300},
    {.name = "NAVE_MAX_CONNECTIONS",
     .type = SettingType::integer,
     .default_text = "16384",
     .description = "Open client connections; further ones are closed at once.",
     .min = 1,
     .max = 1'000'000},
    {.name = "NAVE_MAX_CONNECTIONS_PER_CLIENT",
     .type = SettingType::integer,
     .default_text = "2048",
     .description = "Open connections from one address (IPv6: from one /64); further ones are "
                    "closed at once. Trusted proxies are exempt. 0: no limit.",
     .min = 0,
     .max = 1'000'000},
    {.name = "NAVE_MAX_BODY_MEMORY_MIB",
     .type = SettingType::integer,
     .default_text = "64",
     .description = "Memory for request bodies that are arriving or being handled. Bodies that "
                    "arrive in pieces get 503 beyond it.",
     .min = 1,
     .max = 65536},
    {.name = "NAVE_DATABASE_CONNECTIONS",
     .type = SettingType::integer,
     .default_text = "16",
     .description = "PostgreSQL connections of this process.",
     .min = 1,
     .max = 200},
    {.name = "NAVE_DATABASE_DEADLINE_SECONDS",
     .type = SettingType::integer,
     .default_text = "10",
     .description = "Longest time one storage operation may take, waiting included.",
     .min = 1,
     .max = 300},
    {.name = "NAVE_WORKERS",
     .type = SettingType::integer,
     .default_text = "2",
     .description = "Threads for signature checks.",
     .min = 1,
     .max = 64},
    {.name = "GIT_SHA",
     .description = "Commit shown by health and metrics; an image build sets it. Default: the "
                    "commit the binary was built from."},
};

constexpr SettingGroup kGroup{"process", kSettings, kPrefixes};

// The operator's `.env` is both what the compose files substitute and what the server reads.
constexpr Setting kDeploymentSettings[] = {
    {.name = "NAVE_IMAGE_OWNER",
     .default_text = "nave",
     .description = "Read by the compose files, not by the server: whose image, "
                    "ghcr.io/OWNER/nave."},
    {.name = "NAVE_VERSION",
     .default_text = "latest",
     .description = "Read by the compose files, not by the server: the image's tag."},
    {.name = "NAVE_NETWORK",
     .default_text = "172.30.81",
     .description = "Read by the compose files, not by the server: the first three bytes of the "
                    "containers' network, when another network of the host has these."},
};

constexpr SettingGroup kDeploymentGroup{"deployment", kDeploymentSettings, {}};

}  // namespace

const SettingGroup& process_settings() {
    return kGroup;
}

std::vector<SettingGroup> all_settings() {
    std::vector<SettingGroup> groups{process_settings()};
    for (const ServiceEntry& service : services()) {
        groups.push_back(service.settings());
    }
    groups.push_back(kDeploymentGroup);
    return groups;
}

LogLevel parse_log_level(std::string_view text) {
    if (text == "debug") {
        return LogLevel::debug;
    }
    if (text == "warn") {
        return LogLevel::warn;
    }
    return text == "error" ? LogLevel::error : LogLevel::info;
}

LogFormat log_format(const Settings& settings) {
    const std::string text = settings.text("NAVE_LOG_FORMAT");
    const bool pretty = text == "pretty" || (text == "auto" && ::isatty(STDERR_FILENO) == 1);
    return pretty ? LogFormat::pretty : LogFormat::json;
}

}  // namespace nave::app
