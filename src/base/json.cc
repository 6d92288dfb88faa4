#include "base/json.h"

#include "base/text.h"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

namespace nave::json {
namespace {

// SAX handler that builds the value itself, because Boost.JSON's own builder keeps the last of two
// members with one name: a signature could then cover one value while another is used.
struct Builder {
    static constexpr std::size_t max_object_size = Object::max_size();
    static constexpr std::size_t max_array_size = Array::max_size();
    static constexpr std::size_t max_key_size = 1024;
    static constexpr std::size_t max_string_size = boost::json::string::max_size();

    struct Frame {
        Value container;
        std::string key;
    };
    std::vector<Frame> frames;
    Value root;
    std::string pending;  // pieces of a string or key that the parser hands over in parts
    bool floats_allowed = false;
    std::string_view problem;

    using Ec = boost::json::error_code;
    using View = boost::json::string_view;

    bool refuse(std::string_view why, Ec& ec) {
        problem = why;
        ec = boost::json::error::syntax;
        return false;
    }
    void place(Value value) {
        if (frames.empty()) {
            root = std::move(value);
        } else if (Frame& top = frames.back(); top.container.is_object()) {
            top.container.get_object().emplace(top.key, std::move(value));
        } else {
            top.container.get_array().push_back(std::move(value));
        }
    }
    bool close() {
        Value done = std::move(frames.back().container);
        frames.pop_back();
        place(std::move(done));
        return true;
    }

