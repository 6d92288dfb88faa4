#include "bus/redis/resp.h"

#include "base/text.h"

#include <fmt/format.h>

#include <iterator>

namespace nave::bus {

void append_command(std::string& out, std::initializer_list<std::string_view> words) {
    fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
    for (const std::string_view word : words) {
        fmt::format_to(std::back_inserter(out), "${}\r\n", word.size());
        out.append(word);
        out.append("\r\n");
    }
}

void RespParser::feed(std::string_view bytes) {
    buffer_.erase(0, consumed_);
    consumed_ = 0;
    buffer_.append(bytes);
}

std::optional<std::string_view> RespParser::take_line(std::size_t& at) {
    const std::string_view rest =
        std::string_view(buffer_).substr(at, kLineMax);  // a longer line is none
    const auto end = rest.find("\r\n");
    if (end == std::string_view::npos) {
        failed_ = rest.size() >= kLineMax;
        return std::nullopt;
    }
    at += end + 2;
    return rest.substr(0, end);
}

RespParser::Outcome RespParser::read_bulk(std::size_t& at, std::int64_t length,
                                          RespValue::Element& out) {
    if (length == -1) {
        out.type = RespValue::Type::null;
        return Outcome::value;
    }
    if (length < 0 || static_cast<std::uint64_t>(length) > bulk_bytes_max_) {
        return Outcome::failed;
    }
    const auto bytes = static_cast<std::size_t>(length);
    const std::string_view rest = std::string_view(buffer_).substr(at);
    if (rest.size() < bytes + 2) {
        return Outcome::need_more;
    }
    if (rest.substr(bytes, 2) != "\r\n") {
        return Outcome::failed;
    }
    out.type = RespValue::Type::bulk;
    out.text = rest.substr(0, bytes);
    at += bytes + 2;
    return Outcome::value;
}

RespParser::Outcome RespParser::read_element(std::size_t& at, RespValue::Element& out) {
    const auto line = take_line(at);
    if (!line) {
        return failed_ ? Outcome::failed : Outcome::need_more;
    }
    if (line->empty()) {
        return Outcome::failed;
    }
    const std::string_view body = line->substr(1);
    switch (line->front()) {
        case '+':
        case '-':
            out.type = line->front() == '+' ? RespValue::Type::text : RespValue::Type::error;
            out.text = body;
            return Outcome::value;
        case ':':
        case '$': {
            const auto number = parse_int(body);
            if (!number) {
                return Outcome::failed;
            }
            if (line->front() == '$') {
                return read_bulk(at, *number, out);
            }
            out.type = RespValue::Type::integer;
            out.integer = *number;
            return Outcome::value;
        }
        default:
            return Outcome::failed;
    }
}

RespParser::Outcome RespParser::read_array(std::size_t& at, RespValue& out) {
    const auto line = take_line(at);
    if (!line) {
        return failed_ ? Outcome::failed : Outcome::need_more;
    }
    const auto count = parse_int(line->substr(1));
    if (!count || *count < -1 || *count > static_cast<std::int64_t>(RespValue::kElementsMax)) {
        return Outcome::failed;
    }
    if (*count == -1) {
        out.type = RespValue::Type::null;
        return Outcome::value;
    }
    out.type = RespValue::Type::array;
    out.size = static_cast<std::size_t>(*count);
    for (std::size_t i = 0; i < out.size; ++i) {
        if (const Outcome outcome = read_element(at, out.elements[i]); outcome != Outcome::value) {
            return outcome;
        }
    }
    return Outcome::value;
}

RespParser::Outcome RespParser::next(RespValue& out) {
    out = RespValue();
    if (failed_) {
        return Outcome::failed;
    }
    if (buffered() == 0) {
        return Outcome::need_more;
    }
    std::size_t at = consumed_;
    Outcome outcome = Outcome::need_more;
    if (buffer_[at] == '*') {
        outcome = read_array(at, out);
    } else {
        RespValue::Element element;
        outcome = read_element(at, element);
        out.type = element.type;
        out.text = element.text;
        out.integer = element.integer;
    }
    if (outcome == Outcome::value) {
        consumed_ = at;
    }
    failed_ = outcome == Outcome::failed;
    return outcome;
}

}  // namespace nave::bus
