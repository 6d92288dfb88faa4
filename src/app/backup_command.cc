// `nave backup` and `nave restore`: one portable file, from and to either store.
#include "app/blocking.h"
#include "app/commands.h"
#include "app/exit_codes.h"
#include "app/process_settings.h"
#include "app/stores.h"
#include "app/version.h"
#include "base/text.h"
#include "storage/backup.h"
#include "storage/instance_lock.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <thread>
#include <variant>

namespace nave::app {
namespace {

// Copying takes as long as it takes; the deadline is there for requests.
constexpr std::chrono::hours kCopyDeadline{24};

// How long a restore waits for a server that is about to be gone.
constexpr std::chrono::seconds kReleaseWait{5};
constexpr std::chrono::milliseconds kReleasePoll{100};

storage::Options copy_options(const Settings& settings) {
    storage::Options options = storage_options(settings);
    options.deadline = kCopyDeadline;
    options.connections = 1;
    return options;
}

std::vector<storage::ModuleTables> contents_of(const Chosen& chosen) {
    std::vector<storage::ModuleTables> contents;
    for (const ServiceEntry* service : chosen) {
        contents.push_back(
            {std::string(service->name), {service->tables.begin(), service->tables.end()}});
    }
    return contents;
}

// A backup file holds one database, because only within one is the copy consistent.
Result<void> require_one_database(const Settings& settings, const Chosen& chosen) {
    for (const ServiceEntry* service : chosen) {
        if (address_key(service->storage(settings)) !=
            address_key(chosen.front()->storage(settings))) {
            return fail(Code::invalid, "app.several_databases",
                        fmt::format("{} and {} are stored in different databases; name one of "
                                    "them and take one file each",
                                    chosen.front()->name, service->name));
        }
    }
    return ok();
}

void print(std::string_view what, const storage::BackupReport& report, const std::string& file) {
    fmt::print("{} {} (made {} from {})\n", what, file, rfc3339(report.label.created_at),
               report.source);
    for (const storage::TableRows& table : report.tables) {
        fmt::print("  {:<36} {:>10} rows\n", table.table, table.rows);
    }
}

Task<Result<storage::BackupReport>> migrate_and_restore(storage::Database& database, Chosen chosen,
                                                        std::string file, const Clock& clock) {
    for (const ServiceEntry* service : chosen) {
        CO_TRY_VOID(co_await storage::migrate(database, service->migrations(), clock));
    }
    storage::RestoreHook hook = [chosen, &clock](storage::Transaction& tx) -> Result<void> {
        for (const ServiceEntry* service : chosen) {
            TRY_VOID(service->after_restore(tx, clock.now()));
        }
        return ok();
    };
    co_return co_await storage::restore(database, file, contents_of(chosen), std::move(hook));
}

// PostgreSQL notices only a moment after a server has ended that its sessions are gone.
Result<storage::InstanceLock> lock_alone(const storage::Address& address) {
    const auto deadline = std::chrono::steady_clock::now() + kReleaseWait;
    for (bool told = false;; told = true) {
        auto lock = storage::InstanceLock::exclusive(address);
        if (lock || lock.error().id != "storage.in_use" ||
            !std::holds_alternative<storage::PostgresAddress>(address) ||
            std::chrono::steady_clock::now() >= deadline) {
            return lock;
        }
        if (!told) {
            fmt::print(stderr, "nave: a server still holds the database; waiting up to {} s\n",
                       kReleaseWait.count());
        }
        std::this_thread::sleep_for(kReleasePoll);
    }
}

}  // namespace

int backup_command(const Settings& settings, const Chosen& chosen, const std::string& file) {
    if (const auto one = require_one_database(settings, chosen); !one) {
        return complain(one.error(), kExitUsage);
    }
    Loop loop;
    Logger logger("nave", LogLevel::warn, log_format(settings), stderr_sink());
    storage::Options options = copy_options(settings);
    options.create = false;
    auto stores = Stores::open(loop, logger, settings, chosen, options);
    if (!stores) {
        return complain(stores.error(), kExitStorage);
    }
    const SystemClock clock;
    const auto report = run_blocking(
        loop, storage::backup(stores->of(*chosen.front()), contents_of(chosen), file,
                              storage::BackupLabel{clock.now(), std::string(kVersion)}));
    stores->close();
    if (!report) {
        return complain(report.error(), kExitFailed);
    }
    print("wrote", *report, file);
    fmt::print("not in the file: settings and the key files in {}; keep copies of those\n",
               settings.text("NAVE_DATA_DIR"));
    return kExitOk;
}

int restore_command(const Settings& settings, const Chosen& chosen, const std::string& file) {
    if (const auto one = require_one_database(settings, chosen); !one) {
        return complain(one.error(), kExitUsage);
    }
    const auto lock = lock_alone(chosen.front()->storage(settings));
    if (!lock) {
        return complain(lock.error(), kExitFailed);
    }
    Loop loop;
    Logger logger("nave", LogLevel::warn, log_format(settings), stderr_sink());
    auto stores = Stores::open(loop, logger, settings, chosen, copy_options(settings));
    if (!stores) {
        return complain(stores.error(), kExitStorage);
    }
    const SystemClock clock;
    const auto report =
        run_blocking(loop, migrate_and_restore(stores->of(*chosen.front()), chosen, file, clock));
    stores->close();
    if (!report) {
        return complain(report.error(), kExitFailed);
    }
    print("restored", *report, file);
    for (const ServiceEntry* service : chosen) {
        fmt::print("{}: {}\n", service->name, service->restore_note);
    }
    return kExitOk;
}

}  // namespace nave::app
