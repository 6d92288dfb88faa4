// Settings of the service (those of the original with their defaults, and BROKER_*) and their typed
// form.
#pragma once

#include "base/secret.h"
#include "broker/delivery.h"
#include "broker/queue_store.h"
#include "broker/status.h"
#include "net/rate_limit.h"
#include "runtime/settings.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace nave::broker {

[[nodiscard]] const SettingGroup& settings();

struct Config {
    StatusTimes status;
    std::size_t connections_per_mesh_max = 100;
    std::size_t message_bytes_max = 65'536;
    std::int64_t hook_rate_per_minute = 30;
    net::Rate send_rate;
    std::chrono::milliseconds message_ttl{};
    std::chrono::milliseconds reconnect_lease{};
    std::string public_url;  // in invites; empty: made from the request or the listen address
    bool audit_messages = false;
    std::chrono::milliseconds audit_kept{};  // 0: for good
    Secret admin_token;                      // empty: the admin API is off
    Secret metrics_token;                    // empty: /metrics is open
    Secret observer_token;                   // empty: the observer is off
    QueuePolicy queue;
    DeliveryLimits delivery;
};

// Reads settings that load_settings() accepted.
[[nodiscard]] Config read_config(const Settings& settings);

// Where the service stores: DATABASE_URL, else the SQLite file.
struct StorageChoice {
    Secret postgres_url;  // empty: SQLite
    std::string sqlite_path;
};
[[nodiscard]] StorageChoice read_storage(const Settings& settings, std::string_view data_dir,
                                         const Secret& shared_url);

}  // namespace nave::broker
