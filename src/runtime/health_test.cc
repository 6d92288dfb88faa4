#include "runtime/health.h"

#include <gtest/gtest.h>

namespace nave {
namespace {

TEST(Health, NamesTheStepWhileStarting) {
    const ManualClock clock;
    Health health(clock);
    health.step("run-migrations");
    const auto answer = health.answer(R"("version":"1")");
    EXPECT_EQ(answer.http_status, 503);
    EXPECT_EQ(answer.body,
              R"({"status":"starting","step":"run-migrations","version":"1","uptimeSeconds":0})");
    EXPECT_EQ(health.readiness().http_status, 503);
}

TEST(Health, DegradesAndRecovers) {
    ManualClock clock(1000);
    Health health(clock);
    health.serving();
    EXPECT_EQ(health.answer("").body, R"({"status":"ok","uptimeSeconds":0})");
    health.report("storage", "unreachable");
    clock.advance(std::chrono::seconds(5));
    health.report("storage", "still \"unreachable\"");
    const auto answer = health.answer("");
    EXPECT_EQ(answer.http_status, 503);
    EXPECT_EQ(answer.body, R"({"status":"degraded","issues":[{"subsystem":"storage","since":1000,)"
                           R"("message":"still \"unreachable\""}],"uptimeSeconds":5})");
    health.report("storage", std::nullopt);
    EXPECT_EQ(health.answer("").http_status, 200);
    EXPECT_EQ(health.readiness().http_status, 200);
}

TEST(Health, StaysUsableWhileOnlyAPartIsAffected) {
    const ManualClock clock(1000);
    Health health(clock);
    health.report("log", "signs nothing", Health::Impact::partial);
    EXPECT_EQ(health.answer("").http_status, 503) << "not while starting";
    health.serving();
    EXPECT_FALSE(health.healthy());
    EXPECT_EQ(health.answer("").http_status, 200);
    EXPECT_EQ(health.answer("").body,
              R"({"status":"degraded","issues":[{"subsystem":"log","since":1000,)"
              R"("message":"signs nothing"}],"uptimeSeconds":0})");
    EXPECT_EQ(health.readiness().http_status, 200);
    health.report("storage", "unreachable");
    EXPECT_EQ(health.answer("").http_status, 503);
    EXPECT_EQ(health.readiness().http_status, 503);
    health.report("storage", std::nullopt);
    EXPECT_EQ(health.readiness().http_status, 200);
    health.report("log", "worse", Health::Impact::outage);
    EXPECT_EQ(health.readiness().http_status, 503);
}

TEST(Health, IsNotReadyWhileStopping) {
    const ManualClock clock;
    Health health(clock);
    health.serving();
    health.stopping();
    EXPECT_EQ(health.answer("").http_status, 503);
    EXPECT_EQ(health.readiness().http_status, 503);
}

}  // namespace
}  // namespace nave
