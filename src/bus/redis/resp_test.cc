#include "bus/redis/resp.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace nave::bus {
namespace {

using Outcome = RespParser::Outcome;
using Type = RespValue::Type;

constexpr std::size_t kBulkMax = 20;

// As text: one entry per value, ended by "more" or "failed".
std::vector<std::string> read(std::string_view bytes, std::size_t piece) {
    std::vector<std::string> seen;
    RespParser parser(kBulkMax);
    const auto show = [](Type type, std::string_view text, std::int64_t integer) {
        switch (type) {
            case Type::text:
                return "+" + std::string(text);
            case Type::error:
                return "-" + std::string(text);
            case Type::integer:
                return ":" + std::to_string(integer);
            case Type::bulk:
                return "$" + std::string(text);
            case Type::null:
                return std::string("null");
            case Type::array:
                return std::string("*");
        }
        return std::string("?");
    };
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        parser.feed(bytes.substr(at, piece));
        RespValue value;
        Outcome outcome = Outcome::need_more;
        while ((outcome = parser.next(value)) == Outcome::value) {
            std::string text = show(value.type, value.text, value.integer);
            for (std::size_t i = 0; i < value.size; ++i) {
                const auto& element = value.elements[i];
                text += " " + show(element.type, element.text, element.integer);
            }
            seen.push_back(text);
        }
        if (outcome == Outcome::failed) {
            seen.emplace_back("failed");
            RespValue again;
            EXPECT_EQ(parser.next(again), Outcome::failed);
            return seen;
        }
    }
    return seen;
}

using Seen = std::vector<std::string>;

TEST(RespTest, WritesCommands) {
    std::string out;
    append_command(out, {"PUBLISH", "a:b", std::string_view("x\r\n\0", 4)});
    EXPECT_EQ(out, std::string("*3\r\n$7\r\nPUBLISH\r\n$3\r\na:b\r\n$4\r\nx\r\n\0\r\n", 36));
}

TEST(RespTest, ReadsTheSameHoweverItIsCut) {
    const std::string bytes =
        "+OK\r\n-ERR no\r\n:12\r\n:-3\r\n$5\r\nab\r\nc\r\n$0\r\n\r\n$-1\r\n*-1\r\n*0\r\n"
        "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$0\r\n\r\n*2\r\n+a\r\n:1\r\n";
    const Seen want{"+OK", "-ERR no",          ":12",    ":-3", "$ab\r\nc", "$", "null", "null",
                    "*",   "* $message $ch $", "* +a :1"};
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
        EXPECT_EQ(read(bytes, piece), want) << "in pieces of " << piece;
    }
}

TEST(RespTest, RefusesWhatIsMalformedLongOrNested) {
    for (const std::string& bytes :
         {std::string("x\r\n"), std::string("\r\n"), std::string(":\r\n"), std::string(":1x\r\n"),
          std::string("$x\r\n"), std::string("$-2\r\n"), std::string("$21\r\n"),
          std::string("$99999999999999999999\r\n"), std::string("$1\r\nabc"), std::string("*5\r\n"),
          std::string("*-2\r\n"), std::string("*1\r\n*1\r\n:1\r\n"), std::string("*x\r\n"),
          "+" + std::string(1'100, 'a'), std::string("%1\r\n"), std::string("_\r\n"),
          std::string("*1\r\n\r\n")}) {
        EXPECT_EQ(read(bytes, bytes.size()), Seen{"failed"}) << bytes;
        EXPECT_EQ(read(bytes, 1), Seen{"failed"}) << bytes;
    }
}

TEST(RespTest, KeepsOnlyWhatIsNotReadYet) {
    RespParser parser(kBulkMax);
    for (int i = 0; i < 1'000; ++i) {
        parser.feed("*1\r\n$20\r\n01234567890123456789\r\n");
        RespValue value;
        ASSERT_EQ(parser.next(value), Outcome::value);
        ASSERT_EQ(parser.next(value), Outcome::need_more);
        ASSERT_EQ(parser.buffered(), 0U);
    }
}

}  // namespace
}  // namespace nave::bus
