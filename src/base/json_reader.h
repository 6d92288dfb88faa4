// Reader: takes typed members out of a JSON object that came from outside and remembers the path,
// so that the error says "oneTimePreKeys[3].publicKey" and not "bad request".
//
// Errors: Code::invalid, id "json.field", details {"field": path}. Unknown members are ignored.
#pragma once

#include "base/bytes.h"
#include "base/json.h"
#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nave::json {

class Reader {
  public:
    explicit Reader(const Object& object, std::string path = {})
        : object_(object), path_(std::move(path)) {}

    [[nodiscard]] bool has(std::string_view name) const;  // present and not null
    [[nodiscard]] Result<std::string> text(std::string_view name, std::size_t bytes_max) const;
    [[nodiscard]] Result<std::int64_t> integer(std::string_view name, std::int64_t min,
                                               std::int64_t max) const;
    // Base64 in any accepted spelling; the decoded length must be in [min, max] bytes.
    [[nodiscard]] Result<Bytes> bytes(std::string_view name, std::size_t min,
                                      std::size_t max) const;
    [[nodiscard]] Result<Bytes> bytes(std::string_view name, std::size_t exactly) const {
        return bytes(name, exactly, exactly);
    }
    [[nodiscard]] Result<Reader> object(std::string_view name) const;
    [[nodiscard]] Result<bool> boolean(std::string_view name, bool when_absent) const;

    // Calls `each(Reader)` for every element of an array of objects; absent counts as empty.
    template <class Each>
    [[nodiscard]] Result<void> objects(std::string_view name, std::size_t count_max,
                                       Each&& each) const;

    [[nodiscard]] std::unexpected<Error> problem(
        std::string_view name, std::string_view what,
        std::source_location where = std::source_location::current()) const;

  private:
    [[nodiscard]] const Value* find(std::string_view name) const;
    [[nodiscard]] std::string path_of(std::string_view name) const;
    [[nodiscard]] Result<const Array*> array(std::string_view name, std::size_t count_max) const;
    [[nodiscard]] Result<Reader> element(std::string_view name, const Array& array,
                                         std::size_t index) const;

    const Object& object_;
    std::string path_;
};

template <class Each>
Result<void> Reader::objects(std::string_view name, std::size_t count_max, Each&& each) const {
    TRY(const Array* list, array(name, count_max));
    if (list == nullptr) {
        return ok();
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
        TRY(const Reader reader, element(name, *list, i));
        TRY_VOID(each(reader));
    }
    return ok();
}

}  // namespace nave::json
