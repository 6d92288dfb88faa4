#include "net/bearer_gate.h"

#include <gtest/gtest.h>

namespace nave::net {
namespace {

using namespace std::chrono_literals;
using Kind = BearerGate::Verdict::Kind;

class BearerGateTest : public testing::Test {
  protected:
    static Request from(std::string_view address, std::string_view authorization) {
        Request request;
        request.client = IpAddress::parse(address).value();
        if (!authorization.empty()) {
            request.headers.push_back({"Authorization", authorization});
        }
        return request;
    }
    Kind check(std::string_view address, std::string_view authorization) {
        return gate_.check(from(address, authorization)).kind;
    }

    ManualClock clock_;
    BearerGate gate_{Secret("the-token-of-an-operator"), clock_};
};

TEST_F(BearerGateTest, OnlyTheWholeTokenOpens) {
    EXPECT_EQ(check("192.0.2.1", "Bearer the-token-of-an-operator"), Kind::open);
    for (const char* wrong :
         {"", "Bearer ", "Bearer the-token-of-an-operato", "Bearer the-token-of-an-operatorx",
          "Basic the-token-of-an-operator", "the-token-of-an-operator"}) {
        EXPECT_EQ(check("192.0.2.1", wrong), Kind::wrong_token) << wrong;
    }
}

TEST_F(BearerGateTest, TenWrongOnesMakeAnAddressWaitEvenWithTheRightOne) {
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(check("192.0.2.1", "Bearer wrong"), Kind::wrong_token) << i;
    }
    const auto verdict = gate_.check(from("192.0.2.1", "Bearer the-token-of-an-operator"));
    EXPECT_EQ(verdict.kind, Kind::wait);
    EXPECT_GT(verdict.retry_after, 0ms);
    EXPECT_LE(verdict.retry_after, 6'000ms);
    EXPECT_EQ(check("192.0.2.2", "Bearer the-token-of-an-operator"), Kind::open);
    clock_.advance(6'001ms);
    EXPECT_EQ(check("192.0.2.1", "Bearer the-token-of-an-operator"), Kind::open);
}

}  // namespace
}  // namespace nave::net
