#include "net/admission.h"

#include <gtest/gtest.h>

#include <vector>

namespace nave::net {
namespace {

IpAddress ip(std::string_view text) {
    return IpAddress::parse(text).value();
}

TEST(BodyBudget, SharesAddUpAndComeBack) {
    BodyBudget budget(100);
    BodyBudget::Share a(budget);
    {
        BodyBudget::Share b(budget);
        EXPECT_TRUE(a.grow(60));
        EXPECT_TRUE(b.grow(40));
        EXPECT_FALSE(a.grow(1));
        EXPECT_TRUE(a.grow(0));
        EXPECT_EQ(budget.used(), 100U);
        b.count(50);
        EXPECT_FALSE(b.grow(1)) << "over it already";
        BodyBudget::Share moved(std::move(b));
        EXPECT_EQ(budget.used(), 150U);
    }
    EXPECT_EQ(budget.used(), 60U);
    EXPECT_FALSE(a.grow(41));
    EXPECT_FALSE(a.grow(SIZE_MAX));
    a = BodyBudget::Share();
    EXPECT_EQ(budget.used(), 0U);
}

TEST(PeerTable, CountsByAddressAndByIpv6Network) {
    const auto table = std::make_shared<PeerTable>(2);
    PeerTable::Slot a, b, c, d;
    EXPECT_TRUE(table->admit(ip("2001:db8::1"), a));
    EXPECT_TRUE(table->admit(ip("2001:db8::ffff:1"), b));
    EXPECT_FALSE(table->admit(ip("2001:db8::2"), c)) << "the same /64";
    EXPECT_TRUE(table->admit(ip("2001:db8:0:1::2"), c));
    EXPECT_TRUE(table->admit(ip("192.0.2.1"), d));
    EXPECT_EQ(table->peers(), 3U);
    PeerTable::Slot moved(std::move(a));
    PeerTable::Slot e;
    EXPECT_FALSE(table->admit(ip("2001:db8::2"), e)) << "moving gives nothing back";
    moved = PeerTable::Slot();
    EXPECT_TRUE(table->admit(ip("2001:db8::2"), e));
    b = PeerTable::Slot();
    c = PeerTable::Slot();
    d = PeerTable::Slot();
    e = PeerTable::Slot();
    EXPECT_EQ(table->peers(), 0U) << "nobody is remembered";
}

TEST(PeerTable, ZeroIsNoLimit) {
    const auto table = std::make_shared<PeerTable>(0);
    std::vector<PeerTable::Slot> slots(100);
    for (PeerTable::Slot& slot : slots) {
        EXPECT_TRUE(table->admit(ip("192.0.2.1"), slot));
    }
    EXPECT_EQ(table->peers(), 0U);
}

}  // namespace
}  // namespace nave::net
