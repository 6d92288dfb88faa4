#include "bus/redis/redis_address.h"

#include <gtest/gtest.h>

namespace nave::bus {
namespace {

Result<RedisAddress> parse(std::string_view url) {
    return RedisAddress::parse(Secret(std::string(url)));
}

TEST(RedisAddressTest, ReadsEveryPart) {
    const auto full = parse("redis://nave:p%40ss%2Fword@cache.example.org:6380/3");
    ASSERT_TRUE(full.has_value());
    EXPECT_EQ(full->host, "cache.example.org");
    EXPECT_EQ(full->port, "6380");
    EXPECT_EQ(full->user, "nave");
    EXPECT_EQ(full->password.reveal(), "p@ss/word");
    EXPECT_EQ(full->database, 3);
    EXPECT_EQ(full->shown(), "cache.example.org:6380/3");
}

TEST(RedisAddressTest, MostPartsMayBeMissing) {
    const auto plain = parse("redis://localhost");
    ASSERT_TRUE(plain.has_value());
    EXPECT_EQ(plain->port, "6379");
    EXPECT_TRUE(plain->user.empty() && plain->password.empty());
    const auto password = parse("redis://:secret@10.0.0.1/");
    ASSERT_TRUE(password.has_value());
    EXPECT_EQ(password->password.reveal(), "secret");
    const auto six = parse("redis://[::1]:7000");
    ASSERT_TRUE(six.has_value());
    EXPECT_EQ(six->host, "::1");
    EXPECT_EQ(six->port, "7000");
}

TEST(RedisAddressTest, RefusesTheRestWithoutRepeatingIt) {
    for (const std::string_view url : {"",
                                       "redis:",
                                       "http://h",
                                       "redis://",
                                       "redis://:6379",
                                       "redis://h:",
                                       "redis://h:0",
                                       "redis://h:65536",
                                       "redis://h:6379x",
                                       "redis://h/one",
                                       "redis://h/-1",
                                       "redis://h/65536",
                                       "redis://h?db=1",
                                       "redis://hidden@h",
                                       "redis://u:@h",
                                       "redis://u:%zz@h",
                                       "redis://u:%00@h",
                                       "redis://[::1",
                                       "redis://[::1]x",
                                       "redis://a b"}) {
        const auto parsed = parse(url);
        ASSERT_FALSE(parsed.has_value()) << url;
        EXPECT_EQ(parsed.error().id, "bus.bad_url");
        EXPECT_EQ(parsed.error().message.find("hidden"), std::string::npos);
    }
    EXPECT_TRUE(redis_url_problem("rediss://h").value().starts_with("TLS"));
    EXPECT_FALSE(redis_url_problem("redis://h").has_value());
}

}  // namespace
}  // namespace nave::bus
