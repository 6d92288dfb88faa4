#include "net/ip.h"

#include <gtest/gtest.h>

namespace nave::net {
namespace {

IpAddress ip(std::string_view text) {
    const auto parsed = IpAddress::parse(text);
    EXPECT_TRUE(parsed) << text;
    return parsed.value_or(IpAddress());
}

TEST(IpAddress, ReadsAndWritesCanonicalText) {
    struct Case {
        std::string_view in;
        std::string_view out;
    };
    for (const auto& [in, out] : {
             Case{"127.0.0.1", "127.0.0.1"},
             Case{"255.255.255.255", "255.255.255.255"},
             Case{"::1", "::1"},
             Case{"::", "::"},
             Case{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
             Case{"::ffff:10.1.2.3", "10.1.2.3"},
             Case{"::ffff:0a01:0203", "10.1.2.3"},
             Case{"2001:db8::192.0.2.1", "2001:db8::c000:201"},
         }) {
        EXPECT_EQ(ip(in).text(), out) << in;
    }
    EXPECT_EQ(ip("::ffff:10.1.2.3"), ip("10.1.2.3")) << "one client, one spelling";
}

TEST(IpAddress, RefusesEverythingElse) {
    using namespace std::string_view_literals;
    for (const std::string_view text :
         {""sv,
          " "sv,
          "1.2.3"sv,
          "1.2.3.4.5"sv,
          "256.1.1.1"sv,
          "01.2.3.4"sv,
          "1.2.3.4 "sv,
          " 1.2.3.4"sv,
          "1.2.3.4:80"sv,
          "0x7f.0.0.1"sv,
          "2130706433"sv,
          "[::1]"sv,
          "fe80::1%eth0"sv,
          "::1::"sv,
          ":::"sv,
          "12345::"sv,
          "1:2:3:4:5:6:7:8:9"sv,
          "::1.2.3"sv,
          "localhost"sv,
          "1.2.3.4\0"sv,
          "::1\0x"sv,
          "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb"sv}) {
        EXPECT_FALSE(IpAddress::parse(text)) << text;
    }
}

TEST(IpAddress, KnowsLoopback) {
    EXPECT_TRUE(ip("127.3.2.1").is_loopback());
    EXPECT_TRUE(ip("::1").is_loopback());
    EXPECT_FALSE(ip("128.0.0.1").is_loopback());
    EXPECT_FALSE(ip("::2").is_loopback());
    EXPECT_FALSE(ip("1::1").is_loopback());
}

TEST(IpAddress, LimitsCountV6ByNetwork) {
    EXPECT_EQ(ip("192.0.2.7").limit_key(), "192.0.2.7");
    EXPECT_EQ(ip("2001:db8:1:2:3:4:5:6").limit_key(), "2001:db8:1:2::/64");
    EXPECT_EQ(ip("2001:db8:1:2::9").limit_key(), ip("2001:db8:1:2:ffff::").limit_key());
    EXPECT_NE(ip("2001:db8:1:3::9").limit_key(), ip("2001:db8:1:2::9").limit_key());
}

TEST(IpPrefix, ContainsItsNetworkOnly) {
    struct Case {
        std::string_view prefix;
        std::string_view address;
        bool inside;
    };
    for (const auto& [prefix, address, inside] : {
             Case{"10.0.0.0/8", "10.255.255.255", true},
             Case{"10.0.0.0/8", "11.0.0.0", false},
             Case{"10.0.0.0/8", "::ffff:10.1.1.1", true},
             Case{"192.0.2.128/25", "192.0.2.127", false},
             Case{"192.0.2.128/25", "192.0.2.129", true},
             Case{"0.0.0.0/0", "8.8.8.8", true},
             Case{"0.0.0.0/0", "2001:db8::1", false},
             Case{"::/0", "2001:db8::1", true},
             Case{"::1", "::1", true},
             Case{"::1", "::2", false},
             Case{"fd00::/8", "fdff::1", true},
             Case{"fd00::/8", "fe00::1", false},
             Case{"::ffff:10.0.0.0/104", "10.9.9.9", true},
         }) {
        const auto parsed = IpPrefix::parse(prefix);
        ASSERT_TRUE(parsed) << prefix;
        EXPECT_EQ(parsed->contains(ip(address)), inside) << prefix << ' ' << address;
    }
}

TEST(IpPrefix, RefusesWhatIsAmbiguous) {
    for (const std::string_view text :
         {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8x",
          "/8", "::1/129", "fd00::1/8", "10.0.0.0/8/8", "example.org/8"}) {
        EXPECT_FALSE(IpPrefix::parse(text)) << text;
    }
}

TEST(TrustedProxies, NamesTheMalformedPiece) {
    const auto bad = TrustedProxies::parse("10.0.0.0/8, nonsense");
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().id, "net.bad_prefix");
    EXPECT_NE(bad.error().message.find("nonsense"), std::string::npos);
    EXPECT_TRUE(TrustedProxies::parse("").value().empty());
    EXPECT_FALSE(TrustedProxies::parse("::1").value().empty());
}

TEST(TrustedProxies, FindsTheClientFromTheRight) {
    struct Case {
        std::string_view peer;
        std::string_view forwarded;
        std::string_view client;
    };
    const TrustedProxies proxies = TrustedProxies::parse("10.0.0.0/8, ::1").value();
    for (const auto& [peer, forwarded, client] : {
             Case{"203.0.113.9", "198.51.100.1", "203.0.113.9"},  // a stranger is not believed
             Case{"10.0.0.1", "", "10.0.0.1"},
             Case{"10.0.0.1", "198.51.100.1", "198.51.100.1"},
             Case{"10.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"},  // forged by the client
             Case{"10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"},
             Case{"10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"},
             Case{"10.0.0.1", "198.51.100.1, bogus", "10.0.0.1"},
             Case{"10.0.0.1", "198.51.100.1, bogus, 10.0.0.2", "10.0.0.2"},
             Case{"10.0.0.1", "198.51.100.1:4711", "10.0.0.1"},
             Case{"10.0.0.1", " , 198.51.100.1 ,, ", "198.51.100.1"},
             Case{"::1", "2001:db8::5", "2001:db8::5"},
         }) {
        EXPECT_EQ(proxies.client(ip(peer), forwarded).text(), client) << peer << " | " << forwarded;
    }
    EXPECT_EQ(TrustedProxies().client(ip("10.0.0.1"), "1.1.1.1").text(), "10.0.0.1");
}

}  // namespace
}  // namespace nave::net
