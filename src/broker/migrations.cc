#include "broker/migrations.h"

#include "broker/api_key_store.h"
#include "broker/memory_search.h"
#include "broker/mesh_store.h"

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

constexpr char kMemorySqlite[] = {
#embed "migrations/0003_memory.sqlite.sql"
};
constexpr char kMemoryPostgres[] = {
#embed "migrations/0003_memory.postgres.sql"
};
constexpr char kTaskSqlite[] = {
#embed "migrations/0005_task.sqlite.sql"
};
constexpr char kTaskPostgres[] = {
#embed "migrations/0005_task.postgres.sql"
};
constexpr char kAuditSqlite[] = {
#embed "migrations/0008_audit.sqlite.sql"
};
constexpr char kAuditPostgres[] = {
#embed "migrations/0008_audit.postgres.sql"
};

constexpr char kApiKeysSqlite[] = {
#embed "migrations/0004_api_keys.sqlite.sql"
};
constexpr char kApiKeysPostgres[] = {
#embed "migrations/0004_api_keys.postgres.sql"
};
constexpr char kSkillSqlite[] = {
#embed "migrations/0006_skill.sqlite.sql"
};
constexpr char kSkillPostgres[] = {
#embed "migrations/0006_skill.postgres.sql"
};
constexpr char kScheduleSqlite[] = {
#embed "migrations/0009_schedule.sqlite.sql"
};
constexpr char kSchedulePostgres[] = {
#embed "migrations/0009_schedule.postgres.sql"
};

constexpr char kNodesSqlite[] = {
#embed "migrations/0007_nodes.sqlite.sql"
};
constexpr char kNodesPostgres[] = {
#embed "migrations/0007_nodes.postgres.sql"
};

constexpr char kLiveListSqlite[] = {
#embed "migrations/0010_live_list.sqlite.sql"
};
constexpr char kLiveListPostgres[] = {
#embed "migrations/0010_live_list.postgres.sql"
};

constexpr storage::Migration kMigrations[] = {
    {1, "init", {kInitSqlite, sizeof kInitSqlite}, {kInitPostgres, sizeof kInitPostgres}},
    {2,
     "revision",
     {kRevisionSqlite, sizeof kRevisionSqlite},
     {kRevisionPostgres, sizeof kRevisionPostgres}},
    {3, "memory", {kMemorySqlite, sizeof kMemorySqlite}, {kMemoryPostgres, sizeof kMemoryPostgres}},
    {4,
     "api keys",
     {kApiKeysSqlite, sizeof kApiKeysSqlite},
     {kApiKeysPostgres, sizeof kApiKeysPostgres}},
    {5, "task", {kTaskSqlite, sizeof kTaskSqlite}, {kTaskPostgres, sizeof kTaskPostgres}},
    {6, "skill", {kSkillSqlite, sizeof kSkillSqlite}, {kSkillPostgres, sizeof kSkillPostgres}},
    {7, "nodes", {kNodesSqlite, sizeof kNodesSqlite}, {kNodesPostgres, sizeof kNodesPostgres}},
    {8, "audit", {kAuditSqlite, sizeof kAuditSqlite}, {kAuditPostgres, sizeof kAuditPostgres}},
    {9,
     "schedule",
     {kScheduleSqlite, sizeof kScheduleSqlite},
     {kSchedulePostgres, sizeof kSchedulePostgres}},
    {10,
     "live list",
     {kLiveListSqlite, sizeof kLiveListSqlite},
     {kLiveListPostgres, sizeof kLiveListPostgres}},
};

}  // namespace

storage::MigrationSet migrations() {
    return {"broker", kMigrations};
}

Result<void> after_restore(storage::Transaction& tx, UnixMillis now) {
    TRY_VOID(MeshStore::after_restore(tx, now));
    TRY_VOID(ApiKeyStore::after_restore(tx, now));
    return rebuild_words(tx);
}

}  // namespace nave::broker
