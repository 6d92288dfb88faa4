// Databases that hold rows of an earlier schema.
#include "prekeys/migrations.h"

#include "prekeys/test_store.h"

#include <gtest/gtest.h>

namespace nave::prekeys {
namespace {

class PrekeysMigrations : public storage::DatabaseTest,
                          public testing::WithParamInterface<storage::Store> {
  protected:
    void SetUp() override { use(GetParam()); }
    void migrate_to(std::size_t version) {
        storage::MigrationSet set = migrations();
        set.migrations = set.migrations.first(version);
        const ManualClock clock(kTestNow);
        const auto migrated = storage::run(loop_, storage::migrate(db(), set, clock));
        ASSERT_TRUE(migrated) << migrated.error().detail;
    }
    std::string texts(std::string sql) {
        const auto value =
            read([sql = std::move(sql)](storage::Transaction& tx) -> Result<std::string> {
                TRY(const auto rows, tx.query(sql));
                std::string out;
                for (const storage::Row& row : rows) {
                    out += (out.empty() ? "" : " ") + row.text(0);
                }
                return out;
            });
        EXPECT_TRUE(value) << value.error().detail;
        return value.value_or("");
    }
};
PREKEYS_ON_EVERY_STORE(PrekeysMigrations);

TEST_P(PrekeysMigrations, LastResortUseMovesToTheKeysThatAreServed) {
    migrate_to(2);
    const std::string bytes = GetParam() == storage::Store::postgres ? "'\\x01'" : "x'01'";
    std::string sql;
    for (const auto& [address, used_at] :
         {std::pair("used", "1700"), std::pair("unused", "null")}) {
        sql +=
            "insert into shade_server_identities (address, suite, signing_key, dh_key, "
            "state_signed_at, last_resort_used_at, created_at, last_activity_at, "
            "last_owner_activity_at) values ('" +
            std::string(address) + "', 2, " + bytes + ", " + bytes + ", 1, " + used_at +
            ", 1, 1, 1);";
        for (const char* key : {"0, 1, 5", "0, 2, null", "1, 3, null"}) {
            sql +=
                "insert into shade_server_signed_prekeys (address, kind, key_id, retired_at, "
                "public_key, signature, created_at, uploaded_at) values ('" +
                std::string(address) + "', " + key + ", " + bytes + ", " + bytes + ", 1, 1);";
        }
    }
    script(sql);
    migrate_to(migrations().migrations.size());
    EXPECT_EQ(texts("select address || ':' || key_id || ':' || used_alone_at "
                    "from shade_server_signed_prekeys where used_alone_at is not null "
                    "order by key_id"),
              "used:2:1700 used:3:1700");
}

TEST_P(PrekeysMigrations, TheReserveMovesToTheLastKeysOfEachStock) {
    migrate_to(3);
    const std::string bytes = GetParam() == storage::Store::postgres ? "'\\x01'" : "x'01'";
    std::string sql =
        "insert into shade_server_identities (address, suite, signing_key, dh_key, "
        "state_signed_at, one_time_reserve, kem_reserve, created_at, last_activity_at, "
        "last_owner_activity_at) values ('a', 2, " +
        bytes + ", " + bytes + ", 1, 2, 1, 1, 1, 1), ('b', 2, " + bytes + ", " + bytes +
        ", 1, 0, 9, 1, 1, 1);";
    for (const char* address : {"a", "b"}) {
        for (const char* key : {"0, 4, null", "0, 3, 7", "0, 2, null", "0, 1, null", "0, 5, 7",
                                "1, 1, null", "1, 2, null"}) {
            sql +=
                "insert into shade_server_one_time_prekeys (address, kind, key_id, issued_at, "
                "public_key, uploaded_at) values ('" +
                std::string(address) + "', " + key + ", " + bytes + ", 1);";
        }
    }
    sql +=
        "insert into shade_server_tombstones (address, signing_key_hash, at, reason) values "
        "('open', " +
        bytes + ", 0, ''), ('closed', " + bytes + ", 1, '');";
    script(sql);
    migrate_to(migrations().migrations.size());
    EXPECT_EQ(texts("select address || ':' || kind || ':' || key_id "
                    "from shade_server_one_time_prekeys where reserved = 1 order by seq"),
              "a:0:2 a:0:1 a:1:2 b:1:1 b:1:2");
    EXPECT_EQ(texts("select address from shade_server_tombstones where released = 1"), "open");
}

}  // namespace
}  // namespace nave::prekeys
