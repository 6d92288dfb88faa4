#include "app/blocking.h"
#include "app/commands.h"
#include "app/exit_codes.h"
#include "app/process_settings.h"
#include "app/stores.h"

#include <fmt/format.h>

namespace nave::app {

int migrate_command(const Settings& settings, const Chosen& chosen, bool dry_run) {
    Loop loop;
    Logger logger("nave", LogLevel::warn, log_format(settings), stderr_sink());
    storage::Options options = storage_options(settings);
    options.create = !dry_run;
    auto stores = Stores::open(loop, logger, settings, chosen, options);
    if (!stores) {
        return complain(stores.error(), kExitStorage);
    }
    const SystemClock clock;
    int exit_code = kExitOk;
    for (const ServiceEntry* service : chosen) {
        storage::Database& database = stores->of(*service);
        auto outcome = run_blocking(
            loop, dry_run ? storage::pending_migrations(database, service->migrations())
                          : storage::migrate(database, service->migrations(), clock));
        if (!outcome) {
            exit_code = complain(outcome.error(), kExitMigrations);
            break;
        }
        for (const auto& migration : *outcome) {
            fmt::print("{} {} {:04} {}\n", dry_run ? "pending" : "applied", migration.module,
                       migration.version, migration.name);
        }
        if (outcome->empty()) {
            fmt::print("{}: schema is up to date\n", service->name);
        }
    }
    stores->close();
    return exit_code;
}

}  // namespace nave::app
