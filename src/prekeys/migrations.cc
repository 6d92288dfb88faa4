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
};

}  // namespace

storage::MigrationSet migrations() {
    return {"prekeys", kMigrations};
}

}  // namespace nave::prekeys
