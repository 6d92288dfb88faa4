// `nave doctor`: looks at what usually goes wrong and says what to do about each finding.
#include "app/blocking.h"
#include "app/commands.h"
#include "app/descriptors.h"
#include "app/exit_codes.h"
#include "app/process_settings.h"
#include "app/server_process.h"
#include "app/stores.h"
#include "base/entropy.h"
#include "base/text.h"
#include "net/server.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace nave::app {
namespace {

constexpr UnixMillis kSaneTime = 1'700'000'000'000;  // this program did not exist before 2023-11
constexpr std::uint64_t kFreeBytesMin = 512ULL * 1024 * 1024;
constexpr UnixMillis kClockDriftMax = 5'000;

enum class Level : std::uint8_t { fine, warning, problem };

class Report {
  public:
    void add(Level level, std::string_view what, std::string_view finding,
             std::string_view advice = {}) {
        constexpr std::string_view kMarks[] = {"ok  ", "warn", "FAIL"};
        fmt::print("{}  {:<10} {}\n", kMarks[static_cast<std::size_t>(level)], what, finding);
        if (!advice.empty()) {
            fmt::print("      {:<10} -> {}\n", "", advice);
        }
        problems_ += level == Level::problem ? 1 : 0;
    }
    [[nodiscard]] int problems() const { return problems_; }

