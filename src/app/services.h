// The one list of services. Everything that differs between them is a field here, so that adding a
// service is adding an entry (docs/howto/add-a-service.md) and none can be half wired.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "bus/bus.h"
#include "net/router.h"
#include "net/static_files.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/module.h"
#include "runtime/settings.h"
#include "runtime/worker_pool.h"
#include "storage/database.h"
#include "storage/migrations.h"
#include "storage/open.h"

#include <memory>
#include <optional>
#include <span>
#include <string_view>

namespace nave::app {

// What the process offers every service; outlives them all.
struct Surroundings {
    Loop& loop;
    const Clock& clock;
    Entropy& entropy;
    Health& health;
    Metrics& metrics;
    WorkerPool& workers;
    bus::Bus& bus;
    const Logger& logger;
    const Settings& settings;
    std::string commit;
};

struct RunningService {
    std::unique_ptr<Module> module;
    const net::Router* router = nullptr;  // owned by the module
};

struct ServiceEntry {
    std::string_view name;
    std::string_view title;         // one line for people
    std::uint16_t home_port;        // standing alone
    std::string_view port_setting;  // overrides it, standing alone
    std::string_view log_setting;
    std::string_view metrics_token_setting;
    const SettingGroup& (*settings)();
    // Settings that are wrong together, beyond what each says alone. Null: none can be.
    Result<void> (*check_settings)(const Settings& settings);
    storage::Address (*storage)(const Settings& settings);
    storage::MigrationSet (*migrations)();
    std::span<const std::string_view> tables;
    // Its errors on the wire: also while it is not there yet, so that clients need to know one
    // form.
    net::ErrorRenderer render_error;
    Task<Result<RunningService>> (*make)(const Surroundings& around, storage::Database& database);
    // What beyond settings and storage a start would complain of, for `nave doctor`; changes
    // nothing. Null: nothing.
    Task<Result<std::optional<std::string>>> (*examine)(const Settings& settings,
                                                        storage::Database& database);
    // Makes restored rows safe, inside the restore's transaction.
    Result<void> (*after_restore)(storage::Transaction& tx, UnixMillis now);
    // What that means for those who use it, one line.
    std::string_view restore_note;
};

[[nodiscard]] std::span<const ServiceEntry> services();
[[nodiscard]] const ServiceEntry* find_service(std::string_view name);

}  // namespace nave::app
