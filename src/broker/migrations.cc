#include "broker/migrations.h"

namespace nave::broker {
namespace {

constexpr char kInitSqlite[] = {
#embed "migrations/0001_init.sqlite.sql"
};
constexpr char kInitPostgres[] = {
#embed "migrations/0001_init.postgres.sql"
};

constexpr storage::Migration kMigrations[] = {
    {1, "init", {kInitSqlite, sizeof kInitSqlite}, {kInitPostgres, sizeof kInitPostgres}},
};

}  // namespace

storage::MigrationSet migrations() {
    return {"broker", kMigrations};
}

}  // namespace nave::broker
