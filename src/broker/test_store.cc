#include "broker/test_store.h"

#include "broker/migrations.h"
#include "storage/migrations.h"

namespace nave::broker {
namespace {

// One migrated database on the server for all tests, because making one takes longer than most of
// them.
std::optional<storage::Address>& shared_postgres() {
    static std::optional<storage::Address> address;
    return address;
}

std::string empty_every_table() {
    std::string sql;
    for (const std::string_view table : kTables) {
        sql.append("delete from ").append(table).append(";");
    }
    return sql;
}

}  // namespace

void StoreTest::SetUp() {
    const bool is_postgres = GetParam() == storage::Store::postgres;
    if (is_postgres && shared_postgres()) {
        address_ = shared_postgres();
        database_ = another();
        ASSERT_TRUE(database_);
        script(empty_every_table());
        return;
    }
    use(GetParam());
    if (IsSkipped() || HasFatalFailure()) {
        return;
    }
    if (is_postgres) {
        shared_postgres() = address();
    }
    const ManualClock clock(kTestNow);
    const auto migrated = run(storage::migrate(db(), migrations(), clock));
    ASSERT_TRUE(migrated) << migrated.error().detail;
}

}  // namespace nave::broker
