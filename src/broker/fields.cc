#include "broker/fields.h"

#include "broker/errors.h"

#include <fmt/format.h>

#include <cmath>

namespace nave::broker {
namespace {

constexpr std::size_t kTagsMax = 32;
constexpr std::size_t kTagBytes = 64;

Result<std::string> bounded_text(const json::Value& value, std::string_view name,
                                 std::size_t bytes_max) {
    if (!value.is_string()) {
        return bad_field(name, "must be a string");
    }
    const auto& text = value.get_string();
    if (text.size() > bytes_max) {
        return bad_field(name, fmt::format("is longer than {} bytes", bytes_max));
    }
    std::string copy(text.data(), text.size());
    if (copy.contains('\0')) {
        return bad_field(name, "must not hold NUL");
    }
    return copy;
}

}  // namespace

std::unexpected<Error> bad_field(std::string_view name, std::string_view what) {
    return errors::invalid_argument(fmt::format("{} {}", name, what));
}

const json::Value* find_field(const json::Object& fields, std::string_view name) {
    const json::Value* value = fields.if_contains(name);
    return value == nullptr || value->is_null() ? nullptr : value;
}

std::string text_or_empty(const json::Object& fields, std::string_view name) {
    const json::Value* value = find_field(fields, name);
    return value != nullptr && value->is_string()
               ? std::string(value->get_string().data(), value->get_string().size())
               : std::string();
}

Result<std::string> text_field(const json::Object& fields, std::string_view name,
                               std::size_t bytes_max) {
    const json::Value* value = find_field(fields, name);
    return value == nullptr ? std::string() : bounded_text(*value, name, bytes_max);
}

Result<std::string> required_text(const json::Object& fields, std::string_view name,
                                  std::size_t bytes_max) {
    TRY(auto text, text_field(fields, name, bytes_max));
    if (text.empty()) {
        return bad_field(name, "is missing");
    }
    return text;
}

Result<std::int64_t> integer_field(const json::Object& fields, std::string_view name) {
    constexpr double kExact = 9'007'199'254'740'992.0;
    const json::Value* value = find_field(fields, name);
    if (value == nullptr) {
        return 0;
    }
    if (value->is_int64()) {
        return value->get_int64();
    }
    if (value->is_double() && std::abs(value->get_double()) < kExact &&
        value->get_double() == std::floor(value->get_double())) {
        return static_cast<std::int64_t>(value->get_double());
    }
    return bad_field(name, "must be an integer");
}

Result<std::vector<std::string>> texts_field(const json::Object& fields, std::string_view name,
                                             std::size_t count_max, std::size_t bytes_max) {
    std::vector<std::string> texts;
    const json::Value* value = find_field(fields, name);
    if (value == nullptr) {
        return texts;
    }
    if (!value->is_array()) {
        return bad_field(name, "must be an array of strings");
    }
    const json::Array& list = value->get_array();
    if (list.size() > count_max) {
        return bad_field(name, fmt::format("has more than {} elements", count_max));
    }
    for (const json::Value& element : list) {
        TRY(auto text, bounded_text(element, name, bytes_max));
        texts.push_back(std::move(text));
    }
    return texts;
}

std::string texts_json(const std::vector<std::string>& texts) {
    std::string list = "[";
    for (const std::string& text : texts) {
        list.append(list.size() > 1 ? "," : "");
        json::append_quoted(list, text);
    }
    list.push_back(']');
    return list;
}

Result<std::string> tags_field(const json::Object& fields) {
    TRY(const auto tags, texts_field(fields, "tags", kTagsMax, kTagBytes));
    return texts_json(tags);
}

}  // namespace nave::broker
