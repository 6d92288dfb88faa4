// For tests: what a client may send and what comes of it. Each case is run through the parser, cut
// everywhere, and through a server on loopback. After RFC 6455 and the Autobahn test suite.
#pragma once

#include "net/ws_test_frames.h"

#include <string>
#include <vector>

namespace nave::net {

inline constexpr std::size_t kCaseMessageMax = 100'000;

struct WsCase {
    std::string name;
    std::string sent;
    // Of what the session or peer sees: "text:..", "binary:..", "ping:..", "pong:..",
    // "close:CODE:reason", "fail:CODE". Payloads over 60 bytes are given by "#length".
    std::vector<std::string> seen;
};

inline std::string shortened(std::string_view payload) {
    return payload.size() > 60 ? "#" + std::to_string(payload.size()) : std::string(payload);
}

namespace cases {

using Op = WsOpcode;

inline std::string part(Op opcode, std::string_view payload, bool fin) {
    return TestFrame{.opcode = opcode, .payload = std::string(payload), .fin = fin}.encode();
}
inline std::string raw_close(std::string payload) {
    return TestFrame{.opcode = Op::close, .payload = std::move(payload)}.encode();
}

inline void lengths(std::vector<WsCase>& out) {
    for (const std::size_t size :
         {0U, 1U, 124U, 125U, 126U, 127U, 128U, 65534U, 65535U, 65536U, 65537U}) {
        const std::string payload(size, '*');
        const std::string name = "length " + std::to_string(size);
        out.push_back({name, text_frame(payload), {"text:" + shortened(payload)}});
        out.push_back(
            {name + " binary", part(Op::binary, payload, true), {"binary:" + shortened(payload)}});
    }
    const std::string payload(5, 'x');
    out.push_back({"length 5 in two digits",
                   TestFrame{.payload = payload, .length_digits = 2}.encode(),
                   {"fail:1002"}});
    out.push_back({"length 5 in eight digits",
                   TestFrame{.payload = payload, .length_digits = 8}.encode(),
                   {"fail:1002"}});
    out.push_back({"length 125 in two digits",
                   TestFrame{.payload = std::string(125, 'x'), .length_digits = 2}.encode(),
                   {"fail:1002"}});
    out.push_back({"length 65535 in eight digits",
                   TestFrame{.payload = std::string(65535, 'x'), .length_digits = 8}.encode(),
                   {"fail:1002"}});
    out.push_back({"length with the sign bit",
                   TestFrame{.length_digits = 8, .says_length = 1ULL << 63}.encode(),
                   {"fail:1002"}});
    out.push_back({"length of 63 bits",
                   TestFrame{.length_digits = 8, .says_length = (1ULL << 63) - 1}.encode(),
                   {"fail:1009"}});
    out.push_back({"one byte too many",
                   TestFrame{.says_length = kCaseMessageMax + 1}.encode(),
                   {"fail:1009"}});
    const std::string most(kCaseMessageMax, 'm');
    out.push_back({"as much as allowed", text_frame(most), {"text:" + shortened(most)}});
    out.push_back({"too many over fragments",
                   part(Op::binary, most, false) +
                       TestFrame{.opcode = Op::continuation, .says_length = 1}.encode(),
                   {"fail:1009"}});
    out.push_back({"as much as allowed over fragments",
                   part(Op::binary, most.substr(1), false) + part(Op::continuation, "m", false) +
                       part(Op::continuation, "", true),
                   {"binary:" + shortened(most)}});
}

inline void headers(std::vector<WsCase>& out) {
    for (const int bits : {0x40, 0x20, 0x10, 0x70}) {
        for (const Op opcode : {Op::text, Op::binary, Op::ping, Op::close}) {
            out.push_back(
                {"reserved bits " + std::to_string(bits) + " of opcode " +
                     std::to_string(static_cast<int>(opcode)),
                 text_frame("fine") + TestFrame{.opcode = opcode,
                                                .payload = "ab",
                                                .reserved = static_cast<std::uint8_t>(bits)}
                                          .encode(),
                 {"text:fine", "fail:1002"}});
        }
    }
    for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
        out.push_back(
            {"opcode " + std::to_string(opcode),
             text_frame("fine") + part(static_cast<Op>(opcode), "", true) + text_frame("never"),
             {"text:fine", "fail:1002"}});
    }
    for (const Op opcode : {Op::text, Op::binary, Op::ping, Op::pong, Op::close}) {
        out.push_back({"no mask, opcode " + std::to_string(static_cast<int>(opcode)),
                       TestFrame{.opcode = opcode, .masked = false}.encode(),
                       {"fail:1002"}});
    }
}

inline void control(std::vector<WsCase>& out) {
    const std::string longest(125, 'p');
    out.push_back({"ping", control_frame(Op::ping), {"ping:"}});
    out.push_back({"ping with bytes",
                   control_frame(Op::ping, std::string("\x00\xff\xfe", 3)),
                   {std::string("ping:\x00\xff\xfe", 8)}});
    out.push_back({"longest ping", control_frame(Op::ping, longest), {"ping:#125"}});
    out.push_back({"ping too long", control_frame(Op::ping, longest + "p"), {"fail:1002"}});
    out.push_back({"pong too long", control_frame(Op::pong, longest + "p"), {"fail:1002"}});
    out.push_back({"close too long", raw_close(close_payload(1000, longest)), {"fail:1002"}});
    out.push_back({"pong nobody asked for",
                   control_frame(Op::pong, "x") + text_frame("next"),
                   {"pong:x", "text:next"}});
    out.push_back({"fragmented ping", part(Op::ping, "a", false), {"fail:1002"}});
    out.push_back({"fragmented close", part(Op::close, close_payload(1000), false), {"fail:1002"}});
    std::string pings;
    std::vector<std::string> seen;
    for (int i = 0; i < 10; ++i) {
        pings += control_frame(Op::ping, std::to_string(i));
        seen.push_back("ping:" + std::to_string(i));
    }
    out.push_back({"ten pings", pings, seen});
}

inline void fragments(std::vector<WsCase>& out) {
    out.push_back({"two fragments",
                   part(Op::text, "frag", false) + part(Op::continuation, "ment", true),
                   {"text:fragment"}});
    out.push_back({"empty fragments",
                   part(Op::text, "", false) + part(Op::continuation, "", false) +
                       part(Op::continuation, "", true),
                   {"text:"}});
    out.push_back(
        {"empty, then all",
         part(Op::binary, "", false) + part(Op::continuation, "all", true) + text_frame("next"),
         {"binary:all", "text:next"}});
    out.push_back({"control frames between fragments",
                   part(Op::text, "a", false) + control_frame(Op::ping, "1") +
                       part(Op::continuation, "b", false) + control_frame(Op::pong, "2") +
                       control_frame(Op::ping, "3") + part(Op::continuation, "c", true),
                   {"ping:1", "pong:2", "ping:3", "text:abc"}});
    out.push_back({"close between fragments",
                   part(Op::text, "a", false) + close_frame(1000, "bye"),
                   {"close:1000:bye"}});
    out.push_back({"continuation of nothing", part(Op::continuation, "x", true), {"fail:1002"}});
    out.push_back(
        {"unfinished continuation of nothing", part(Op::continuation, "x", false), {"fail:1002"}});
    out.push_back({"continuation after the end",
                   text_frame("a") + part(Op::continuation, "b", true),
                   {"text:a", "fail:1002"}});
    out.push_back(
        {"text inside a message", part(Op::text, "a", false) + text_frame("b"), {"fail:1002"}});
    out.push_back({"binary inside a message",
                   part(Op::text, "a", false) + part(Op::binary, "b", false),
                   {"fail:1002"}});
    std::string many = part(Op::text, "0", false);
    for (int i = 0; i < 70; ++i) {
        many += part(Op::continuation, "1", false);
    }
    out.push_back({"many fragments", many + part(Op::continuation, "2", true), {"text:#72"}});
}

inline void utf8(std::vector<WsCase>& out) {
    const auto text = [](std::string_view name, std::string_view bytes, bool good) {
        return WsCase{"UTF-8, " + std::string(name),
                      text_frame(bytes),
                      {good ? "text:" + std::string(bytes) : "fail:1007"}};
    };
    out.push_back(text("all lengths", "a\xc2\xa2\xe2\x82\xac\xf0\x90\x8d\x88", true));
    out.push_back(text("Greek", "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", true));
    out.push_back(text("first of two", "\xc2\x80", true));
    out.push_back(text("last of two", "\xdf\xbf", true));
    out.push_back(text("first of three", "\xe0\xa0\x80", true));
    out.push_back(text("below the surrogates", "\xed\x9f\xbf", true));
    out.push_back(text("above the surrogates", "\xee\x80\x80", true));
    out.push_back(text("last of three", "\xef\xbf\xbf", true));
    out.push_back(text("first of four", "\xf0\x90\x80\x80", true));
    out.push_back(text("last code point", "\xf4\x8f\xbf\xbf", true));
    out.push_back(text("a NUL", std::string_view("\0", 1), true));
    out.push_back(text("a byte order mark", "\xef\xbb\xbf", true));
    out.push_back(text("a lone continuation", "\x80", false));
    out.push_back(text("overlong slash in two", "\xc0\xaf", false));
    out.push_back(text("overlong slash in three", "\xe0\x80\xaf", false));
    out.push_back(text("overlong slash in four", "\xf0\x80\x80\xaf", false));
    out.push_back(text("overlong in two, the largest", "\xc1\xbf", false));
    out.push_back(text("overlong in three, the largest", "\xe0\x9f\xbf", false));
    out.push_back(text("overlong in four, the largest", "\xf0\x8f\xbf\xbf", false));
    out.push_back(text("first surrogate", "\xed\xa0\x80", false));
    out.push_back(text("last surrogate", "\xed\xbf\xbf", false));
    out.push_back(text("surrogate pair", "\xed\xa0\x80\xed\xb0\x80", false));
    out.push_back(text("above the last code point", "\xf4\x90\x80\x80", false));
    out.push_back(text("five bytes", "\xf8\x88\x80\x80\x80", false));
    out.push_back(text("six bytes", "\xfc\x84\x80\x80\x80\x80", false));
    out.push_back(text("FE", "\xfe", false));
    out.push_back(text("FF", "\xff", false));
    out.push_back(text("cut in two", "\xc2", false));
    out.push_back(text("cut in three", "\xe2\x82", false));
    out.push_back(text("cut in four", "\xf0\x90\x8d", false));
    out.push_back(text("a letter instead of a continuation", "\xe2\x82z", false));
    const std::string ascii(100, 'a');
    out.push_back(text("wrong after a long stretch", ascii + "\xff" + ascii, false));
    out.push_back({"UTF-8, right after a long stretch",
                   text_frame(ascii + "\xc3\xa4" + ascii),
                   {"text:#202"}});
    out.push_back({"UTF-8 cut between fragments",
                   part(Op::text, "\xf0\x90", false) + part(Op::continuation, "\x8d", false) +
                       control_frame(Op::ping) + part(Op::continuation, "\x88", true),
                   {"ping:", "text:\xf0\x90\x8d\x88"}});
    out.push_back({"UTF-8 cut at the end of the message",
                   part(Op::text, "ok", false) + part(Op::continuation, "\xf0\x90", true),
                   {"fail:1007"}});
    // The rest of the message need not come.
    out.push_back({"UTF-8 wrong in the first fragment",
                   part(Op::text, "\xce\xba\xed\xa0", false),
                   {"fail:1007"}});
    out.push_back({"UTF-8 wrong in half a frame",
                   TestFrame{.payload = "ok\xff", .says_length = 1000}.encode(),
                   {"fail:1007"}});
    out.push_back(
        {"binary need not be UTF-8", part(Op::binary, "\xff\xfe", true), {"binary:\xff\xfe"}});
}

inline void closes(std::vector<WsCase>& out) {
    out.push_back({"close without a code", control_frame(Op::close), {"close:1005:"}});
    out.push_back({"close with half a code", raw_close("\x03"), {"fail:1002"}});
    out.push_back(
        {"close with a reason", close_frame(1000, "\xe2\x82\xac"), {"close:1000:\xe2\x82\xac"}});
    out.push_back({"close with the longest reason",
                   close_frame(1000, std::string(123, 'r')),
                   {"close:1000:#123"}});
    out.push_back({"close with a wrong reason", close_frame(1000, "\xff"), {"fail:1007"}});
    out.push_back({"close with a cut reason", close_frame(1000, "\xe2\x82"), {"fail:1007"}});
    out.push_back({"frames after close", close_frame(1000) + text_frame("never"), {"close:1000:"}});
    for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
                           3000, 3999, 4000, 4999}) {
        out.push_back({"close code " + std::to_string(code),
                       close_frame(static_cast<std::uint16_t>(code)),
                       {"close:" + std::to_string(code) + ":"}});
    }
    for (const int code :
         {0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
        out.push_back({"close code " + std::to_string(code),
                       close_frame(static_cast<std::uint16_t>(code)),
                       {"fail:1002"}});
    }
}

}  // namespace cases

inline std::vector<WsCase> ws_cases() {
    std::vector<WsCase> out;
    cases::lengths(out);
    cases::headers(out);
    cases::control(out);
    cases::fragments(out);
    cases::utf8(out);
    cases::closes(out);
    return out;
}

}  // namespace nave::net
