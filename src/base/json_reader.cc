#include "base/json_reader.h"

#include "base/encoding.h"

#include <fmt/format.h>

namespace nave::json {

const Value* Reader::find(std::string_view name) const {
    const Value* value = object_.if_contains(name);
    return value == nullptr || value->is_null() ? nullptr : value;
}

std::string Reader::path_of(std::string_view name) const {
    return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

std::unexpected<Error> Reader::problem(std::string_view name, std::string_view what,
                                       std::source_location where) const {
    const std::string path = path_of(name);
    Error error(Code::invalid, "json.field", fmt::format("{} {}.", path, what), {}, where);
    error.details_json = R"({"field":)";
    append_quoted(error.details_json, path);
    error.details_json.push_back('}');
    return std::unexpected(std::move(error));
}

bool Reader::has(std::string_view name) const {
    return find(name) != nullptr;
}

Result<std::string> Reader::text(std::string_view name, std::size_t bytes_max) const {
    const Value* value = find(name);
    if (value == nullptr) {
        return problem(name, "is missing");
    }
    if (!value->is_string()) {
        return problem(name, "must be a string");
    }
    if (value->get_string().size() > bytes_max) {
        return problem(name, fmt::format("is longer than {} bytes", bytes_max));
    }
    return std::string(value->get_string());
}

Result<std::int64_t> Reader::integer(std::string_view name, std::int64_t min,
                                     std::int64_t max) const {
    const Value* value = find(name);
    if (value == nullptr) {
        return problem(name, "is missing");
    }
    if (!value->is_int64() || value->get_int64() < min || value->get_int64() > max) {
        return problem(name, fmt::format("must be an integer from {} to {}", min, max));
    }
    return value->get_int64();
}

Result<Bytes> Reader::bytes(std::string_view name, std::size_t min, std::size_t max) const {
    const Value* value = find(name);
    if (value == nullptr) {
        return problem(name, "is missing");
    }
    if (!value->is_string()) {
        return problem(name, "must be a base64 string");
    }
    auto decoded = base64_decode(value->get_string());
    if (!decoded) {
        return problem(name, "is not valid base64");
    }
    if (decoded->size() < min || decoded->size() > max) {
        return problem(
            name, min == max ? fmt::format("must decode to {} bytes, not {}", min, decoded->size())
                             : fmt::format("must decode to {} to {} bytes, not {}", min, max,
                                           decoded->size()));
    }
    return std::move(*decoded);
}

Result<Reader> Reader::object(std::string_view name) const {
    const Value* value = find(name);
    if (value == nullptr) {
        return problem(name, "is missing");
    }
    if (!value->is_object()) {
        return problem(name, "must be an object");
    }
    return Reader(value->get_object(), path_of(name));
}

Result<bool> Reader::boolean(std::string_view name, bool when_absent) const {
    const Value* value = find(name);
    if (value == nullptr) {
        return when_absent;
    }
    if (!value->is_bool()) {
        return problem(name, "must be true or false");
    }
    return value->get_bool();
}

Result<const Array*> Reader::array(std::string_view name, std::size_t count_max) const {
    const Value* value = find(name);
    if (value == nullptr) {
        return nullptr;
    }
    if (!value->is_array()) {
        return problem(name, "must be an array");
    }
    if (value->get_array().size() > count_max) {
        return problem(name, fmt::format("holds more than {} elements", count_max));
    }
    return &value->get_array();
}

Result<Reader> Reader::element(std::string_view name, const Array& array, std::size_t index) const {
    const std::string path = fmt::format("{}[{}]", name, index);
    if (!array[index].is_object()) {
        return problem(path, "must be an object");
    }
    return Reader(array[index].get_object(), path_of(path));
}

}  // namespace nave::json
