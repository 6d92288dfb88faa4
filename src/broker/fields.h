// Fields of messages from clients. Unknown fields are ignored, null counts as absent. Text that
// will be stored is read with a limit and must not hold NUL, which PostgreSQL cannot keep.
//
// Errors: "invalid_argument", with a message that names the field.
#pragma once

#include "base/json.h"
#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nave::broker {

// Null when it is absent.
[[nodiscard]] const json::Value* find_field(const json::Object& fields, std::string_view name);
// As it is; empty when it is absent or no string.
[[nodiscard]] std::string text_or_empty(const json::Object& fields, std::string_view name);

// Empty when it is absent.
[[nodiscard]] Result<std::string> text_field(const json::Object& fields, std::string_view name,
                                             std::size_t bytes_max);
// One byte at least.
[[nodiscard]] Result<std::string> required_text(const json::Object& fields, std::string_view name,
                                                std::size_t bytes_max);
// 0 when it is absent. Numbers come from JavaScript: 1.0 is an integer too.
[[nodiscard]] Result<std::int64_t> integer_field(const json::Object& fields, std::string_view name);
// An array of strings; empty when it is absent. The limits are those of the array and of each text.
[[nodiscard]] Result<std::vector<std::string>> texts_field(const json::Object& fields,
                                                           std::string_view name,
                                                           std::size_t count_max,
                                                           std::size_t bytes_max);
[[nodiscard]] std::string texts_json(const std::vector<std::string>& texts);
// `tags`: 32 of 64 bytes each at most; JSON text of the array.
[[nodiscard]] Result<std::string> tags_field(const json::Object& fields);

[[nodiscard]] std::unexpected<Error> bad_field(std::string_view name, std::string_view what);

}  // namespace nave::broker
