#include "storage/migrations.h"

#include "storage/test_database.h"

#include <gtest/gtest.h>

#include <array>

namespace nave::storage {
namespace {

constexpr std::string_view kCreate = "CREATE TABLE m_a (id BIGINT PRIMARY KEY)";
constexpr std::string_view kMore = "CREATE TABLE m_b (id BIGINT); INSERT INTO m_b VALUES (1)";

constexpr std::array kBoth{
    Migration{.version = 1, .name = "init", .sqlite = kCreate, .postgres = kCreate},
    Migration{.version = 2, .name = "more", .sqlite = kMore, .postgres = kMore},
};

MigrationSet first_of(std::size_t count) {
    return {.module = "test", .migrations = std::span(kBoth).first(count)};
}

class Migrations : public DatabaseTest, public testing::WithParamInterface<Store> {
  protected:
    void SetUp() override { use(GetParam()); }
    auto apply(MigrationSet set) { return run(loop_, migrate(db(), set, clock_)); }
    auto pending(MigrationSet set) { return run(loop_, pending_migrations(db(), set)); }
    bool table_exists(const std::string& name) {
        return read([name](Transaction& tx) { return tx.query("SELECT count(*) FROM " + name); })
            .has_value();
    }

    ManualClock clock_{1'234};
};

INSTANTIATE_TEST_SUITE_P(Stores, Migrations,
                         testing::Values(Store::memory, Store::file, Store::postgres), name_of);

TEST_P(Migrations, AreAppliedInOrderOnceAndRecorded) {
    const auto planned = pending(first_of(2));
    ASSERT_TRUE(planned) << planned.error().detail;
    EXPECT_EQ(planned->size(), 2U);
    EXPECT_FALSE(table_exists("m_a"));
    EXPECT_FALSE(table_exists("nave_schema_migrations"));

    const auto first = apply(first_of(1));
    ASSERT_TRUE(first) << first.error().detail;
    ASSERT_EQ(first->size(), 1U);
    EXPECT_EQ((*first)[0].name, "init");
    const auto second = apply(first_of(2));
    ASSERT_TRUE(second) << second.error().detail;
    ASSERT_EQ(second->size(), 1U);
    EXPECT_EQ((*second)[0].version, 2);
    const auto third = apply(first_of(2));
    ASSERT_TRUE(third);
    EXPECT_TRUE(third->empty());

    const auto rows = read([](Transaction& tx) {
        return tx.query(
            "SELECT module, version, checksum, applied_at FROM nave_schema_migrations "
            "ORDER BY version");
    });
    ASSERT_TRUE(rows);
    ASSERT_EQ(rows->size(), 2U);
    EXPECT_EQ((*rows)[1].text(0), "test");
    EXPECT_EQ((*rows)[1].integer(1), 2);
    EXPECT_EQ((*rows)[1].text(2).size(), 64U);
    EXPECT_EQ((*rows)[1].integer(3), 1'234);
}

TEST_P(Migrations, ModulesDoNotShareNumbers) {
    ASSERT_TRUE(apply(first_of(1)));
    constexpr std::string_view kOther = "CREATE TABLE m_other (id BIGINT)";
    const std::array other{
        Migration{.version = 1, .name = "init", .sqlite = kOther, .postgres = kOther}};
    const auto applied = apply({.module = "other", .migrations = other});
    ASSERT_TRUE(applied) << applied.error().detail;
    EXPECT_EQ(applied->size(), 1U);
    EXPECT_TRUE(table_exists("m_other"));
}

TEST_P(Migrations, RefuseASchemaThatIsNewer) {
    ASSERT_TRUE(apply(first_of(2)));
    for (const auto& outcome : {apply(first_of(1)), pending(first_of(1))}) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().id, "storage.schema_newer");
    }
}

TEST_P(Migrations, RefuseAnAppliedMigrationThatChanged) {
    ASSERT_TRUE(apply(first_of(1)));
    auto changed = kBoth;
    changed[0].postgres = "CREATE TABLE m_a (id BIGINT PRIMARY KEY, x TEXT)";
    for (const auto& outcome : {apply({.module = "test", .migrations = changed}),
                                pending({.module = "test", .migrations = changed})}) {
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().id, "storage.schema_changed");
    }
    EXPECT_FALSE(table_exists("m_b"));
}

TEST_P(Migrations, ChangeNothingWhenOneFails) {
    auto broken = kBoth;
    broken[1].sqlite = broken[1].postgres = "CREATE TABLE m_b (id BIGINT); SELECT * FROM absent";
    const auto outcome = apply({.module = "test", .migrations = broken});
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().id, "storage.failed");
    EXPECT_FALSE(table_exists("m_a"));
    EXPECT_FALSE(table_exists("m_b"));
    EXPECT_FALSE(table_exists("nave_schema_migrations"));
    EXPECT_TRUE(apply(first_of(2)));
}

class SharedMigrations : public Migrations {};
INSTANTIATE_TEST_SUITE_P(Stores, SharedMigrations, testing::Values(Store::file, Store::postgres),
                         name_of);

TEST_P(SharedMigrations, MayStartOnSeveralNodesAtOnce) {
    std::vector<std::unique_ptr<Database>> nodes;
    for (int i = 0; i < 4; ++i) {
        nodes.push_back(another());
        ASSERT_TRUE(nodes.back());
    }
    std::size_t applied = 0;
    for (const auto& node : nodes) {
        boost::asio::co_spawn(
            loop_.executor(), migrate(*node, first_of(2), clock_),
            [&](std::exception_ptr thrown, Result<std::vector<PendingMigration>> outcome) {
                EXPECT_FALSE(thrown);
                ASSERT_TRUE(outcome) << outcome.error().detail;
                applied += outcome->size();
            });
    }
    loop_.run();
    EXPECT_EQ(applied, 2U);
}

}  // namespace
}  // namespace nave::storage