    bool on_document_begin(Ec&) { return true; }
    bool on_document_end(Ec&) { return true; }
    bool on_object_begin(Ec&) {
        frames.push_back({Object(), {}});
        return true;
    }
    bool on_object_end(std::size_t, Ec&) { return close(); }
    bool on_array_begin(Ec&) {
        frames.push_back({Array(), {}});
        return true;
    }
    bool on_array_end(std::size_t, Ec&) { return close(); }
    bool on_key_part(View part, std::size_t, Ec&) {
        pending.append(part.data(), part.size());
        return true;
    }
    bool on_key(View part, std::size_t, Ec& ec) {
        pending.append(part.data(), part.size());
        Frame& top = frames.back();
        if (top.container.get_object().contains(pending)) {
            return refuse("duplicate_member", ec);
        }
        top.key = std::exchange(pending, {});
        return true;
    }
    bool on_string_part(View part, std::size_t, Ec&) {
        pending.append(part.data(), part.size());
        return true;
    }
    bool on_string(View part, std::size_t, Ec&) {
        if (pending.empty()) {
            place(Value(part));
        } else {
            pending.append(part.data(), part.size());
            place(Value(std::exchange(pending, {})));
        }
        return true;
    }
    bool on_number_part(View, Ec&) { return true; }
    bool on_int64(std::int64_t number, View, Ec&) {
        place(Value(number));
        return true;
    }
    bool on_uint64(std::uint64_t number, View, Ec&) {
        place(Value(number));
        return true;
    }
    bool on_double(double number, View, Ec& ec) {
        if (!floats_allowed) {
            return refuse("float", ec);
        }
        place(Value(number));
        return true;
    }
    bool on_bool(bool flag, Ec&) {
        place(Value(flag));
        return true;
    }
    bool on_null(Ec&) {
        place(Value(nullptr));
        return true;
    }
    bool on_comment_part(View, Ec&) { return true; }
    bool on_comment(View, Ec&) { return true; }
};

std::string_view reason(const Builder& builder, const boost::json::error_code& ec) {
    if (!builder.problem.empty()) {
        return builder.problem;
    }
    if (ec == boost::json::error::too_deep) {
        return "too_deep";
    }
    if (ec == boost::json::error::incomplete) {
        return "incomplete";
    }
    if (ec == boost::json::error::extra_data) {
        return "trailing_bytes";
    }
    return "syntax";
}

// RFC 8785 section 3.2.3 sorts by UTF-16 code units. UTF-8 byte order agrees except between
// U+E000..U+FFFF and the supplementary planes, whose surrogates (D800..DFFF) sort lower.
bool utf16_less(std::string_view a, std::string_view b) {
    const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    if (x == a.end() || y == b.end()) {
        return x == a.end() && y != b.end();
    }
    const auto rank = [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0xf0) {
            return 0xee00 - 1;  // supplementary: just below lead byte EE (U+E000)
        }
        return byte << 8;
    };
    const int ra = rank(*x);
    const int rb = rank(*y);
    if (ra != rb) {
        return ra < rb;
    }
    return static_cast<unsigned char>(*x) < static_cast<unsigned char>(*y);
}

bool append_canonical(std::string& out, const Value& value, std::string_view left_out);

bool append_canonical(std::string& out, const Object& object, std::string_view left_out) {
    std::vector<const boost::json::key_value_pair*> members;
    members.reserve(object.size());
    for (const auto& member : object) {
        if (left_out.empty() || member.key() != left_out) {
            members.push_back(&member);
        }
    }
    std::ranges::sort(members,
                      [](const auto* a, const auto* b) { return utf16_less(a->key(), b->key()); });
    out.push_back('{');
    for (std::size_t i = 0; i < members.size(); ++i) {
        if (i > 0) {
            out.push_back(',');
        }
        append_quoted(out, members[i]->key());
        out.push_back(':');
        if (!append_canonical(out, members[i]->value(), {})) {
            return false;
        }
    }
    out.push_back('}');
    return true;
}

bool append_canonical(std::string& out, const Value& value, std::string_view left_out) {
    switch (value.kind()) {
        case boost::json::kind::null:
            out.append("null");
            return true;
        case boost::json::kind::bool_:
            out.append(value.get_bool() ? "true" : "false");
            return true;
        case boost::json::kind::int64:
            fmt::format_to(std::back_inserter(out), "{}", value.get_int64());
            return true;
        case boost::json::kind::uint64:
            fmt::format_to(std::back_inserter(out), "{}", value.get_uint64());
            return true;
        case boost::json::kind::double_:
            return false;
        case boost::json::kind::string:
            append_quoted(out, value.get_string());
            return true;
        case boost::json::kind::array: {
            out.push_back('[');
            bool first = true;
            for (const Value& item : value.get_array()) {
                if (!std::exchange(first, false)) {
                    out.push_back(',');
                }
                if (!append_canonical(out, item, {})) {
                    return false;
                }
            }
            out.push_back(']');
            return true;
        }
        case boost::json::kind::object:
            return append_canonical(out, value.get_object(), left_out);
    }
    return false;
}

bool needs_escape(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

// Length of what needs no escape at the start of `text`. Looks at eight characters at once; where
// there may be one among them (a borrow sets the bits of bytes behind one as well), one by one.
std::size_t plain_length(std::string_view text) {
    constexpr std::uint64_t kOnes = 0x0101010101010101U;
    constexpr std::uint64_t kHigh = 0x8080808080808080U;
    const auto zero_bytes = [](std::uint64_t word) { return (word - kOnes) & ~word & kHigh; };
    std::size_t at = 0;
    while (true) {
        for (std::uint64_t eight = 0; text.size() - at >= sizeof eight; at += sizeof eight) {
            std::memcpy(&eight, text.data() + at, sizeof eight);
            const std::uint64_t control = (eight - kOnes * 0x20) & ~eight & kHigh;
            if ((control | zero_bytes(eight ^ (kOnes * '"')) |
                 zero_bytes(eight ^ (kOnes * '\\'))) != 0) {
                break;
            }
        }
        const std::size_t end = std::min(text.size(), at + sizeof(std::uint64_t));
        while (at < end && !needs_escape(text[at])) {
            ++at;
        }
        if (at < end || at == text.size()) {
            return at;
        }
    }
}

void append_escaped(std::string& out, char c) {
    switch (c) {
        case '"':
            out.append("\\\"");
            break;
        case '\\':
            out.append("\\\\");
            break;
        case '\b':
            out.append("\\b");
            break;
        case '\f':
            out.append("\\f");
            break;
        case '\n':
            out.append("\\n");
            break;
        case '\r':
            out.append("\\r");
            break;
        case '\t':
            out.append("\\t");
            break;
        default:
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    }
}

}  // namespace

Result<Value> parse(std::string_view text, Limits limits) {
    boost::json::parse_options options;
    options.max_depth = limits.depth_max;
    boost::json::basic_parser<Builder> parser(options);
    parser.handler().floats_allowed = limits.floats_allowed;
    boost::json::error_code ec;
    const std::size_t read = parser.write_some(false, text.data(), text.size(), ec);
    if (!ec && read < text.size()) {
        ec = boost::json::error::extra_data;
    }
    if (ec) {
        const std::string_view why = reason(parser.handler(), ec);
        return fail(Code::invalid, fmt::format("json.{}", why),
                    fmt::format("The JSON is malformed near byte {}: {}.", read, why),
                    ec.message());
    }
    return std::move(parser.handler().root);
}

Result<std::string> canonical(const Value& value) {
    std::string out;
    if (!append_canonical(out, value, {})) {
        return fail(Code::invalid, "json.float", "Signed JSON may hold integers only.");
    }
    return out;
}

Result<std::string> canonical(const Object& object, std::string_view member_left_out) {
    std::string out;
    if (!append_canonical(out, object, member_left_out)) {
        return fail(Code::invalid, "json.float", "Signed JSON may hold integers only.");
    }
    return out;
}

std::string text(const Value& value) {
    return boost::json::serialize(value);
}

void append_quoted(std::string& out, std::string_view raw) {
    std::string repaired;
    if (!is_utf8(raw)) {
        repaired = repair_utf8(raw);
        raw = repaired;
    }
    out.reserve(out.size() + raw.size() + 2);
    out.push_back('"');
    // What needs no escape is copied in one piece: most texts are one.
    while (!raw.empty()) {
        const std::size_t plain = plain_length(raw);
        out.append(raw.substr(0, plain));
        raw.remove_prefix(plain);
        if (!raw.empty()) {
            append_escaped(out, raw.front());
            raw.remove_prefix(1);
        }
    }
    out.push_back('"');
}

}  // namespace nave::json
