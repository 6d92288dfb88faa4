// Request heads and chunked bodies: whatever the bytes and however they are cut, the outcome is the
// same as when they come at once, and every view lies within the input. The first byte chooses the
// parser and the size of the pieces.
#include "net/chunked_body.h"
#include "net/head_parser.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using nave::net::ChunkedBody;
using nave::net::HeadLimits;
using nave::net::HeadParser;

void require(bool claim) {
    if (!claim) {
        std::abort();
    }
}

bool within(std::string_view part, std::string_view whole) {
    return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

void check_request(const HeadParser& parser, std::string_view text) {
    nave::net::Request request;
    parser.bind(request, text);
    require(parser.head_size() <= text.size());
    require(text.substr(0, parser.head_size()).ends_with("\r\n\r\n"));
    require(within(request.target, text) && !request.target.empty());
    require(request.path.starts_with('/') || request.path == "*");
    require(!(parser.is_chunked() && parser.content_length()));
    for (const nave::net::Header& header : request.headers) {
        require(within(header.name, text) && !header.name.empty());
        require(within(header.value, text));
        require(header.value.find_first_of(std::string_view("\r\n\0", 3)) ==
                std::string_view::npos);
    }
}

void fuzz_head(std::string_view text, std::size_t piece) {
    const HeadLimits limits{.head_bytes_max = 2048, .headers_max = 16, .target_bytes_max = 512};
    HeadParser whole;
    const auto expected = whole.parse(text, limits);
    HeadParser pieces;
    auto status = HeadParser::Status::need_more;
    for (std::size_t end = 0; status == HeadParser::Status::need_more && end < text.size();) {
        end = std::min(end + piece, text.size());
        const std::string moved(text.substr(0, end));
        status = pieces.parse(moved, limits);
    }
    require(status == expected || text.empty());
    require(text.empty() || pieces.error() == whole.error());
    if (expected == HeadParser::Status::done) {
        require(pieces.head_size() == whole.head_size());
        check_request(whole, text);
        check_request(pieces, text);
    }
}

void fuzz_chunked(std::string_view text, std::size_t piece) {
    constexpr std::size_t kBodyMax = 1000;
    ChunkedBody whole(kBodyMax);
    std::string_view rest = text;
    const auto expected = whole.decode(rest);
    require(within(rest, text) && whole.body().size() <= kBodyMax);
    ChunkedBody pieces(kBodyMax);
    auto status = ChunkedBody::Status::need_more;
    std::size_t used = 0;
    while (status == ChunkedBody::Status::need_more && used < text.size()) {
        std::string_view input = text.substr(used, piece);
        const std::size_t before = input.size();
        status = pieces.decode(input);
        used += before - input.size();
    }
    require(status == expected && pieces.body() == whole.body());
    require(used == text.size() - rest.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t piece = data[0] % 32U + 1U;
    if (data[0] >= 128) {
        fuzz_chunked(text, piece);
    } else {
        fuzz_head(text, piece);
    }
    return 0;
}
