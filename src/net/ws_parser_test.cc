#include "net/ws_parser.h"

#include "net/ws_test_cases.h"

#include <gmock/gmock.h>

#include <random>

namespace nave::net {
namespace {

using testing::ElementsAre;

// Feeds pieces as they come and writes down what they amount to.
class Reading {
  public:
    explicit Reading(std::size_t message_bytes_max = kCaseMessageMax)
        : parser_(message_bytes_max) {}

    // A copy, since the parser works in place; freed afterwards, so that a view that outlives the
    // piece is an error that AddressSanitizer sees.
    void feed(std::string_view piece) {
        std::vector<char> bytes(piece.begin(), piece.end());
        std::span<char> input(bytes);
        while (!ended_) {
            const auto event = parser_.next(input);
            if (event == WsParser::Event::need_more) {
                EXPECT_TRUE(input.empty());
                return;
            }
            note(event);
        }
    }
    std::vector<std::string> seen;

  private:
    void note(WsParser::Event event) {
        const std::string payload = shortened(parser_.payload());
        switch (event) {
            case WsParser::Event::text:
                seen.push_back("text:" + payload);
                break;
            case WsParser::Event::binary:
                seen.push_back("binary:" + payload);
                break;
            case WsParser::Event::ping:
                seen.push_back("ping:" + payload);
                break;
            case WsParser::Event::pong:
                seen.push_back("pong:" + payload);
                break;
            case WsParser::Event::close:
                seen.push_back("close:" + std::to_string(parser_.close_code()) + ":" + payload);
                ended_ = true;
                break;
            case WsParser::Event::failed:
                EXPECT_FALSE(parser_.error_text().empty());
                seen.push_back("fail:" + std::to_string(parser_.error_code()));
                ended_ = true;
                break;
            case WsParser::Event::need_more:
                break;
        }
    }

    WsParser parser_;
    bool ended_ = false;
};

std::vector<std::string> read_in_pieces(std::string_view bytes, std::size_t size) {
    Reading reading;
    for (std::size_t at = 0; at < bytes.size(); at += size) {
        reading.feed(bytes.substr(at, size));
    }
    return reading.seen;
}

TEST(WsParser, EveryCaseInOnePiece) {
    for (const WsCase& one : ws_cases()) {
        Reading reading;
        reading.feed(one.sent);
        EXPECT_EQ(reading.seen, one.seen) << one.name;
    }
}

// The inside of a long payload is all alike, so the longest cases are not cut everywhere.
TEST(WsParser, EveryCaseByteByByte) {
    for (const WsCase& one : ws_cases()) {
        if (one.sent.size() > 66'000) {
            continue;
        }
        EXPECT_EQ(read_in_pieces(one.sent, 1), one.seen) << one.name;
    }
}

TEST(WsParser, EveryCaseInPiecesOfEverySize) {
    for (const WsCase& one : ws_cases()) {
        if (one.sent.size() > 1000) {
            EXPECT_EQ(read_in_pieces(one.sent, 999), one.seen) << one.name;
            continue;
        }
        for (const std::size_t size :
             {2U, 3U, 4U, 5U, 6U, 7U, 8U, 13U, 14U, 15U, 31U, 32U, 33U, 1000U}) {
            EXPECT_EQ(read_in_pieces(one.sent, size), one.seen) << one.name << " by " << size;
        }
    }
}

TEST(WsParser, EveryCaseCutOnceAnywhere) {
    for (const WsCase& one : ws_cases()) {
        const std::string_view sent = one.sent;
        const std::size_t step_from = 200;
        for (std::size_t cut = 0; cut <= sent.size(); cut += cut < step_from ? 1 : 9999) {
            Reading reading;
            reading.feed(sent.substr(0, cut));
            reading.feed(sent.substr(cut));
            ASSERT_EQ(reading.seen, one.seen) << one.name << " at " << cut;
        }
    }
}

TEST(WsParser, AllCasesThatGoOnInOneStream) {
    std::string stream;
    std::vector<std::string> expected;
    for (const WsCase& one : ws_cases()) {
        const bool ends = std::ranges::any_of(one.seen, [](const std::string& event) {
            return event.starts_with("fail") || event.starts_with("close");
        });
        if (!ends) {
            stream += one.sent;
            expected.insert(expected.end(), one.seen.begin(), one.seen.end());
        }
    }
    std::mt19937 random(1);
    for (int round = 0; round < 10; ++round) {
        Reading reading;
        for (std::size_t at = 0; at < stream.size();) {
            const std::size_t size = 1 + random() % (round % 2 == 0 ? 40 : 70'000);
            reading.feed(std::string_view(stream).substr(at, size));
            at += size;
        }
        EXPECT_EQ(reading.seen, expected) << round;
    }
}

TEST(WsParser, WholeMessagesStayWhereTheyAre) {
    std::string bytes = text_frame("first") + text_frame("second");
    std::span<char> input(bytes);
    WsParser parser(100);
    for (const std::string_view expected : {"first", "second"}) {
        ASSERT_EQ(parser.next(input), WsParser::Event::text);
        EXPECT_EQ(parser.payload(), expected);
        EXPECT_GE(parser.payload().data(), bytes.data());
        EXPECT_LE(parser.payload().data() + parser.payload().size(), bytes.data() + bytes.size());
    }
}

TEST(WsParser, WrongHeadersAreRefusedByTheirFirstBytes) {
    const auto first_bytes = [](std::string bytes) {
        WsParser parser(10);
        std::span<char> input(bytes);
        return parser.next(input) == WsParser::Event::failed ? parser.error_code() : 0;
    };
    EXPECT_EQ(first_bytes(TestFrame{.payload = "abc", .masked = false}.encode().substr(0, 2)),
              1002);
    EXPECT_EQ(first_bytes(control_frame(static_cast<WsOpcode>(3)).substr(0, 2)), 1002);
    EXPECT_EQ(first_bytes(TestFrame{.says_length = 11}.encode()), 1009) << "without its payload";
}

TEST(WsParser, KeepsNoMemoryBetweenMessages) {
    WsParser parser(100'000);
    std::string frame = text_frame(std::string(50'000, 'x'));
    std::span<char> first(frame.data(), 30'000);
    std::span<char> second(frame.data() + 30'000, frame.size() - 30'000);
    ASSERT_EQ(parser.next(first), WsParser::Event::need_more);
    ASSERT_EQ(parser.next(second), WsParser::Event::text);
    EXPECT_EQ(parser.payload().size(), 50'000U);
    parser.release();
    // Nothing is left behind that would count against the next message.
    std::string next = text_frame(std::string(100'000, 'y'));
    std::span<char> third(next);
    ASSERT_EQ(parser.next(third), WsParser::Event::text);
    EXPECT_EQ(parser.payload().size(), 100'000U);
}

}  // namespace
}  // namespace nave::net