  private:
    int problems_ = 0;
};

void check_data_dir(Report& report, const Settings& settings) {
    const std::string dir = settings.text("NAVE_DATA_DIR");
    struct stat info{};
    if (::stat(dir.c_str(), &info) != 0) {
        report.add(Level::fine, "data", fmt::format("{} does not exist yet", dir),
                   "it is made at the first start");
        return;
    }
    if (!S_ISDIR(info.st_mode)) {
        report.add(Level::problem, "data", fmt::format("{} is not a directory", dir),
                   "set NAVE_DATA_DIR to a directory");
        return;
    }
    if (::access(dir.c_str(), W_OK | X_OK) != 0) {
        report.add(Level::problem, "data", fmt::format("{} is not writable", dir),
                   fmt::format("chown it to uid {}", ::getuid()));
        return;
    }
    if ((info.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
        report.add(Level::warning, "data", fmt::format("{} is open to other users", dir),
                   fmt::format("chmod 700 {}", dir));
    } else {
        report.add(Level::fine, "data", fmt::format("{} is writable and private", dir));
    }
    struct statvfs disk{};
    if (::statvfs(dir.c_str(), &disk) == 0) {
        const std::uint64_t free_bytes = std::uint64_t{disk.f_bavail} * disk.f_frsize;
        report.add(
            free_bytes < kFreeBytesMin ? Level::warning : Level::fine, "disk",
            fmt::format("{} MiB free", free_bytes / 1024 / 1024),
            free_bytes < kFreeBytesMin ? "free some space: writes fail when it runs out" : "");
    }
}

void check_clock(Report& report) {
    const SystemClock clock;
    const bool sane = clock.now() > kSaneTime;
    report.add(sane ? Level::fine : Level::problem, "clock", rfc3339(clock.now()),
               sane ? "" : "set the clock: signatures are accepted only near the right time");
}

void check_limits(Report& report, const Settings& settings, const Chosen& chosen) {
    const std::size_t allowed = raise_descriptor_limit();
    const std::size_t wanted = static_cast<std::size_t>(settings.integer("NAVE_MAX_CONNECTIONS")) +
                               reserved_descriptors(settings, chosen.size());
    report.add(
        allowed < wanted ? Level::warning : Level::fine, "files",
        fmt::format("{} open files allowed, {} needed for NAVE_MAX_CONNECTIONS", allowed, wanted),
        allowed < wanted ? "raise the hard limit (ulimit -Hn, LimitNOFILE=) or lower "
                           "NAVE_MAX_CONNECTIONS"
                         : "");
}

void check_port(Report& report, const Settings& settings, const Chosen& chosen, Loop& loop,
                Logger& logger) {
    const SystemClock clock;
    SystemEntropy entropy;
    const std::string address = listen_address(ServeOptions{chosen, chosen.size() == 1}, settings);
    const auto bound =
        net::HttpServer::bind(loop, clock, entropy, logger, address, net::TrustedProxies());
    if (bound) {
        report.add(Level::fine, "port", fmt::format("{} is free", address));
    } else if (bound.error().id == "net.port_busy") {
        report.add(Level::warning, "port", bound.error().message,
                   "fine if that is this server running already");
    } else {
        report.add(Level::problem, "port", bound.error().message);
    }
}

Task<Result<UnixMillis>> database_time(storage::Database& database) {
    auto read = [](storage::Transaction& tx) -> Result<UnixMillis> {
        TRY(const auto row,
            tx.query_one("select cast(extract(epoch from clock_timestamp()) * 1000 as bigint)"));
        return row->integer(0);
    };
    co_return co_await database.read(std::move(read));
}

void check_database_clock(Report& report, Loop& loop, storage::Database& database) {
    const SystemClock clock;
    const UnixMillis before = clock.now();
    const auto there = run_blocking(loop, database_time(database));
    if (!there) {
        report.add(Level::problem, "storage", there.error().message);
        return;
    }
    const UnixMillis drift = *there - (before + clock.now()) / 2;
    const bool close = drift < kClockDriftMax && drift > -kClockDriftMax;
    report.add(close ? Level::fine : Level::warning, "clock",
               fmt::format("the database's clock differs by {} ms", drift),
               close ? "" : "synchronise both machines (NTP)");
}

void check_service(Report& report, const Settings& settings, const ServiceEntry& service,
                   Loop& loop, storage::Database& database) {
    if (service.examine == nullptr) {
        return;
    }
    const auto trouble = run_blocking(loop, service.examine(settings, database));
    if (!trouble) {
        report.add(Level::problem, service.name, trouble.error().message);
    } else if (*trouble) {
        report.add(Level::problem, service.name, **trouble, "see docs/operations.md, Restoring");
    } else {
        report.add(Level::fine, service.name, "its data and key files agree");
    }
}

void check_storage(Report& report, const Settings& settings, const Chosen& chosen, Loop& loop,
                   Logger& logger) {
    storage::Options options = storage_options(settings);
    options.create = false;  // looking must not change anything
    for (const ServiceEntry* service : chosen) {
        const ServiceEntry* const one[] = {service};
        auto stores = Stores::open(loop, logger, settings, one, options);
        if (!stores && stores.error().id == "storage.absent") {
            report.add(Level::fine, "storage", fmt::format("{}: no database yet", service->name),
                       "it is made at the first start");
            continue;
        }
        if (!stores) {
            report.add(Level::problem, "storage",
                       fmt::format("{}: {}", service->name, stores.error().message));
            continue;
        }
        storage::Database& database = stores->of(*service);
        const auto pending =
            run_blocking(loop, storage::pending_migrations(database, service->migrations()));
        if (!pending) {
            report.add(Level::problem, "storage", pending.error().message);
        } else {
            report.add(Level::fine, "storage",
                       fmt::format("{}: {}, {} migration(s) pending", service->name,
                                   database.describe(), pending->size()));
        }
        if (pending && pending->empty()) {
            check_service(report, settings, *service, loop, database);
        }
        if (database.dialect() == storage::Dialect::postgres) {
            check_database_clock(report, loop, database);
        }
        stores->close();
    }
}

}  // namespace

int doctor_command(const Settings& settings, const Chosen& chosen) {
    Report report;
    Loop loop;
    Logger logger("nave", LogLevel::error, log_format(settings), stderr_sink());
    report.add(Level::fine, "settings", "all valid");
    check_data_dir(report, settings);
    check_clock(report);
    check_limits(report, settings, chosen);
    check_storage(report, settings, chosen, loop, logger);
    check_port(report, settings, chosen, loop, logger);
    return report.problems() == 0 ? kExitOk : kExitFailed;
}

}  // namespace nave::app
