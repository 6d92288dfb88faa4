// The tables of a backup file besides the data, shared by its writer and its reader.
#pragma once

#include <cstdint>
#include <string_view>

namespace nave::storage {

inline constexpr std::int64_t kBackupFormat = 1;

inline constexpr std::string_view kBackupTables =
    "CREATE TABLE nave_backup (format BIGINT NOT NULL, created_at BIGINT NOT NULL, "
    "version TEXT NOT NULL, source TEXT NOT NULL);"
    "CREATE TABLE nave_backup_tables (position INTEGER PRIMARY KEY, module TEXT NOT NULL, "
    "name TEXT NOT NULL UNIQUE, row_count BIGINT NOT NULL, sha256 TEXT NOT NULL);"
    "CREATE TABLE nave_backup_sequences (table_name TEXT NOT NULL, column_name TEXT NOT NULL, "
    "last_value BIGINT NOT NULL);"
    "CREATE TABLE nave_schema_migrations (module TEXT NOT NULL, version BIGINT NOT NULL, "
    "name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL, "
    "PRIMARY KEY (module, version));";

inline constexpr std::string_view kModuleMigrations =
    "SELECT module, version, name, checksum, applied_at FROM nave_schema_migrations "
    "WHERE module = $1 ORDER BY version";

}  // namespace nave::storage
