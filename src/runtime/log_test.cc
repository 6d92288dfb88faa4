#include "runtime/log.h"

#include "base/json.h"

#include <gtest/gtest.h>

#include <vector>

namespace nave {
namespace {

struct Captured final : LogSink {
    std::vector<std::string> lines;
    void write(LogLevel, std::string_view line) override { lines.emplace_back(line); }
};

TEST(Log, WritesOneJsonObjectPerLine) {
    auto sink = std::make_shared<Captured>();
    const Logger log("prekeys", LogLevel::info, LogFormat::json, sink);
    log.info("a \"quoted\"\nevent", {{"n", 7}, {"ok", true}, {"text", "x\ty"}, {"s", 1.5}});
    ASSERT_EQ(sink->lines.size(), 1U);
    EXPECT_EQ(sink->lines[0].find('\n'), std::string::npos);
    const auto parsed = json::parse(sink->lines[0], {.floats_allowed = true});
    ASSERT_TRUE(parsed.has_value()) << sink->lines[0];
    EXPECT_EQ(parsed->at("msg").as_string(), "a \"quoted\"\nevent");
    EXPECT_EQ(parsed->at("component").as_string(), "prekeys");
    EXPECT_EQ(parsed->at("level").as_string(), "info");
    EXPECT_EQ(parsed->at("n").as_int64(), 7);
    EXPECT_TRUE(parsed->at("ok").as_bool());
}

TEST(Log, DropsWhatIsBelowTheLevel) {
    auto sink = std::make_shared<Captured>();
    const Logger log("x", LogLevel::warn, LogFormat::json, sink);
    log.info("no");
    log.debug("no");
    log.warn("yes");
    EXPECT_EQ(sink->lines.size(), 1U);
    log.child("y", LogLevel::debug).debug("yes");
    EXPECT_EQ(sink->lines.size(), 2U);
}

TEST(Log, PrettyLinesStayOnOneLine) {
    auto sink = std::make_shared<Captured>();
    const Logger log("x", LogLevel::info, LogFormat::pretty, sink);
    log.info("event", {{"a", "plain"}, {"b", "two words\nand lines"}});
    EXPECT_NE(sink->lines[0].find("a=plain  b=\"two words\\nand lines\""), std::string::npos)
        << sink->lines[0];
}

TEST(Log, FailureCarriesThePrivateDetail) {
    auto sink = std::make_shared<Captured>();
    const Logger log("x", LogLevel::info, LogFormat::json, sink);
    log.failure(LogLevel::warn, "failed", Error(Code::internal, "a.b", "public", "private"));
    EXPECT_NE(sink->lines[0].find("private"), std::string::npos);
    EXPECT_NE(sink->lines[0].find("log_test.cc"), std::string::npos);
}

}  // namespace
}  // namespace nave
