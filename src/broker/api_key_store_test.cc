#include "broker/api_key_store.h"

#include "broker/mesh_store.h"
#include "broker/test_store.h"

namespace nave::broker {
namespace {

class ApiKeyStoreTest : public StoreTest {
  protected:
    void SetUp() override {
        StoreTest::SetUp();
        if (IsSkipped()) {
            return;
        }
        NewMesh mesh;
        mesh.mesh.id = "mesh";
        mesh.mesh.name = mesh.mesh.slug = "mesh";
        mesh.owner_secret = mesh.root_key = Bytes(32);
        ASSERT_TRUE(run(MeshStore(db()).create(mesh)));
        Member member;
        member.id = "member";
        member.mesh_id = "mesh";
        ASSERT_TRUE(run(MeshStore(db()).add_member(member)));
    }

    static ApiKey key(const std::string& id) {
        ApiKey key;
        key.id = id;
        key.mesh_id = "mesh";
        key.member_id = "member";
        key.label = "a script";
        key.may_send = true;
        key.created_at = kTestNow;
        return key;
    }
    static TokenHash hash(std::uint8_t first) { return {first}; }
    bool is_found(std::uint8_t first, UnixMillis now = kTestNow) {
        return run(ApiKeyStore(db()).find(hash(first), now)).value().has_value();
    }
};
BROKER_ON_EVERY_STORE(ApiKeyStoreTest);

TEST_P(ApiKeyStoreTest, IsFoundByItsTokenUntilItEnds) {
    ApiKeyStore store(db());
    ApiKey wish = key("one");
    wish.expires_at = kTestNow + 1'000;
    ASSERT_TRUE(run(store.create(wish, hash(1))));
    const auto found = run(store.find(hash(1), kTestNow)).value();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->id, "one");
    EXPECT_EQ(found->member_id, "member");
    EXPECT_EQ(found->label, "a script");
    EXPECT_TRUE(found->may_send);
    EXPECT_FALSE(found->may_receive);
    EXPECT_FALSE(is_found(2));
    EXPECT_TRUE(is_found(1, kTestNow + 999));
    EXPECT_FALSE(is_found(1, kTestNow + 1'000));
}

TEST_P(ApiKeyStoreTest, RevokedKeysAreListedAndNoMore) {
    ApiKeyStore store(db());
    ASSERT_TRUE(run(store.create(key("one"), hash(1))));
    ASSERT_TRUE(run(store.create(key("two"), hash(2))));
    EXPECT_FALSE(run(store.revoke("mesh", "three", kTestNow)).value());
    EXPECT_FALSE(run(store.revoke("other", "one", kTestNow)).value());
    EXPECT_EQ(run(store.revoke("mesh", "one", kTestNow + 5)).value()->revoked_at, kTestNow + 5);
    EXPECT_EQ(run(store.revoke("mesh", "one", kTestNow + 9)).value()->revoked_at, kTestNow + 5);
    EXPECT_FALSE(is_found(1));
    EXPECT_TRUE(is_found(2));
    const auto listed = run(store.list("mesh")).value();
    ASSERT_EQ(listed.size(), 2U);
    EXPECT_EQ(listed[0].id, "one");
    EXPECT_FALSE(listed[1].revoked_at);
}

TEST_P(ApiKeyStoreTest, EndsWithItsMemberAndItsMesh) {
    ApiKeyStore store(db());
    MeshStore meshes(db());
    ASSERT_TRUE(run(store.create(key("one"), hash(1))));
    ASSERT_TRUE(run(meshes.revoke_member("mesh", "member", "", kTestNow)));
    EXPECT_FALSE(is_found(1));
    EXPECT_EQ(run(store.create(key("two"), hash(2))).error().id, "not_found");
    ASSERT_TRUE(run(meshes.restore_member("mesh", "member", "", kTestNow)));
    EXPECT_TRUE(is_found(1));
    ASSERT_TRUE(run(meshes.archive("mesh", kTestNow)));
    EXPECT_FALSE(is_found(1));
}

TEST_P(ApiKeyStoreTest, EndsWithARestore) {
    ApiKeyStore store(db());
    ASSERT_TRUE(run(store.create(key("one"), hash(1))));
    ASSERT_TRUE(run(db().write(
        [](storage::Transaction& tx) { return ApiKeyStore::after_restore(tx, kTestNow); })));
    EXPECT_FALSE(is_found(1));
}

}  // namespace
}  // namespace nave::broker
