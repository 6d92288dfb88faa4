// JSON as this server accepts it: RFC 8259 with everything ambiguous refused (duplicate members,
// invalid UTF-8, lone surrogates, trailing bytes, too much nesting), and RFC 8785 (JCS) output for
// signatures. Wraps Boost.JSON, whose parser accepts duplicate members silently.
#pragma once

#include "base/result.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace nave::json {

using Value = boost::json::value;
using Object = boost::json::object;
using Array = boost::json::array;

struct Limits {
    std::size_t depth_max = 8;
    bool floats_allowed = false;  // signed bodies carry integers only: floats have many spellings
};

// Errors: Code::invalid, id "json.<reason>", a message with the byte offset.
[[nodiscard]] Result<Value> parse(std::string_view text, Limits limits = Limits());

// RFC 8785: members sorted by UTF-16 code units, minimal escapes, no spaces. Integers only: a
// double anywhere is Code::invalid, as parse() with default limits never yields one.
[[nodiscard]] Result<std::string> canonical(const Value& value);
[[nodiscard]] Result<std::string> canonical(const Object& object, std::string_view member_left_out);

// Compact text in member order.
[[nodiscard]] std::string text(const Value& value);

// Appends `text` as a JSON string literal with quotes; invalid UTF-8 becomes U+FFFD.
void append_quoted(std::string& out, std::string_view text);

}  // namespace nave::json
