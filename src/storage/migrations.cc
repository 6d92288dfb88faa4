#include "storage/migrations.h"

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/hash.h"

#include <fmt/format.h>

#include <map>
#include <utility>

namespace nave::storage {
namespace {

// Any constant will do, as long as every version of the program uses the same.
constexpr std::int64_t kAdvisoryLock = 0x6e6176654d494752;  // "naveMIGR"

struct Applied {
    std::string name;
    std::string checksum;
};
using AppliedVersions = std::map<std::int64_t, Applied>;

// Over both dialects, so that the record means the same in either store and a backup of one can be
// checked against the other. Lengths keep two different sets from reading as one text.
std::string checksum(const Migration& migration) {
    crypto::Sha256 hash;
    for (const std::string_view part : {migration.name, migration.sqlite, migration.postgres}) {
        hash.update(fmt::format("{}:", part.size()));
        hash.update(part);
    }
    return hex(hash.finish());
}

void check_numbering(const MigrationSet& set) {
    std::int64_t expected = 1;
    for (const Migration& migration : set.migrations) {
        CHECK(migration.version == expected, "migrations are numbered 1, 2, 3... without gaps");
        ++expected;
    }
}

Result<bool> table_exists(Transaction& tx) {
    const std::string_view sql =
        tx.dialect() == Dialect::sqlite
            ? "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = "
              "'nave_schema_migrations'"
            : "SELECT 1 WHERE to_regclass('nave_schema_migrations') IS NOT NULL";
    TRY(const auto row, tx.query_one(sql));
    return row.has_value();
}

Result<AppliedVersions> applied_versions(Transaction& tx, std::string_view module) {
    AppliedVersions applied;
    TRY(const bool exists, table_exists(tx));
    if (!exists) {
        return applied;
    }
    TRY(const Rows rows, tx.query("SELECT version, name, checksum FROM nave_schema_migrations "
                                  "WHERE module = $1 ORDER BY version",
                                  {module}));
    for (const Row& row : rows) {
        applied[row.integer(0)] = Applied{.name = row.text(1), .checksum = row.text(2)};
    }
    return applied;
}

Result<std::vector<const Migration*>> find_pending(Transaction& tx, const MigrationSet& set) {
    TRY(AppliedVersions applied, applied_versions(tx, set.module));
    std::vector<const Migration*> pending;
    for (const Migration& migration : set.migrations) {
        const auto known = applied.find(migration.version);
        if (known == applied.end()) {
            pending.push_back(&migration);
            continue;
        }
        if (known->second.checksum != checksum(migration)) {
            return fail(
                Code::conflict, "storage.schema_changed",
                fmt::format("Migration {} {} ({}) was changed after this database applied "
                            "it; run the program version that made the database.",
                            set.module, migration.version, migration.name),
                fmt::format("applied {} as '{}'", known->second.checksum, known->second.name));
        }
        applied.erase(known);
    }
    if (!applied.empty()) {
        return fail(Code::conflict, "storage.schema_newer",
                    fmt::format("The database has schema version {} of {}, this program knows {}; "
                                "run a newer version of the program.",
                                applied.rbegin()->first, set.module, set.migrations.size()));
    }
    return pending;
}

std::vector<PendingMigration> describe(std::string_view module,
                                       const std::vector<const Migration*>& migrations) {
    std::vector<PendingMigration> list;
    for (const Migration* migration : migrations) {
        list.push_back(PendingMigration{.module = std::string(module),
                                        .version = migration->version,
                                        .name = std::string(migration->name)});
    }
    return list;
}

Result<void> apply(Transaction& tx, std::string_view module, const Migration& migration,
                   UnixMillis now) {
    const bool is_sqlite = tx.dialect() == Dialect::sqlite;
    TRY_VOID(tx.script(is_sqlite ? migration.sqlite : migration.postgres));
    const std::string sum = checksum(migration);
    TRY_VOID(
        tx.execute("INSERT INTO nave_schema_migrations "
                   "(module, version, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)",
                   {module, migration.version, migration.name, sum, now}));
    return ok();
}

Result<std::vector<PendingMigration>> apply_pending(Transaction& tx, const MigrationSet& set,
                                                    UnixMillis now) {
    if (tx.dialect() == Dialect::postgres) {
        // Other nodes wait here until this transaction has ended, then find nothing to do.
        TRY_VOID(tx.execute("SELECT pg_advisory_xact_lock($1)", {kAdvisoryLock}));
    }
    TRY(const auto pending, find_pending(tx, set));
    if (pending.empty()) {
        return std::vector<PendingMigration>();
    }
    TRY_VOID(
        tx.script("CREATE TABLE IF NOT EXISTS nave_schema_migrations ("
                  "module TEXT NOT NULL, version BIGINT NOT NULL, name TEXT NOT NULL, "
                  "checksum TEXT NOT NULL, applied_at BIGINT NOT NULL, "
                  "PRIMARY KEY (module, version))"));
    for (const Migration* migration : pending) {
        TRY_VOID(apply(tx, set.module, *migration, now));
    }
    return describe(set.module, pending);
}

}  // namespace

Task<Result<std::vector<PendingMigration>>> pending_migrations(Database& database,
                                                               MigrationSet set) {
    check_numbering(set);
    auto closure = [set](Transaction& tx) -> Result<std::vector<PendingMigration>> {
        TRY(const auto pending, find_pending(tx, set));
        return describe(set.module, pending);
    };
    co_return co_await database.read(std::move(closure));
}

Task<Result<std::vector<PendingMigration>>> migrate(Database& database, MigrationSet set,
                                                    const Clock& clock) {
    check_numbering(set);
    auto closure = [set, now = clock.now()](Transaction& tx) {
        return apply_pending(tx, set, now);
    };
    co_return co_await database.write(std::move(closure));
}

}  // namespace nave::storage
