#include "broker/mesh_store.h"

#include "broker/migrations.h"
#include "storage/migrations.h"
#include "storage/test_database.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>

namespace nave::broker {
namespace {

constexpr UnixMillis kNow = 1'763'700'000'000;

Key key_of(std::uint8_t fill) {
    Key key{};
    key.fill(fill);
    return key;
}

class MeshStoreTest : public storage::DatabaseTest,
                      public testing::WithParamInterface<storage::Store> {
  protected:
    void SetUp() override {
        use(GetParam());
        if (IsSkipped() || HasFatalFailure()) {
            return;
        }
        const ManualClock clock(kNow);
        const auto migrated = run(storage::migrate(db(), migrations(), clock));
        ASSERT_TRUE(migrated) << migrated.error().detail;
        store_ = std::make_unique<MeshStore>(db());
        NewMesh mesh;
        mesh.mesh = {"mesh", "A mesh", "a-mesh", key_of(1), kNow, std::nullopt};
        mesh.owner_secret = Bytes(32, 2);
        mesh.root_key = Bytes(32, 3);
        ASSERT_TRUE(run(store_->create(std::move(mesh))));
    }
    template <class T>
    T run(Task<T> task) {
        return storage::run(loop_, std::move(task));
    }
    Result<Member> add(const std::string& id, std::uint8_t key, UnixMillis at) {
        return run(store_->add_member(
            {id, "mesh", key_of(key), "name of " + id, Role::member, {}, at, std::nullopt}));
    }
    std::optional<MemberChange> revoke(const std::string& id, UnixMillis at) {
        return run(store_->revoke_member("mesh", id, "by", at)).value();
    }
    std::optional<MemberChange> restore(const std::string& id, UnixMillis at) {
        return run(store_->restore_member("mesh", id, "by", at)).value();
    }
    std::int64_t revision() {
        const auto changes = run(store_->changes(0));
        return changes && changes->size() == 1 ? changes->front().revision : -1;
    }

    std::unique_ptr<MeshStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Stores, MeshStoreTest,
                         testing::Values(storage::Store::memory, storage::Store::file,
                                         storage::Store::postgres),
                         storage::name_of);

TEST_P(MeshStoreTest, EveryChangeOfMembershipMovesTheRevision) {
    EXPECT_EQ(revision(), 0);
    ASSERT_TRUE(add("anna", 10, kNow + 1));
    EXPECT_EQ(revision(), 1);
    EXPECT_TRUE(revoke("anna", kNow + 2)->changed);
    EXPECT_EQ(revision(), 2);
    EXPECT_TRUE(restore("anna", kNow + 3)->changed);
    EXPECT_EQ(revision(), 3);
    EXPECT_TRUE(run(store_->archive("mesh", kNow + 4)).value());
    EXPECT_EQ(revision(), 4);
}

TEST_P(MeshStoreTest, WhatChangesNothingLeavesTheRevision) {
    ASSERT_TRUE(add("anna", 10, kNow + 1));
    EXPECT_FALSE(restore("anna", kNow + 2)->changed);
    EXPECT_FALSE(revoke("nobody", kNow + 2));
    EXPECT_FALSE(add("twice", 10, kNow + 3));
    EXPECT_EQ(revision(), 1);
}

TEST_P(MeshStoreTest, ChangesAreFoundByTheirTime) {
    ASSERT_TRUE(add("anna", 10, kNow + 100));
    EXPECT_EQ(run(store_->changes(kNow + 100))->size(), 1U);
    EXPECT_TRUE(run(store_->changes(kNow + 101))->empty());
}

TEST_P(MeshStoreTest, ARevokedMemberSaysSinceWhenUntilRestored) {
    ASSERT_TRUE(add("anna", 10, kNow));
    ASSERT_TRUE(add("ben", 11, kNow + 1));
    EXPECT_EQ(revoke("anna", kNow + 2)->member.revoked_at, kNow + 2);
    const auto again = revoke("anna", kNow + 3);
    EXPECT_FALSE(again->changed);
    EXPECT_EQ(again->member.revoked_at, kNow + 2);
    auto members = run(store_->load("mesh")).value()->members;
    std::ranges::sort(members, {}, &Member::id);
    ASSERT_EQ(members.size(), 2U);
    EXPECT_TRUE(members[0].revoked_at.has_value());
    EXPECT_FALSE(members[1].revoked_at.has_value());
    EXPECT_FALSE(restore("anna", kNow + 4)->member.revoked_at.has_value());
    EXPECT_FALSE(restore("anna", kNow + 5)->changed);
}

TEST_P(MeshStoreTest, AKeyIsAMemberOnceAndComesBackUnderItsId) {
    ASSERT_TRUE(add("anna", 10, kNow));
    const auto twice = add("other", 10, kNow + 1);
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().id, "member_exists");
    ASSERT_TRUE(revoke("anna", kNow + 2));
    const auto back = add("other", 10, kNow + 3);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->id, "anna");
}

TEST_P(MeshStoreTest, AMemberOfAnotherMeshIsNotRevoked) {
    ASSERT_TRUE(add("anna", 10, kNow));
    EXPECT_FALSE(run(store_->revoke_member("another", "anna", "by", kNow + 1)).value());
    EXPECT_FALSE(run(store_->load("mesh")).value()->members.front().revoked_at);
}

TEST_P(MeshStoreTest, ASessionKeyStaysWithItsFirstMember) {
    EXPECT_TRUE(run(store_->take_session_key("mesh", key_of(20), "anna", kNow)).value());
    EXPECT_TRUE(run(store_->take_session_key("mesh", key_of(20), "anna", kNow + 1)).value());
    EXPECT_FALSE(run(store_->take_session_key("mesh", key_of(20), "ben", kNow + 2)).value());
    EXPECT_TRUE(run(store_->take_session_key("other", key_of(20), "ben", kNow + 2)).value());
}

TEST_P(MeshStoreTest, ARevokedInviteStaysSo) {
    Invite invite;
    invite.id = "invite";
    invite.mesh_id = "mesh";
    invite.expires_at = kNow + 1'000;
    invite.created_at = kNow;
    ASSERT_TRUE(run(store_->create_invite(invite, "token")).value());
    EXPECT_FALSE(run(store_->create_invite(invite, "token")).value());
    EXPECT_FALSE(run(store_->revoke_invite("another", "invite", kNow)).value());
    EXPECT_EQ(run(store_->revoke_invite("mesh", "invite", kNow + 1)).value()->revoked_at, kNow + 1);
    EXPECT_EQ(run(store_->revoke_invite("mesh", "invite", kNow + 2)).value()->revoked_at, kNow + 1);
}

TEST_P(MeshStoreTest, AnArchivedMeshIsNotLoaded) {
    ASSERT_TRUE(run(store_->archive("mesh", kNow)).value());
    EXPECT_FALSE(run(store_->archive("none", kNow)).value());
    EXPECT_FALSE(run(store_->load("mesh")).value().has_value());
    EXPECT_TRUE(run(store_->find("a-mesh")).value().has_value());
}

}  // namespace
}  // namespace nave::broker
