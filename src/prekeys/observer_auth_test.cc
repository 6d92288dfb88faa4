#include "prekeys/observer_auth.h"

#include "net/ip.h"

#include <gtest/gtest.h>

#include <string>

namespace nave::prekeys {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kToken = "correct horse battery";

class ObserverAuthTest : public testing::Test {
  protected:
    // Views of the request point into what the test holds.
    net::Request request(std::string_view authorization, std::string_view query = "",
                         std::string_view client = "198.51.100.7") {
        net::Request made;
        if (!authorization.empty()) {
            made.headers = {{"Authorization", authorization}};
        }
        made.query = query;
        made.client = net::IpAddress::parse(client).value();
        return made;
    }
    static std::string id(const Result<void>& outcome) {
        return outcome ? "ok" : outcome.error().id;
    }
    const std::string bearer_ = "Bearer " + std::string(kToken);

    ManualClock clock_;
    SeededEntropy entropy_{1};
    ObserverAuth auth_{Secret(std::string(kToken)), clock_, entropy_};
};

TEST_F(ObserverAuthTest, TheTokenAndNothingElse) {
    EXPECT_EQ(id(auth_.check(request(bearer_))), "ok");
    EXPECT_EQ(id(auth_.check_stream(request(bearer_))), "ok");
    for (const std::string_view wrong :
         {"", "Bearer", "Bearer ", "Bearer correct horse batter", "Bearer correct horse battery!",
          "Bearer CORRECT HORSE BATTERY", "Basic correct horse battery", "correct horse battery"}) {
        ObserverAuth fresh(Secret(std::string(kToken)), clock_, entropy_);
        EXPECT_EQ(id(fresh.check(request(wrong))), "SHADE_UNAUTHORIZED") << wrong;
        EXPECT_EQ(id(fresh.check_stream(request(wrong))), "SHADE_UNAUTHORIZED") << wrong;
    }
}

TEST_F(ObserverAuthTest, AQueryTokenOpensStreamsOnly) {
    const std::string_view query = "token=correct%20horse%20battery";
    EXPECT_EQ(id(auth_.check_stream(request("", query))), "ok");
    EXPECT_EQ(id(auth_.check(request("", query))), "SHADE_UNAUTHORIZED");
    EXPECT_EQ(id(auth_.check_stream(request("", "token="))), "SHADE_UNAUTHORIZED");
    EXPECT_EQ(id(auth_.check_stream(request("", "token=wrong"))), "SHADE_UNAUTHORIZED");
}

TEST_F(ObserverAuthTest, ATicketWorksOnceAndForThirtySeconds) {
    const std::string query = "ticket=" + auth_.make_ticket();
    EXPECT_EQ(id(auth_.check(request("", query))), "SHADE_UNAUTHORIZED") << "streams only";
    EXPECT_EQ(id(auth_.check_stream(request("", query))), "ok");
    EXPECT_EQ(id(auth_.check_stream(request("", query))), "SHADE_UNAUTHORIZED") << "single use";
    const std::string in_time = "ticket=" + auth_.make_ticket();
    const std::string late = "ticket=" + auth_.make_ticket();
    EXPECT_NE(in_time, late);
    clock_.advance(30s - 1ms);
    EXPECT_EQ(id(auth_.check_stream(request("", in_time))), "ok");
    clock_.advance(1ms);
    EXPECT_EQ(id(auth_.check_stream(request("", late))), "SHADE_UNAUTHORIZED");
    EXPECT_EQ(id(auth_.check_stream(request("", "ticket=made-up"))), "SHADE_UNAUTHORIZED");
    EXPECT_EQ(id(auth_.check_stream(request("", "ticket=made-up&token=correct%20horse%20battery"))),
              "SHADE_UNAUTHORIZED")
        << "a wrong ticket is not made good by a token beside it";
}

TEST_F(ObserverAuthTest, TenFailuresCloseTheDoor) {
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(id(auth_.check(request("Bearer wrong"))), "SHADE_UNAUTHORIZED");
    }
    const auto refused = auth_.check(request(bearer_));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().id, "SHADE_RATE_LIMITED") << "even with the token, or guessing pays";
    EXPECT_EQ(refused.error().retry_after, 6s);
    EXPECT_EQ(id(auth_.check_stream(request(bearer_))), "SHADE_RATE_LIMITED");
    EXPECT_EQ(id(auth_.check(request(bearer_, "", "198.51.100.8"))), "ok");
    clock_.advance(6s);
    EXPECT_EQ(id(auth_.check(request(bearer_))), "ok");
    EXPECT_EQ(id(auth_.check(request("Bearer wrong"))), "SHADE_UNAUTHORIZED");
    EXPECT_EQ(id(auth_.check(request(bearer_))), "SHADE_RATE_LIMITED");
}

TEST_F(ObserverAuthTest, Ipv6ClientsFailBySubnet) {
    for (int i = 0; i < 10; ++i) {
        const std::string client = "2001:db8::" + std::to_string(i + 1);
        EXPECT_EQ(id(auth_.check(request("Bearer wrong", "", client))), "SHADE_UNAUTHORIZED");
    }
    EXPECT_EQ(id(auth_.check(request(bearer_, "", "2001:db8::ffff"))), "SHADE_RATE_LIMITED");
    EXPECT_EQ(id(auth_.check(request(bearer_, "", "2001:db8:0:1::1"))), "ok");
}

TEST_F(ObserverAuthTest, ADoorThatIsClosedTakesNoTicket) {
    const std::string query = "ticket=" + auth_.make_ticket();
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(id(auth_.check(request("Bearer wrong"))), "SHADE_UNAUTHORIZED");
    }
    EXPECT_EQ(id(auth_.check_stream(request("", query))), "SHADE_RATE_LIMITED");
    clock_.advance(6s);
    EXPECT_EQ(id(auth_.check_stream(request("", query))), "ok");
}

TEST_F(ObserverAuthTest, TicketsAreBounded) {
    std::string last;
    for (int i = 0; i < 1'001; ++i) {
        last = auth_.make_ticket();
    }
    EXPECT_EQ(id(auth_.check_stream(request("", "ticket=" + last))), "ok");
}

}  // namespace
}  // namespace nave::prekeys
