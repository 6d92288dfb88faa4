// Base64 and hexadecimal: whatever decodes has exactly the spellings the header allows, and
// whatever is encoded decodes to itself.
#include "base/bytes.h"
#include "base/check.h"
#include "base/encoding.h"
#include "base/text.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nave;
    const ByteView bytes(data, size);
    const std::string_view text = as_text(bytes);

    if (const auto decoded = base64_decode(text)) {
        const std::string padded = base64(*decoded);
        const std::string url = base64url(*decoded);
        const std::string unpadded = padded.substr(0, padded.find('='));
        const std::string url_padded = url + padded.substr(unpadded.size());
        CHECK(text == padded || text == unpadded || text == url || text == url_padded,
              "a second spelling was accepted");
    }
    if (const auto decoded = hex_decode(text)) {
        CHECK(hex(*decoded) == lower(text), "hex is not its own inverse");
    }
    CHECK(base64_decode(base64(bytes)) == to_bytes(bytes), "standard base64 is lossy");
    CHECK(base64_decode(base64url(bytes)) == to_bytes(bytes), "URL base64 is lossy");
    CHECK(hex_decode(hex(bytes)) == to_bytes(bytes), "hex is lossy");
    return 0;
}
