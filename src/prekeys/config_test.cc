#include "prekeys/config.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace nave::prekeys {
namespace {

using Environment = std::map<std::string, std::string>;

LoadedSettings load(Environment environment) {
    const SettingGroup groups[] = {settings()};
    SettingInputs inputs;
    inputs.environment = std::move(environment);
    return load_settings(groups, inputs);
}

Result<Config> read(Environment environment) {
    const LoadedSettings loaded = load(std::move(environment));
    EXPECT_TRUE(loaded.problems.empty()) << loaded.problems.front().line();
    return read_config(loaded.settings);
}

std::string problem(Environment environment) {
    const LoadedSettings loaded = load(std::move(environment));
    if (loaded.problems.empty()) {
        const auto config = read_config(loaded.settings);
        return config ? "none" : config.error().message;
    }
    return loaded.problems.front().setting;
}

TEST(Config, DefaultsAreTheContracts) {
    const auto config = read({});
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->audience, "");
    EXPECT_EQ(config->skew_ms, 300'000);
    EXPECT_EQ(config->low_threshold, 20);
    EXPECT_EQ(config->refill_to, 100);
    EXPECT_FALSE(config->public_count);
    EXPECT_EQ(config->bundle_access, BundleAccess::open);
    EXPECT_TRUE(config->observer_token.empty());
    EXPECT_TRUE(config->metrics_token.empty());
    EXPECT_FALSE(config->observer_shows_addresses);
    EXPECT_EQ(config->stale_days, 30);
    EXPECT_EQ(config->cleanup_interval, std::chrono::hours(24));
    EXPECT_FALSE(config->cleanup_dry_run);
    EXPECT_EQ(config->store.one_time_max, 200);
    EXPECT_EQ(config->store.kem_one_time_max, 100);
    EXPECT_EQ(config->store.addresses_per_identity_max, 16);
    EXPECT_EQ(config->store.reserve_percent, 20);
    EXPECT_EQ(config->store.tombstone_ms, 365LL * 24 * 3600 * 1000);
    EXPECT_TRUE(config->store.touch_on_fetch);
    const Limits& limits = config->limits;
    EXPECT_TRUE(limits.enabled);
    EXPECT_EQ(limits.register_per_ip.burst, 5);
    EXPECT_DOUBLE_EQ(limits.register_per_ip.refill_per_second, 5.0 / 3600);
    EXPECT_EQ(limits.fetch_per_ip.burst, 60);
    EXPECT_EQ(limits.one_time_per_target.burst, 20);
    EXPECT_DOUBLE_EQ(limits.one_time_per_target.refill_per_second, 30.0 / 3600);
    EXPECT_EQ(limits.one_time_per_target_identified.burst, 60);
    EXPECT_DOUBLE_EQ(limits.one_time_per_target_identified.refill_per_second, 120.0 / 3600);
    EXPECT_EQ(limits.one_time_per_pair.burst, 6);
    EXPECT_DOUBLE_EQ(limits.one_time_per_pair.refill_per_second, 6.0 / 3600);
    EXPECT_EQ(limits.replenish_per_identity.burst, 10);
}

// The skew may be widened at the next start, up to an hour.
TEST(Config, ReplaysAreRememberedLongerThanProofsCanLive) {
    for (const char* skew : {"1", "300", "3600"}) {
        const auto config = read({{"SHADE_MAX_SKEW_SECONDS", skew}});
        ASSERT_TRUE(config);
        EXPECT_GT(config->store.replay_memory_ms, 3'600'000);
    }
    EXPECT_EQ(read({{"SHADE_LOW_THRESHOLD", "7"}})->store.low_threshold, 7);
}

TEST(Config, ValuesAreRead) {
    const auto config = read({{"SHADE_AUDIENCE", "keys.example"},
                              {"SHADE_DISABLE_RATE_LIMIT", "1"},
                              {"SHADE_LIMIT_REGISTER", "7/min:9"},
                              {"SHADE_PUBLIC_COUNT", "true"},
                              {"SHADE_BUNDLE_ACCESS", "identified"},
                              {"SHADE_OBSERVER_TOKEN", "0123456789abcdef"},
                              {"SHADE_STALE_DAYS", "0"},
                              {"SHADE_TOMBSTONE_DAYS", "0"},
                              {"SHADE_STALE_TOUCH_ON_FETCH", "0"}});
    ASSERT_TRUE(config);
    EXPECT_EQ(config->audience, "keys.example");
    EXPECT_FALSE(config->limits.enabled);
    EXPECT_EQ(config->limits.register_per_ip.burst, 9);
    EXPECT_TRUE(config->public_count);
    EXPECT_EQ(config->bundle_access, BundleAccess::identified);
    EXPECT_EQ(config->observer_token.reveal(), "0123456789abcdef");
    EXPECT_EQ(config->stale_days, 0);
    EXPECT_EQ(config->store.tombstone_ms, 0);
    EXPECT_FALSE(config->store.touch_on_fetch);
}

TEST(Config, BadValuesAreRefusedByName) {
    const std::pair<const char*, const char*> cases[] = {
        {"SHADE_LIMIT_FETCH", "60"},
        {"SHADE_LIMIT_FETCH", "0/min"},
        {"SHADE_LIMIT_PAIR", "6/day"},
        {"SHADE_LIMIT_TARGET", "30/h:0"},
        {"SHADE_OBSERVER_TOKEN", "short"},
        {"SHADE_METRICS_TOKEN", "0123456789abcde"},
        {"SHADE_MAX_SKEW_SECONDS", "0"},
        {"SHADE_MAX_SKEW_SECONDS", "3601"},
        {"SHADE_STALE_DAYS", "-1"},
        {"SHADE_BUNDLE_ACCESS", "closed"},
        {"SHADE_TRUSTED_PROXIES", "10.0.0.0/33"},
        {"SHADE_PREKEY_PG_URL", "mysql://x"},
        {"SHADE_RESERVE_PERCENT", "101"},
        {"SHADE_OBSERVER_TOKN", "0123456789abcdef"},
    };
    for (const auto& [name, value] : cases) {
        EXPECT_EQ(problem({{name, value}}), name) << value;
    }
}

TEST(Config, CombinationsThatMakeNoSense) {
    EXPECT_TRUE(problem({{"SHADE_BUNDLE_ACCESS", "token"}}).contains("SHADE_BUNDLE_TOKEN"));
    EXPECT_EQ(
        problem({{"SHADE_BUNDLE_ACCESS", "token"}, {"SHADE_BUNDLE_TOKEN", "0123456789abcdef"}}),
        "none");
    EXPECT_TRUE(problem({{"SHADE_MAX_OPK", "99"}}).contains("SHADE_MAX_OPK (99)"));
    EXPECT_TRUE(problem({{"SHADE_MAX_KEM_OPK", "99"}}).contains("SHADE_MAX_KEM_OPK (99)"));
    EXPECT_EQ(
        problem({{"SHADE_MAX_OPK", "50"}, {"SHADE_MAX_KEM_OPK", "50"}, {"SHADE_REFILL_TO", "50"}}),
        "none");
    EXPECT_TRUE(problem({{"SHADE_LOW_THRESHOLD", "101"}}).contains("SHADE_LOW_THRESHOLD (101)"));
    EXPECT_EQ(problem({{"SHADE_LOW_THRESHOLD", "100"}}), "none");
}

TEST(Config, WhereToStore) {
    const auto choice = [](Environment environment, const char* shared = "") {
        return read_storage(load(std::move(environment)).settings, "/data",
                            Secret(std::string(shared)));
    };
    EXPECT_EQ(choice({}).sqlite_path, "/data/shade-prekeys.db");
    EXPECT_TRUE(choice({}).postgres_url.empty());
    EXPECT_EQ(choice({{"SHADE_PREKEY_DB_PATH", "/x.db"}}).sqlite_path, "/x.db");
    EXPECT_EQ(choice({}, "postgres://a").postgres_url.reveal(), "postgres://a");
    EXPECT_EQ(
        choice({{"SHADE_PREKEY_PG_URL", "postgres://b"}}, "postgres://a").postgres_url.reveal(),
        "postgres://b");
    EXPECT_EQ(choice({{"SHADE_PREKEY_DB_PATH", "/x.db"}}, "postgres://a").sqlite_path, "/x.db");
    EXPECT_EQ(choice({{"SHADE_PREKEY_DB_PATH", "/x.db"}, {"SHADE_PREKEY_PG_URL", "postgres://b"}})
                  .postgres_url.reveal(),
              "postgres://b");
}

TEST(Config, TransparencyFilesLieWithTheData) {
    const auto files = read_transparency_files(load({}).settings, "/data");
    EXPECT_EQ(files.key, "/data/shade-kt.key");
    EXPECT_EQ(files.checkpoint, "/data/shade-kt.checkpoint");
    const auto chosen = read_transparency_files(
        load({{"SHADE_KT_KEY_FILE", "/k"}, {"SHADE_KT_ORIGIN", "log.example"}}).settings, "/data");
    EXPECT_EQ(chosen.key, "/k");
    EXPECT_EQ(chosen.origin, "log.example");
}

}  // namespace
}  // namespace nave::prekeys
