#include "prekeys/migrations.h"

namespace nave::prekeys {
namespace {

constexpr char kInitSqlite[] = {
#embed "migrations/0001_init.sqlite.sql"
};
constexpr char kInitPostgres[] = {
#embed "migrations/0001_init.postgres.sql"
};

constexpr char kFormerPrekeysSqlite[] = {
#embed "migrations/0002_former_prekeys.sqlite.sql"
};
constexpr char kFormerPrekeysPostgres[] = {
#embed "migrations/0002_former_prekeys.postgres.sql"
};
constexpr char kLastResortUseSqlite[] = {
#embed "migrations/0003_last_resort_use.sqlite.sql"
};
constexpr char kLastResortUsePostgres[] = {
#embed "migrations/0003_last_resort_use.postgres.sql"
};

constexpr char kReservedKeysSqlite[] = {
#embed "migrations/0004_reserved_keys.sqlite.sql"
};
constexpr char kReservedKeysPostgres[] = {
#embed "migrations/0004_reserved_keys.postgres.sql"
};
constexpr char kReleasedTombstonesSqlite[] = {
#embed "migrations/0005_released_tombstones.sqlite.sql"
};
constexpr char kReleasedTombstonesPostgres[] = {
#embed "migrations/0005_released_tombstones.postgres.sql"
};

constexpr storage::Migration kMigrations[] = {
    {1, "init", {kInitSqlite, sizeof kInitSqlite}, {kInitPostgres, sizeof kInitPostgres}},
    {2,
     "former_prekeys",
     {kFormerPrekeysSqlite, sizeof kFormerPrekeysSqlite},
     {kFormerPrekeysPostgres, sizeof kFormerPrekeysPostgres}},
    {3,
     "last_resort_use",
     {kLastResortUseSqlite, sizeof kLastResortUseSqlite},
     {kLastResortUsePostgres, sizeof kLastResortUsePostgres}},
    {4,
     "reserved_keys",
     {kReservedKeysSqlite, sizeof kReservedKeysSqlite},
     {kReservedKeysPostgres, sizeof kReservedKeysPostgres}},
    {5,
     "released_tombstones",
     {kReleasedTombstonesSqlite, sizeof kReleasedTombstonesSqlite},
     {kReleasedTombstonesPostgres, sizeof kReleasedTombstonesPostgres}},
};

}  // namespace

storage::MigrationSet migrations() {
    return {"prekeys", kMigrations};
}

}  // namespace nave::prekeys
