// Opens a database by its address. Blocking, for start-up and tools: the file is created (0600) or
// the server contacted before this returns, so that a wrong setting is reported at once.
#pragma once

#include "base/result.h"
#include "base/secret.h"
#include "storage/database.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <variant>

namespace nave {
class Loop;
class Logger;
}  // namespace nave

namespace nave::storage {

struct SqliteAddress {
    std::filesystem::path path;  // ":memory:" for a private in-memory database
};
struct PostgresAddress {
    Secret url;  // postgres://user:pass@host:port/db
};
using Address = std::variant<SqliteAddress, PostgresAddress>;

struct Options {
    std::size_t readers = 2;                           // SQLite read connections
    std::size_t connections = 16;                      // PostgreSQL pool size
    std::size_t queue_max = 8192;                      // closures waiting; beyond it "storage.busy"
    std::size_t batch_max = 512;                       // closures per SQLite group commit
    std::chrono::milliseconds deadline{10'000};        // per operation, waiting included
    std::chrono::milliseconds connect_timeout{5'000};  // PostgreSQL
    bool create = true;  // SQLite: create the file when absent, else "storage.absent"
    // Hold the instance lock (instance_lock.h) shared while open, so that a restore refuses to
    // replace the data under a running server.
    bool serving = false;
};

// Errors: "storage.unreachable" with a public message that names host and port or path and what to
// do; "storage.bad_url"; "storage.not_a_database"; "storage.absent"; "storage.permission";
// "storage.unsupported_server" (PostgreSQL before 15); "storage.in_use" (a restore is under way).
Result<std::unique_ptr<Database>> open(Loop& loop, Logger& logger, Address address,
                                       Options options = Options());

}  // namespace nave::storage
