#include "net/chunked_body.h"

#include <gtest/gtest.h>

namespace nave::net {
namespace {

using Status = ChunkedBody::Status;

struct Outcome {
    Status status;
    std::string body;
    std::string rest;
};

Outcome decode(std::string_view input, std::size_t body_max = 1000) {
    ChunkedBody chunked(body_max);
    const Status status = chunked.decode(input);
    return {.status = status, .body = chunked.body(), .rest = std::string(input)};
}

TEST(ChunkedBody, DecodesAndLeavesTheRest) {
    const auto [status, body, rest] = decode(
        "5\r\nhello\r\n1;a=b;c=\"d e\"\r\n \r\n00A\r\n0123456789\r\n0;x\r\nTrailer: "
        "v\r\nT2:\r\n\r\n"
        "GET /");
    EXPECT_EQ(status, Status::done);
    EXPECT_EQ(body, "hello 0123456789");
    EXPECT_EQ(rest, "GET /");
    EXPECT_EQ(decode("0\r\n\r\n").status, Status::done);
    EXPECT_EQ(decode("5\r\nhello\r\n").status, Status::need_more);
    EXPECT_EQ(decode("4\r\n\r\n\r\n\r\n0\r\n\r\n").body, "\r\n\r\n");
}

TEST(ChunkedBody, BytesMayArriveOneByOne) {
    ChunkedBody chunked(100);
    const std::string_view text = "3;e\r\nabc\r\nA\r\n0123456789\r\n0\r\nA: b\r\n\r\n";
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string_view one = text.substr(i, 1);
        ASSERT_EQ(chunked.decode(one), i + 1 == text.size() ? Status::done : Status::need_more)
            << i;
        ASSERT_TRUE(one.empty());
    }
    EXPECT_EQ(chunked.take_body(), "abc0123456789");
}

TEST(ChunkedBody, RefusesWhatCanBeReadInTwoWays) {
    using namespace std::string_view_literals;
    for (const std::string_view text : {"\r\n"sv,
                                        " 5\r\n"sv,
                                        "5 \r\nhello"sv,
                                        "5\nhello"sv,
                                        "5\r\nhelloX"sv,
                                        "5\r\nhello\n"sv,
                                        "5\r\nhello\rX"sv,
                                        "0x5\r\n"sv,
                                        "+5\r\n"sv,
                                        "-1\r\n"sv,
                                        "g\r\n"sv,
                                        ";a\r\n"sv,
                                        "5\rX"sv,
                                        "5;a\nb\r\n"sv,
                                        "5;\x01\r\n"sv,
                                        "0\r\n X: y\r\n\r\n"sv,
                                        "0\r\nX y\r\n\r\n"sv,
                                        "0\r\nX\r\n\r\n"sv,
                                        "0\r\n: y\r\n\r\n"sv,
                                        "0\r\nX: y\nZ: a\r\n\r\n"sv,
                                        "0\r\n\rX"sv,
                                        "0\r\nX: \0\r\n\r\n"sv,
                                        "5 ;a\r\n"sv,
                                        "\0"sv}) {
        EXPECT_EQ(decode(text).status, Status::malformed) << text;
    }
}

TEST(ChunkedBody, BoundsTheBody) {
    EXPECT_EQ(decode("3e8\r\n", 1000).status, Status::need_more);
    EXPECT_EQ(decode("3e9", 1000).status, Status::too_large) << "before any of it is read";
    EXPECT_EQ(decode("5\r\nhello\r\n6", 10).status, Status::too_large);
    EXPECT_EQ(decode("ffffffffffffffffffffff", ~std::size_t{0} / 16).status, Status::too_large);
    EXPECT_EQ(decode(std::string(10'000, '0') + "1", 5).status, Status::malformed)
        << "a size is not an endless row of zeros";
}

TEST(ChunkedBody, BoundsExtensionsAndTrailers) {
    EXPECT_EQ(decode("1;" + std::string(4000, 'x') + "\r\n").status, Status::need_more);
    EXPECT_EQ(decode("1;" + std::string(5000, 'x')).status, Status::malformed);
    std::string many;
    for (int i = 0; i < 900; ++i) {
        many += "1;abcd\r\nx\r\n";
    }
    EXPECT_EQ(decode(many, 5000).status, Status::malformed) << "together, not each";
    EXPECT_EQ(decode("0\r\nX: " + std::string(5000, 'x')).status, Status::malformed);
}

}  // namespace
}  // namespace nave::net
