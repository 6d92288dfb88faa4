#include "broker/test_store.h"

#include "broker/mesh_store.h"
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

Key key_number(std::uint8_t number) {
    Key key{};
    key[0] = number;
    return key;
}

void StoreTest::make_mesh() {
    NewMesh mesh;
    mesh.mesh.id = mesh.mesh.name = mesh.mesh.slug = "mesh";
    mesh.owner_secret = mesh.root_key = Bytes(32);
    ASSERT_TRUE(run(MeshStore(db()).create(mesh)));
    Member ada;
    ada.id = "ada";
    ada.mesh_id = "mesh";
    ada.key = key_number(1);
    ada.display_name = "Ada";
    ASSERT_TRUE(run(MeshStore(db()).add_member(ada)));
}

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
