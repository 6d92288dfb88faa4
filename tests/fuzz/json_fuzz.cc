// The strict JSON parser: what it accepts is within the limits, free of duplicate members, and
// survives being written and read again.
#include "base/check.h"
#include "base/json.h"
#include "base/text.h"

#include <cstddef>
#include <cstdint>
#include <set>
#include <string_view>

namespace {

using nave::json::Limits;
using nave::json::Value;

void check_value(const Value& value, const Limits& limits, std::size_t depth) {
    CHECK(depth <= limits.depth_max, "deeper than allowed");
    if (value.is_double()) {
        CHECK(limits.floats_allowed, "a float slipped through");
    } else if (value.is_string()) {
        CHECK(nave::is_utf8(value.get_string()), "a string is not UTF-8");
    } else if (value.is_array()) {
        for (const Value& item : value.get_array()) {
            check_value(item, limits, depth + (item.is_structured() ? 1 : 0));
        }
    } else if (value.is_object()) {
        std::set<std::string_view> names;
        for (const auto& member : value.get_object()) {
            CHECK(names.insert(member.key()).second, "a duplicate member");
            CHECK(nave::is_utf8(member.key()), "a name is not UTF-8");
            check_value(member.value(), limits, depth + (member.value().is_structured() ? 1 : 0));
        }
    }
}

void check_text(std::string_view text, const Limits& limits) {
    const auto value = nave::json::parse(text, limits);
    if (!value) {
        CHECK(value.error().id.starts_with("json."), "an error without its id");
        return;
    }
    CHECK(nave::is_utf8(text), "bytes that are not UTF-8 were accepted");
    check_value(*value, limits, value->is_structured() ? 1 : 0);
    if (limits.floats_allowed) {
        return;  // Boost.JSON reads a float it wrote to within one unit in the last place only
    }
    const auto again = nave::json::parse(nave::json::text(*value), limits);
    CHECK(again && *again == *value, "writing and reading again changes the value");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_text(text, Limits());
    check_text(text, {.depth_max = 3, .floats_allowed = true});
    return 0;
}
