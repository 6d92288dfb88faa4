// RESP: however the bytes are cut, the same values come out as when they come at once, and none is
// over the limits. The first byte is the size of the pieces.
#include "bus/redis/resp.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using nave::bus::RespParser;
using nave::bus::RespValue;

constexpr std::size_t kBulkMax = 100;

void require(bool claim) {
    if (!claim) {
        std::abort();
    }
}

void append(std::string& out, RespValue::Type type, std::string_view text, std::int64_t integer) {
    require(text.size() <= 1'024);
    out.push_back(static_cast<char>('a' + static_cast<int>(type)));
    out.append(text);
    out.append(std::to_string(integer));
}

std::vector<std::string> read(std::string_view bytes, std::size_t piece) {
    std::vector<std::string> seen;
    RespParser parser(kBulkMax);
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        parser.feed(bytes.substr(at, piece));
        RespValue value;
        RespParser::Outcome outcome = RespParser::Outcome::need_more;
        while ((outcome = parser.next(value)) == RespParser::Outcome::value) {
            std::string text;
            append(text, value.type, value.text, value.integer);
            for (std::size_t i = 0; i < value.size; ++i) {
                append(text, value.elements[i].type, value.elements[i].text,
                       value.elements[i].integer);
            }
            seen.push_back(std::move(text));
        }
        if (outcome == RespParser::Outcome::failed) {
            seen.emplace_back("failed");
            break;
        }
    }
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t piece = data[0] % 48U + 1U;
    require(read(bytes, piece) == read(bytes, std::max<std::size_t>(bytes.size(), 1)));
    return 0;
}
