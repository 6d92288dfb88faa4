#include "net/ws_frame.h"

#include "net/utf8_check.h"
#include "net/ws_test_frames.h"

#include <random>

namespace nave::net {
namespace {

TEST(WsFrame, HeadersAreAsShortAsPossible) {
    struct Case {
        std::size_t length;
        std::string header;
    };
    using namespace std::string_literals;
    for (const Case& one : {Case{0, "\x82\x00"s}, Case{125, "\x82\x7d"s},
                            Case{126, "\x82\x7e\x00\x7e"s}, Case{65535, "\x82\x7e\xff\xff"s},
                            Case{65536, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s}}) {
        std::string out = "before";
        append_ws_frame(out, WsOpcode::binary, std::string(one.length, 'x'));
        EXPECT_EQ(out.substr(6, one.header.size()), one.header) << one.length;
        EXPECT_EQ(out.size(), 6 + one.header.size() + one.length);
        EXPECT_EQ(ws_frame_size(std::string_view(out).substr(6)), one.header.size() + one.length);
    }
}

TEST(WsFrame, CloseFrames) {
    std::string out;
    append_ws_close(out, 1000, "bye");
    EXPECT_EQ(out, std::string("\x88\x05\x03\xe8") + "bye");
    out.clear();
    append_ws_close(out, ws_close::kNoStatus, "dropped");
    EXPECT_EQ(out, std::string("\x88\x00", 2));
}

TEST(WsFrame, ReasonsAreCutBetweenCharacters) {
    for (const std::string_view piece : {"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
        std::string reason = "x";
        while (reason.size() < 200) {
            reason += piece;
        }
        std::string out;
        append_ws_close(out, 4000, reason);
        const std::string_view kept = std::string_view(out).substr(4);
        EXPECT_LE(kept.size(), 123U);
        EXPECT_GT(kept.size(), 123U - piece.size());
        EXPECT_TRUE(is_whole_utf8(kept)) << piece;
        EXPECT_EQ(static_cast<std::size_t>(out[1]), kept.size() + 2);
    }
}

TEST(WsFrame, MaskingInPiecesIsMaskingAtOnce) {
    std::mt19937 random(7);
    for (int round = 0; round < 500; ++round) {
        std::string plain(random() % 300, '\0');
        for (char& c : plain) {
            c = static_cast<char>(random());
        }
        std::array<char, 4> key{};
        for (char& c : key) {
            c = static_cast<char>(random());
        }
        std::string expected = plain;
        for (std::size_t i = 0; i < plain.size(); ++i) {
            expected[i] = static_cast<char>(plain[i] ^ key[i % 4]);
        }
        std::array<char, 4> turned = key;
        std::string masked = plain;
        for (std::size_t at = 0; at < masked.size();) {
            const std::size_t size = std::min<std::size_t>(1 + random() % 90, masked.size() - at);
            ws_mask(std::span(masked).subspan(at, size), turned);
            at += size;
        }
        EXPECT_EQ(masked, expected);
    }
}

TEST(WsFrame, SharedFramesShareTheirBytes) {
    EXPECT_FALSE(SharedFrame());
    EXPECT_EQ(SharedFrame().bytes(), "");
    const SharedFrame frame = SharedFrame::text("hi");
    EXPECT_TRUE(frame);
    EXPECT_EQ(frame.bytes(), "\x81\x02hi");
    const SharedFrame copy = frame;
    EXPECT_EQ(copy.bytes().data(), frame.bytes().data());
    EXPECT_EQ(SharedFrame::binary("").bytes(), std::string_view("\x82\x00", 2));
}

// Against the definition, code point by code point.
TEST(Utf8Check, AcceptsExactlyTheCodePoints) {
    const auto encoded = [](std::uint32_t point, int size) {
        std::string out;
        if (size == 1) {
            out.push_back(static_cast<char>(point));
            return out;
        }
        constexpr std::array<int, 5> kLead = {0, 0, 0xc0, 0xe0, 0xf0};
        out.push_back(static_cast<char>(kLead[static_cast<std::size_t>(size)] |
                                        static_cast<int>(point >> (6 * (size - 1)))));
        for (int i = size - 2; i >= 0; --i) {
            out.push_back(static_cast<char>(0x80 | ((point >> (6 * i)) & 0x3f)));
        }
        return out;
    };
    constexpr std::array<std::uint32_t, 5> kEnd = {0, 0x80, 0x800, 0x10000, 0x200000};
    for (int size = 1; size <= 4; ++size) {
        const std::uint32_t end = kEnd[static_cast<std::size_t>(size)];
        for (std::uint32_t point = 0; point < end; point += point < 0x11'0400 ? 1 : 997) {
            const bool shortest =
                point >= (size == 1 ? 0 : kEnd[static_cast<std::size_t>(size) - 1]);
            const bool surrogate = point >= 0xd800 && point <= 0xdfff;
            const bool good = shortest && !surrogate && point <= 0x10ffff;
            ASSERT_EQ(is_whole_utf8(encoded(point, size)), good) << point << " in " << size;
        }
    }
}

TEST(Utf8Check, SaysNoAtTheFirstWrongByte) {
    Utf8Check check;
    EXPECT_TRUE(check.feed("\xed"));
    EXPECT_FALSE(check.complete());
    EXPECT_FALSE(check.feed("\xa0")) << "a surrogate, before its last byte";
}

TEST(WsFrame, SharedFramesOfAllSizes) {
    SharedFrames frames;
    std::vector<SharedFrame> kept;
    const std::vector<std::size_t> sizes{0, 1, 125, 126, 500, 40'000, 65'535, 65'536, 70'000, 3};
    for (const std::size_t size : sizes) {
        kept.push_back(frames.text(size / 3, [&](std::string& out) { out.append(size, 'x'); }));
    }
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        EXPECT_EQ(kept[i].payload(), std::string(sizes[i], 'x'));
        EXPECT_EQ(kept[i].bytes(), SharedFrame::text(std::string(sizes[i], 'x')).bytes());
    }
}

TEST(WsFrame, OnlyNeighboursJoin) {
    SharedFrames frames;
    const auto write = [](std::string& out) { out += "abc"; };
    SharedFrame first = frames.text(3, write);
    const SharedFrame second = frames.text(3, write);
    const SharedFrame third = frames.text(3, write);
    const std::string one(first.bytes());
    EXPECT_FALSE(first.join(third));
    EXPECT_TRUE(first.join(second));
    EXPECT_EQ(first.bytes(), one + one);
    EXPECT_FALSE(first.join(second));
    EXPECT_TRUE(first.join(third));
    EXPECT_EQ(first.bytes(), one + one + one);
    EXPECT_EQ(second.payload(), "abc");
    EXPECT_FALSE(SharedFrame().join(first));
    EXPECT_FALSE(first.join(SharedFrame::text("abc")));
}

}  // namespace
}  // namespace nave::net
