#include "broker/audit_log.h"

#include "broker/test_store.h"

#include <fmt/format.h>

namespace nave::broker {
namespace {

using std::chrono::milliseconds;

class AuditLogTest : public StoreTest {
  protected:
    void SetUp() override {
        StoreTest::SetUp();
        if (IsSkipped() || HasFatalFailure()) {
            return;
        }
        store_.emplace(db());
        tasks_.emplace(loop_, logger_);
    }
    void start(AuditLimits limits) {
        limits.gather = milliseconds(1);
        limits.retry = milliseconds(1);
        log_under_test_.emplace(loop_, clock_, *store_, *tasks_, logger_, metrics_, limits);
    }
    void record(const std::string& mesh, const std::string& key) {
        log_under_test_->record(mesh, "member", AuditEvent::state_set(key));
    }
    // Runs until everything is stored or the log has given up.
    void stop(milliseconds deadline = std::chrono::seconds(10)) { run(stop_all(deadline)); }
    Task<bool> stop_all(milliseconds deadline) {
        co_await log_under_test_->stop(deadline);
        co_return co_await tasks_->stop(std::chrono::seconds(10));
    }
    std::vector<std::string> payloads(const std::string& mesh) {
        std::vector<std::string> found;
        for (const AuditRecord& record : run(store_->following(mesh, 0, 10'000)).value()) {
            found.push_back(record.payload);
        }
        return found;
    }
    bool metric_is(const std::string& name, int value) {
        return registry_.exposition().contains(fmt::format("\n{} {}\n", name, value));
    }

    ManualClock clock_{kTestNow};
    Metrics registry_;
    ServiceMetrics metrics_{registry_, "test", "none"};
    std::optional<AuditStore> store_;
    std::optional<TaskGroup> tasks_;
    std::optional<AuditLog> log_under_test_;
};
BROKER_ON_EVERY_STORE(AuditLogTest);

TEST_P(AuditLogTest, RecordsAreStoredInOrderAndInBatches) {
    AuditLimits limits;
    limits.batch_max = 3;
    start(limits);
    std::vector<std::string> expected;
    for (int i = 0; i < 10; ++i) {
        record("mesh", fmt::format("{}", i));
        expected.push_back(fmt::format(R"({{"key":"{}"}})", i));
    }
    record("other", "x");
    stop();
    EXPECT_EQ(payloads("mesh"), expected);
    EXPECT_EQ(payloads("other").size(), 1U);
    EXPECT_FALSE(run(store_->verify("mesh"))->broken);
    EXPECT_TRUE(metric_is("broker_audit_recorded_total", 11)) << registry_.exposition();
    EXPECT_TRUE(metric_is("broker_audit_dropped_total", 0));
}

TEST_P(AuditLogTest, WithoutStopTheyAreStoredToo) {
    start({});
    record("mesh", "a");
    loop_.run();  // until nothing is left to do
    EXPECT_EQ(payloads("mesh").size(), 1U);
    stop();
}

TEST_P(AuditLogTest, WhatIsTooMuchIsDroppedAndCounted) {
    AuditLimits limits;
    limits.waiting_max = 4;
    start(limits);
    for (int i = 0; i < 10; ++i) {
        record("mesh", "a");
    }
    stop();
    EXPECT_EQ(payloads("mesh").size(), 4U);
    EXPECT_TRUE(metric_is("broker_audit_dropped_total", 6)) << registry_.exposition();
    EXPECT_TRUE(log_->contains("audit records are dropped"));
}

TEST_P(AuditLogTest, AnOutageEndsInAStopWithinItsDeadline) {
    start({});
    db().close();
    record("mesh", "a");
    record("mesh", "b");
    stop(milliseconds(50));
    EXPECT_TRUE(metric_is("broker_audit_dropped_total", 2)) << registry_.exposition();
    EXPECT_TRUE(log_->contains("audit records are lost"));
}

TEST_P(AuditLogTest, WhatCanNeverBeStoredDoesNotHoldUpTheRest) {
    start({});
    script("alter table mesh_audit rename to elsewhere");
    record("mesh", "a");
    loop_.run();
    script("alter table elsewhere rename to mesh_audit");
    record("mesh", "b");
    stop();
    EXPECT_EQ(payloads("mesh"), std::vector<std::string>{R"({"key":"b"})"});
    EXPECT_TRUE(metric_is("broker_audit_dropped_total", 1)) << registry_.exposition();
}

TEST_P(AuditLogTest, NothingIsRecordedAfterStop) {
    start({});
    stop();
    record("mesh", "a");
    loop_.run();
    EXPECT_TRUE(payloads("mesh").empty());
}

}  // namespace
}  // namespace nave::broker
