// Writes one JSON object after the other into a string: for answers whose shape is fixed, where
// building a tree first would cost more than the answer. Names are literals that need no escaping.
#pragma once

#include "base/bytes.h"
#include "base/encoding.h"
#include "base/json.h"

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace nave::json {

class ObjectWriter {
  public:
    explicit ObjectWriter(std::string& out) : out_(out) { out_.push_back('{'); }

    void text(std::string_view name, std::string_view value) {
        key(name);
        append_quoted(out_, value);
    }
    // Text that is known to need no escaping: hex, base64, ids.
    void plain(std::string_view name, std::string_view value) {
        key(name);
        out_.push_back('"');
        out_.append(value);
        out_.push_back('"');
    }
    void bytes(std::string_view name, ByteView value) {
        key(name);
        out_.push_back('"');
        base64_append(out_, value);
        out_.push_back('"');
    }
    void integer(std::string_view name, std::int64_t value) {
        key(name);
        char digits[20];
        const auto end = std::to_chars(std::begin(digits), std::end(digits), value).ptr;
        out_.append(std::begin(digits), end);
    }
    // JSON text as it is.
    void raw(std::string_view name, std::string_view json_text) {
        key(name);
        out_.append(json_text);
    }
    void boolean(std::string_view name, bool value) { raw(name, value ? "true" : "false"); }
    // Starts a nested object under `name`; the caller closes it before going on.
    [[nodiscard]] ObjectWriter object(std::string_view name) {
        key(name);
        return ObjectWriter(out_);
    }
    void close() { out_.push_back('}'); }

  private:
    void key(std::string_view name) {
        if (!first_) {
            out_.push_back(',');
        }
        first_ = false;
        out_.push_back('"');
        out_.append(name);
        out_.append("\":");
    }
    std::string& out_;
    bool first_ = true;
};

}  // namespace nave::json
