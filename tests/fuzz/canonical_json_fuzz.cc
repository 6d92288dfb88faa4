// RFC 8785 output: stable, readable by our own parser, with members in UTF-16 order. What two
// clients sign must be one text, so a second canonical form would be a forgery tool.
#include "base/check.h"
#include "base/json.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

using nave::json::Value;

// Decodes valid UTF-8; written apart from the code under test on purpose.
std::u16string utf16(std::string_view text) {
    std::u16string out;
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        std::uint32_t point = length == 1 ? lead : lead & (0xffU >> (length + 1));
        for (std::size_t k = 1; k < length; ++k) {
            point = point << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3fU);
        }
        if (point >= 0x10000) {
            out.push_back(static_cast<char16_t>(0xd800 + ((point - 0x10000) >> 10)));
            out.push_back(static_cast<char16_t>(0xdc00 + ((point - 0x10000) & 0x3ff)));
        } else {
            out.push_back(static_cast<char16_t>(point));
        }
        i += length;
    }
    return out;
}

void check_order(const Value& value) {
    if (value.is_array()) {
        for (const Value& item : value.get_array()) {
            check_order(item);
        }
    } else if (value.is_object()) {
        const std::u16string* before = nullptr;
        std::u16string last;
        for (const auto& member : value.get_object()) {
            std::u16string name = utf16(member.key());
            CHECK(before == nullptr || *before < name, "members out of order");
            last = std::move(name);
            before = &last;
            check_order(member.value());
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto value = nave::json::parse(text);
    if (!value) {
        return 0;
    }
    const auto canonical = nave::json::canonical(*value);
    CHECK(canonical.has_value(), "integers only, so there is a canonical form");
    const auto again = nave::json::parse(*canonical);
    CHECK(again && *again == *value, "the canonical form says something else");
    CHECK(nave::json::canonical(*again).value() == *canonical, "two canonical forms");
    check_order(*again);
    if (value->is_object()) {
        nave::json::Object without = value->get_object();
        without.erase("signature");
        CHECK(nave::json::canonical(value->get_object(), "signature").value() ==
                  nave::json::canonical(Value(without)).value(),
              "leaving a member out is not the same as not having it");
    }
    return 0;
}
