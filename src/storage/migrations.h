// Migrations: numbered schema changes of one module, applied in order and recorded with a checksum
// in nave_schema_migrations(module, version, name, checksum, applied_at). All that are pending are
// applied in one transaction, so a failure leaves the schema as it was. The checksum covers the
// scripts of both dialects: it means the same in either store.
//
// Several nodes may start at once: PostgreSQL takes an advisory lock, SQLite its write lock. It is
// one operation of the database, so a change that rewrites large tables needs a handle that was
// opened with a longer deadline.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "storage/database.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nave::storage {

struct Migration {
    std::int64_t version;     // 1, 2, 3... without gaps
    std::string_view name;    // "init"
    std::string_view sqlite;  // script text per dialect
    std::string_view postgres;
};

struct MigrationSet {
    std::string_view module;  // "prekeys"
    std::span<const Migration> migrations;
};

struct PendingMigration {
    std::string module;
    std::int64_t version;
    std::string name;
};

// What migrate() would do. Errors: "storage.schema_newer" when the database holds a version this
// binary does not know, "storage.schema_changed" when an applied migration's checksum differs.
Task<Result<std::vector<PendingMigration>>> pending_migrations(Database& database,
                                                               MigrationSet set);
// Applies what is pending and returns it. Nothing is changed when an error is returned.
Task<Result<std::vector<PendingMigration>>> migrate(Database& database, MigrationSet set,
                                                    const Clock& clock);

}  // namespace nave::storage
