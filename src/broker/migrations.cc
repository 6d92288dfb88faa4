#include "broker/migrations.h"

namespace nave::broker {
namespace {

constexpr char kInitSqlite[] = {
#embed "migrations/0001_init.sqlite.sql"
};
constexpr char kInitPostgres[] = {
#embed "migrations/0001_init.postgres.sql"
};
constexpr char kRevisionSqlite[] = {
#embed "migrations/0002_revision.sqlite.sql"
};
constexpr char kRevisionPostgres[] = {
#embed "migrations/0002_revision.postgres.sql"
};

constexpr storage::Migration kMigrations[] = {
    {1, "init", {kInitSqlite, sizeof kInitSqlite}, {kInitPostgres, sizeof kInitPostgres}},
    {2,
     "revision",
     {kRevisionSqlite, sizeof kRevisionSqlite},
     {kRevisionPostgres, sizeof kRevisionPostgres}},
};

}  // namespace

storage::MigrationSet migrations() {
    return {"broker", kMigrations};
}

}  // namespace nave::broker
