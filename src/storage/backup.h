// Backup: the content of named tables in one SQLite file, whatever store it comes from and goes to.
//
// backup() copies one consistent snapshot while the database is in use, row by row, so memory stays
// bounded. restore() replaces the content of the tables in one transaction; when it fails, nothing
// has changed. Rows are covered by a SHA-256 per table, so a file that rotted is refused.
//
// The file: nave_backup (one row: format, created_at, version, source), nave_backup_tables,
// nave_backup_sequences, the nave_schema_migrations rows of its modules, and the tables.
//
// Both run in one operation of the database, so open it with a deadline that fits its size, and let
// no server run during a restore (instance_lock.h).
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "storage/database.h"
#include "storage/transaction.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace nave::storage {

// The tables of one module, referenced ones before those that refer to them.
struct ModuleTables {
    std::string module;
    std::vector<std::string> tables;
};

struct BackupLabel {
    UnixMillis created_at = 0;
    std::string version;  // of the program
};

struct TableRows {
    std::string table;
    std::int64_t rows = 0;
};

struct BackupReport {
    BackupLabel label;
    std::string source;  // Database::describe() of where it came from
    std::vector<TableRows> tables;
};

// Writes `target` (0600, durable when this returns). Errors: "storage.exists" when there is a file
// of that name already, "storage.unreachable"/"storage.permission" for the directory,
// "storage.backup_mismatch" when a table is missing.
Task<Result<BackupReport>> backup(Database& database, std::vector<ModuleTables> contents,
                                  std::filesystem::path target, BackupLabel label);

// Runs in the restoring transaction, after the rows are in place.
using RestoreHook = std::function<Result<void>(Transaction&)>;

// `contents` must be what the file holds. Errors: "storage.absent", "storage.not_a_database",
// "storage.backup_damaged", "storage.backup_format" (another version wrote it),
// "storage.backup_mismatch" (other tables or columns), "storage.backup_schema" (the schema versions
// of file and database differ), or the hook's.
Task<Result<BackupReport>> restore(Database& database, std::filesystem::path source,
                                   std::vector<ModuleTables> contents, RestoreHook hook);

}  // namespace nave::storage
