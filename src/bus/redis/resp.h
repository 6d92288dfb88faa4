// RESP2, the protocol of Redis, as far as publishing and subscribing need it: commands are arrays
// of bulk strings, answers are lines, integers, bulk strings and flat arrays of them.
// Source: redis.io/docs/latest/develop/reference/protocol-spec.
//
// The parser bounds everything before it keeps it: what is longer, nested or malformed is an error,
// after which the connection is of no use.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace nave::bus {

// Appends one command.
void append_command(std::string& out, std::initializer_list<std::string_view> words);

struct RespValue {
    enum class Type : std::uint8_t { text, error, integer, bulk, null, array };
    static constexpr std::size_t kElementsMax = 4;

    struct Element {
        Type type = Type::null;
        std::string_view text;  // of text, error and bulk
        std::int64_t integer = 0;
    };
    Type type = Type::null;
    std::string_view text;
    std::int64_t integer = 0;
    // Of an array.
    std::array<Element, kElementsMax> elements;
    std::size_t size = 0;
};

class RespParser {
  public:
    // `bulk_bytes_max`: of one bulk string.
    explicit RespParser(std::size_t bulk_bytes_max) : bulk_bytes_max_(bulk_bytes_max) {}

    void feed(std::string_view bytes);
    enum class Outcome : std::uint8_t { value, need_more, failed };
    // On `value`: `out` holds views that are valid until the next feed() or next().
    [[nodiscard]] Outcome next(RespValue& out);
    [[nodiscard]] std::size_t buffered() const { return buffer_.size() - consumed_; }

  private:
    static constexpr std::size_t kLineMax = 1'024;

    // Nullopt: the line has not ended yet.
    [[nodiscard]] std::optional<std::string_view> take_line(std::size_t& at);
    [[nodiscard]] Outcome read_element(std::size_t& at, RespValue::Element& out);
    [[nodiscard]] Outcome read_bulk(std::size_t& at, std::int64_t length, RespValue::Element& out);
    [[nodiscard]] Outcome read_array(std::size_t& at, RespValue& out);

    std::size_t bulk_bytes_max_;
    std::string buffer_;
    std::size_t consumed_ = 0;
    bool failed_ = false;
};

}  // namespace nave::bus
