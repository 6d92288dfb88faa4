#include "runtime/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace nave {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Setting kSettings[] = {
    {.name = "T_DAYS",
     .type = SettingType::integer,
     .default_text = "30",
     .description = "Days.",
     .min = 0,
     .max = 3650},
    {.name = "T_FLAG", .type = SettingType::boolean, .default_text = "0", .description = "Flag."},
    {.name = "T_LEVEL",
     .type = SettingType::choice,
     .default_text = "info",
     .description = "Level.",
     .choices = "debug,info"},
    {.name = "T_URL",
     .type = SettingType::url,
     .description = "Database.",
     .choices = "postgres,postgresql",
     .secret = true},
    {.name = "T_TOKEN", .description = "Token.", .secret = true, .length_min = 16},
    {.name = "T_PATH", .type = SettingType::path, .default_text = "x", .description = "Path."},
};
constexpr std::string_view kPrefixes[] = {"T_"};
constexpr SettingGroup kGroups[] = {{"Test", kSettings, kPrefixes}};

class SettingsTest : public testing::Test {
  protected:
    std::string file(const std::string& name, const std::string& content) {
        const auto path = dir_ / name;
        std::ofstream(path) << content;
        return path.string();
    }
    void SetUp() override {
        dir_ = std::filesystem::path(testing::TempDir()) /
               testing::UnitTest::GetInstance()->current_test_info()->name();
        std::filesystem::create_directories(dir_);
    }
    void TearDown() override { std::filesystem::remove_all(dir_); }
    std::filesystem::path dir_;
};

std::vector<std::string> lines(const LoadedSettings& loaded) {
    std::vector<std::string> out;
    for (const auto& problem : loaded.problems) {
        out.push_back(problem.line());
    }
    return out;
}

TEST_F(SettingsTest, StrongerSourcesWin) {
    SettingInputs inputs;
    inputs.config_file = file("c.json", R"({"T_DAYS": 1, "T_FLAG": true, "T_PATH": "file"})");
    inputs.environment = {{"T_DAYS", "2"}, {"T_LEVEL", "debug"}, {"HOME", "/root"}};
    inputs.flags = {{"T_DAYS", "3"}};
    const auto loaded = load_settings(kGroups, inputs);
    EXPECT_THAT(lines(loaded), ElementsAre());
    EXPECT_EQ(loaded.settings.integer("T_DAYS"), 3);
    EXPECT_TRUE(loaded.settings.boolean("T_FLAG"));
    EXPECT_EQ(loaded.settings.text("T_LEVEL"), "debug");
    EXPECT_EQ(loaded.settings.text("T_PATH"), "file");
    EXPECT_EQ(loaded.settings.source("T_DAYS"), SettingSource::flag);
    EXPECT_FALSE(loaded.settings.has_value("T_TOKEN"));
}

TEST_F(SettingsTest, ReportsEveryProblemAtOnceWithNameAndRemedy) {
    SettingInputs inputs;
    inputs.environment = {{"T_DAYS", "many"},     {"T_FLAG", "maybe"},  {"T_LEVEL", "loud"},
                          {"T_URL", "mysql://x"}, {"T_TOKEN", "short"}, {"T_DAYZ", "1"}};
    const auto loaded = load_settings(kGroups, inputs);
    EXPECT_THAT(
        lines(loaded),
        testing::UnorderedElementsAre(
            "T_DAYS (environment): must be an integer from 0 to 3650, not \"many\"",
            "T_FLAG (environment): must be 1 or 0, not \"maybe\"",
            "T_LEVEL (environment): must be one of debug,info, not \"loud\"",
            "T_URL (environment): must begin with postgres:// or postgresql://",
            "T_TOKEN (environment): must have at least 16 characters, not 5",
            "T_DAYZ (environment): is not a setting of this version; did you mean T_DAYS?"));
}

TEST_F(SettingsTest, SecretsNeverAppearInProblemsOrPrint) {
    SettingInputs inputs;
    inputs.environment = {{"T_TOKEN", "0123456789abcdef-secret"}, {"T_URL", "postgres://u:pw@h/d"}};
    const auto loaded = load_settings(kGroups, inputs);
    EXPECT_THAT(lines(loaded), ElementsAre());
    EXPECT_THAT(loaded.settings.print(), testing::Not(HasSubstr("secret")));
    EXPECT_THAT(loaded.settings.print(), testing::Not(HasSubstr("pw@")));
    EXPECT_EQ(loaded.settings.secret("T_TOKEN").reveal(), "0123456789abcdef-secret");
}

TEST_F(SettingsTest, ReadsValuesFromFiles) {
    SettingInputs inputs;
    inputs.environment = {{"T_TOKEN_FILE", file("token", "0123456789abcdef\n")}};
    auto loaded = load_settings(kGroups, inputs);
    EXPECT_EQ(loaded.settings.secret("T_TOKEN").reveal(), "0123456789abcdef");

    inputs.environment = {{"T_TOKEN_FILE", (dir_ / "absent").string()}};
    loaded = load_settings(kGroups, inputs);
    ASSERT_EQ(loaded.problems.size(), 1U);
    EXPECT_THAT(loaded.problems[0].line(), HasSubstr("T_TOKEN_FILE (environment): cannot read"));

    inputs.environment = {{"T_TOKEN_FILE", file("token", "x")}, {"T_TOKEN", "0123456789abcdef"}};
    loaded = load_settings(kGroups, inputs);
    EXPECT_THAT(loaded.problems[0].line(), HasSubstr("both directly and by T_TOKEN_FILE"));
}

TEST_F(SettingsTest, RefusesBadConfigFiles) {
    SettingInputs inputs;
    for (const auto& [content, expected] :
         std::initializer_list<std::pair<const char*, const char*>>{
             {"{", "incomplete"},
             {"[]", "one JSON object"},
             {R"({"T_DAYS":1,"T_DAYS":2})", "duplicate_member"},
             {R"({"NOPE":1})", "is not a setting"},
             {R"({"T_DAYS":null})", "must be a string"}}) {
        inputs.config_file = file("c.json", content);
        const auto loaded = load_settings(kGroups, inputs);
        ASSERT_FALSE(loaded.problems.empty()) << content;
        EXPECT_THAT(loaded.problems[0].line(), HasSubstr(expected));
    }
    inputs.config_file = (dir_ / "none.json").string();
    EXPECT_THAT(load_settings(kGroups, inputs).problems[0].line(), HasSubstr("No such file"));
}

TEST_F(SettingsTest, EmptyMeansUnset) {
    SettingInputs inputs;
    inputs.environment = {{"T_DAYS", ""}, {"T_TOKEN", ""}, {"T_TOKEN_FILE", ""}};
    const auto loaded = load_settings(kGroups, inputs);
    EXPECT_TRUE(loaded.problems.empty());
    EXPECT_EQ(loaded.settings.integer("T_DAYS"), 30);
}

}  // namespace
}  // namespace nave
