#include "prekeys/cleanup.h"

#include "prekeys/test_directory.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace nave::prekeys {
namespace {

using namespace std::chrono_literals;

class CleanupTest : public DirectoryTest {
  protected:
    void SetUp() override {
        DirectoryTest::SetUp();
        config_.stale_days = 30;
        cleanup_ = std::make_unique<StaleCleanup>(loop_, config_, store(), clock_, entropy_,
                                                  events_, logger_);
    }
    void fill(int identities) {
        for (int i = 0; i < identities; ++i) {
            TestDevice device(fmt::format("user:{}", i), Suite::x3dh_ed25519,
                              static_cast<std::uint64_t>(i));
            ASSERT_TRUE(enrol(device));
        }
    }
    std::int64_t cycle() { return run(cleanup_->run_once()).value(); }

    std::unique_ptr<StaleCleanup> cleanup_;
};

TEST_F(CleanupTest, PurgesWhatIsStaleAndTellsHowMuch) {
    fill(3);
    EXPECT_EQ(cleanup_->last_run_at(), std::nullopt);
    clock_.advance(std::chrono::days(30));
    EXPECT_EQ(cycle(), 0) << "thirty days to the millisecond are not too many";
    EXPECT_EQ(events_.take(), "");
    EXPECT_EQ(cleanup_->last_run_at(), clock_.now());
    clock_.advance(1ms);
    EXPECT_EQ(cycle(), 3);
    EXPECT_EQ(cleanup_->last_purged(), 3);
    EXPECT_EQ(events_.last(EventType::purged).count, 3);
    EXPECT_EQ(events_.last(EventType::purged).address, std::nullopt);
    EXPECT_EQ(events_.take(), "identity_purged identity_purged identity_purged purged");
    EXPECT_EQ(rows("identities"), 0);
    EXPECT_EQ(rows("tombstones"), 3);
    EXPECT_TRUE(log_->contains("stale cleanup"));
    EXPECT_FALSE(log_->contains("user:")) << "no addresses in the log";
    EXPECT_EQ(cycle(), 0);
    EXPECT_EQ(cleanup_->last_purged(), 0);
}

TEST_F(CleanupTest, OneRunTakesSeveralBatches) {
    fill(5);
    // As many again as fit in one batch, put in directly to save time.
    ASSERT_TRUE(write([](storage::Transaction& tx) -> Result<void> {
        for (int i = 0; i < 500; ++i) {
            TRY_VOID(
                tx.execute("insert into shade_server_identities (address, suite, signing_key, "
                           "dh_key, state_signed_at, created_at, last_activity_at, "
                           "last_owner_activity_at) values ($1, 1, $2, $2, 0, 0, 0, 0)",
                           {fmt::format("old:{}", i), Bytes(32, 1)}));
        }
        return ok();
    }));
    clock_.advance(std::chrono::days(31));
    EXPECT_EQ(cycle(), 505);
    EXPECT_EQ(rows("identities"), 0);
    EXPECT_EQ(events_.count(EventType::identity_purged), 505U);
    EXPECT_EQ(events_.count(EventType::purged), 1U);
}

TEST_F(CleanupTest, ADryRunOnlyCounts) {
    fill(2);
    config_.cleanup_dry_run = true;
    clock_.advance(std::chrono::days(31));
    EXPECT_EQ(cycle(), 2);
    EXPECT_EQ(cleanup_->last_purged(), 0);
    EXPECT_EQ(cleanup_->last_run_at(), clock_.now());
    EXPECT_EQ(events_.take(), "");
    EXPECT_EQ(rows("identities"), 2);
    EXPECT_TRUE(log_->contains(R"("stale":2)"));
}

TEST_F(CleanupTest, ZeroDaysNeverPurge) {
    fill(2);
    config_.stale_days = 0;
    clock_.advance(std::chrono::days(10'000));
    EXPECT_EQ(cycle(), 0);
    EXPECT_EQ(rows("identities"), 2);
    EXPECT_EQ(cleanup_->last_run_at(), clock_.now());
}

TEST_F(CleanupTest, AFailureIsNoRun) {
    db().close();
    const auto outcome = run(cleanup_->run_once());
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().id, "storage.closed");
    EXPECT_EQ(cleanup_->last_run_at(), std::nullopt);
    EXPECT_EQ(events_.take(), "");
}

}  // namespace
}  // namespace nave::prekeys
