// WebSocket frames: however the bytes are cut, the same events come out as when they come at once;
// text is UTF-8, nothing is over the limit, and a failure is one of the three that exist. The first
// byte is the size of the pieces.
#include "base/text.h"
#include "net/ws_parser.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using nave::net::WsParser;

constexpr std::size_t kMessageMax = 1000;

void require(bool claim) {
    if (!claim) {
        std::abort();
    }
}

struct Seen {
    WsParser::Event event;
    std::uint16_t code;
    std::string payload;
    bool operator==(const Seen&) const = default;
};

void check(const WsParser& parser, WsParser::Event event) {
    using Event = WsParser::Event;
    const std::string_view payload = parser.payload();
    switch (event) {
        case Event::text:
            require(nave::is_utf8(payload));
            [[fallthrough]];
        case Event::binary:
            require(payload.size() <= kMessageMax);
            break;
        case Event::ping:
        case Event::pong:
            require(payload.size() <= nave::net::kWsControlMax);
            break;
        case Event::close:
            require(payload.size() <= nave::net::kWsControlMax - 2 && nave::is_utf8(payload));
            require(parser.close_code() == nave::net::ws_close::kNoStatus ||
                    nave::net::is_wire_close_code(parser.close_code()));
            break;
        case Event::failed:
            require(parser.error_code() == 1002 || parser.error_code() == 1007 ||
                    parser.error_code() == 1009);
            require(!parser.error_text().empty() && payload.empty());
            break;
        case Event::need_more:
            break;
    }
}

std::vector<Seen> read(std::string_view text, std::size_t piece) {
    std::vector<Seen> seen;
    WsParser parser(kMessageMax);
    for (std::size_t at = 0; at < text.size(); at += piece) {
        // A buffer of its own, so that views into an earlier piece are found out.
        const std::string_view part = text.substr(at, piece);
        std::vector<char> bytes(part.begin(), part.end());
        std::span<char> input(bytes);
        for (;;) {
            const WsParser::Event event = parser.next(input);
            require(input.data() + input.size() == bytes.data() + bytes.size());
            check(parser, event);
            if (event == WsParser::Event::need_more) {
                require(input.empty());
                break;
            }
            const bool has_code =
                event == WsParser::Event::close || event == WsParser::Event::failed;
            seen.push_back({.event = event,
                            .code = has_code ? parser.close_code() : std::uint16_t{0},
                            .payload = std::string(parser.payload())});
            if (has_code) {
                return seen;
            }
        }
    }
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t piece = data[0] % 48U + 1U;
    const std::vector<Seen> whole = read(text, std::max<std::size_t>(text.size(), 1));
    require(read(text, piece) == whole);
    return 0;
}
