#include "net/head_parser.h"

#include "base/text.h"
#include "net/http_chars.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace nave::net {
namespace {

constexpr std::size_t kContentLengthDigitsMax = 18;  // fits 63 bits
// A request line is its target and little else.
constexpr std::size_t kLineBesidesTarget = 64;

std::string_view trim_blanks(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
        text.remove_suffix(1);
    }
    return text;
}

Method parse_method(std::string_view token) {
    switch (token.size()) {
        case 3:
            return token == "GET" ? Method::get : token == "PUT" ? Method::put : Method::other;
        case 4:
            return token == "POST" ? Method::post : token == "HEAD" ? Method::head : Method::other;
        case 5:
            return token == "PATCH" ? Method::patch : Method::other;
        case 6:
            return token == "DELETE" ? Method::del : Method::other;
        case 7:
            return token == "OPTIONS" ? Method::options : Method::other;
        default:
            return Method::other;
    }
}

// Length of "http://" or "https://" at the start, 0 when the target is not in absolute form.
std::size_t scheme_size(std::string_view target) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (target.size() > scheme.size() &&
            equal_ignoring_case(target.substr(0, scheme.size()), scheme)) {
            return scheme.size();
        }
    }
    return 0;
}

bool is_valid_target(std::string_view target, Method method) {
    if (target.starts_with('/')) {
        return true;
    }
    if (target == "*") {
        return method == Method::options;
    }
    const std::size_t scheme = scheme_size(target);
    const std::string_view authority =
        target.substr(scheme, target.find_first_of("/?", scheme) - scheme);
    return scheme != 0 && !authority.empty() && all_of_class(authority, kHostChar);
}

// Calls `fn` with each element of a comma-separated list.
template <class Fn>
void for_each_token(std::string_view list, Fn fn) {
    for (std::size_t begin = 0; begin <= list.size();) {
        const std::size_t end = std::min(list.find(',', begin), list.size());
        fn(trim_blanks(list.substr(begin, end - begin)));
        begin = end + 1;
    }
}

}  // namespace

void HeadParser::reset() {
    std::vector<Field> fields = std::move(fields_);
    fields.clear();
    *this = HeadParser();
    fields_ = std::move(fields);
}

HeadParser::Status HeadParser::parse(std::string_view bytes, const HeadLimits& limits) {
    for (;;) {
        const void* const found =
            std::memchr(bytes.data() + scanned_, '\n', bytes.size() - scanned_);
        if (found == nullptr) {
            scanned_ = static_cast<std::uint32_t>(bytes.size());
            error_ = too_large(bytes, limits);
            return error_ == HeadError::none ? Status::need_more : Status::failed;
        }
        const auto newline =
            static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
        const std::size_t end = newline - 1;  // of the line's content
        // Before anything else, so that the outcome does not depend on how the bytes were cut.
        error_ = too_large(bytes.substr(0, newline + 1), limits);
        if (error_ != HeadError::none) {
            return Status::failed;
        }
        if (newline == line_begin_ || bytes[end] != '\r') {
            error_ = HeadError::malformed;
            return Status::failed;
        }
        const bool is_empty = end == line_begin_;
        bool good = true;
        if (!have_request_line_) {
            if (is_empty) {
                // One empty line before the request line is tolerated (RFC 9112, section 2.2).
                good = !skipped_empty_line_ || refuse(HeadError::malformed);
                skipped_empty_line_ = true;
            } else {
                good = parse_request_line(bytes, end, limits);
            }
        } else if (is_empty) {
            good = finish();
        } else if (fields_.size() == limits.headers_max) {
            good = refuse(HeadError::too_many_headers);
        } else {
            good = parse_field(bytes, end);
        }
        if (!good) {
            return Status::failed;
        }
        const bool done = is_empty && have_request_line_;
        line_begin_ = static_cast<std::uint32_t>(newline + 1);
        scanned_ = line_begin_;
        if (done) {
            return Status::done;
        }
    }
}

bool HeadParser::refuse(HeadError error) {
    error_ = error;
    return false;
}

HeadError HeadParser::too_large(std::string_view bytes, const HeadLimits& limits) const {
    std::string_view line = bytes.substr(line_begin_);
    if (line.ends_with('\n')) {
        line.remove_suffix(1);
    }
    if (!have_request_line_ && line.size() > limits.target_bytes_max + kLineBesidesTarget) {
        return HeadError::target_too_long;
    }
    return bytes.size() > limits.head_bytes_max ? HeadError::head_too_large : HeadError::none;
}

bool HeadParser::parse_request_line(std::string_view bytes, std::size_t end,
                                    const HeadLimits& limits) {
    const std::string_view line = bytes.substr(line_begin_, end - line_begin_);
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == 0 || last == first ||
        !all_of_class(line.substr(0, first), kTokenChar)) {
        return refuse(HeadError::malformed);
    }
    if (!parse_version(line.substr(last + 1))) {
        return false;
    }
    method_ = parse_method(line.substr(0, first));
    const std::string_view target = line.substr(first + 1, last - first - 1);
    if (target.size() > limits.target_bytes_max) {
        return refuse(HeadError::target_too_long);
    }
    if (target.empty() || !all_of_class(target, kTargetChar) || !is_valid_target(target, method_)) {
        return refuse(HeadError::malformed);
    }
    target_ = {.begin = static_cast<std::uint32_t>(line_begin_ + first + 1),
               .size = static_cast<std::uint32_t>(target.size())};
    have_request_line_ = true;
    return true;
}

bool HeadParser::parse_version(std::string_view version) {
    const auto digit = [&](std::size_t i) { return version[i] >= '0' && version[i] <= '9'; };
    if (version.size() != 8 || !version.starts_with("HTTP/") || version[6] != '.' || !digit(5) ||
        !digit(7)) {
        return refuse(HeadError::malformed);
    }
    if (version[5] != '1') {
        return refuse(HeadError::http_version);
    }
    minor_version_ = version[7] == '0' ? 0 : 1;
    return true;
}

bool HeadParser::parse_field(std::string_view bytes, std::size_t end) {
    const std::string_view line = bytes.substr(line_begin_, end - line_begin_);
    const std::size_t colon = line.find(':');
    // A folded line starts with a blank, which is no token character, so it ends here too.
    if (colon == std::string_view::npos || colon == 0 ||
        !all_of_class(line.substr(0, colon), kTokenChar) ||
        !all_of_class(line.substr(colon + 1), kFieldChar)) {
        return refuse(HeadError::malformed);
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trim_blanks(line.substr(colon + 1));
    fields_.push_back({.name = {.begin = line_begin_, .size = static_cast<std::uint32_t>(colon)},
                       .value = {.begin = static_cast<std::uint32_t>(value.data() - bytes.data()),
                                 .size = static_cast<std::uint32_t>(value.size())}});
    return note_field(name, value);
}

// Lengths first: most fields are told apart by them alone.
bool HeadParser::note_field(std::string_view name, std::string_view value) {
    switch (name.size()) {
        case 4:
            if (equal_ignoring_case(name, "host")) {
                hosts_ = static_cast<std::uint8_t>(std::min(hosts_ + 1, 2));
                return value.empty() || all_of_class(value, kHostChar) ||
                       refuse(HeadError::bad_framing);
            }
            return true;
        case 6:
            if (equal_ignoring_case(name, "expect")) {
                expects_continue_ = equal_ignoring_case(value, "100-continue");
                return expects_continue_ || refuse(HeadError::expectation);
            }
            return true;
        case 10:
            if (equal_ignoring_case(name, "connection")) {
                for_each_token(value, [this](std::string_view token) {
                    says_close_ = says_close_ || equal_ignoring_case(token, "close");
                    says_keep_alive_ = says_keep_alive_ || equal_ignoring_case(token, "keep-alive");
                });
            }
            return true;
        case 14:
            if (equal_ignoring_case(name, "content-length")) {
                std::uint64_t length = 0;
                const bool digits =
                    std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
                if (content_length_ || value.empty() || value.size() > kContentLengthDigitsMax ||
                    !digits) {
                    return refuse(HeadError::bad_framing);
                }
                std::from_chars(value.data(), value.data() + value.size(), length);
                content_length_ = length;
            }
            return true;
        case 17:
            return !equal_ignoring_case(name, "transfer-encoding") || note_transfer_encoding(value);
        default:
            return true;
    }
}

bool HeadParser::note_transfer_encoding(std::string_view value) {
    // HTTP/1.0 has no transfer codings, so whoever sends one there has been misread by someone.
    if (chunked_ || minor_version_ == 0) {
        return refuse(HeadError::bad_framing);
    }
    if (!equal_ignoring_case(value, "chunked")) {
        bool repeats = false;
        int chunked = 0;
        for_each_token(value, [&](std::string_view token) {
            chunked += equal_ignoring_case(token, "chunked") ? 1 : 0;
            repeats = repeats || token.empty();
        });
        return refuse(repeats || chunked > 1 ? HeadError::bad_framing : HeadError::transfer_coding);
    }
    chunked_ = true;
    return true;
}

bool HeadParser::finish() {
    if (hosts_ > 1 || (hosts_ == 0 && minor_version_ == 1) || (chunked_ && content_length_)) {
        return refuse(HeadError::bad_framing);
    }
    expects_continue_ = expects_continue_ && minor_version_ == 1;
    return true;
}

bool HeadParser::keep_alive() const {
    return !says_close_ && (minor_version_ == 1 || says_keep_alive_);
}

void HeadParser::bind(Request& request, std::string_view bytes) const {
    request.method = method_;
    request.is_http_1_0 = minor_version_ == 0;
    request.target = target_.in(bytes);
    std::string_view rest = request.target;
    if (!rest.starts_with('/') && rest != "*") {
        // Absolute form: scheme and authority say nothing that the listener does not know.
        rest.remove_prefix(std::min(rest.find_first_of("/?", scheme_size(rest)), rest.size()));
    }
    const std::size_t question = rest.find('?');
    request.path = rest.substr(0, question);
    request.query =
        question == std::string_view::npos ? std::string_view() : rest.substr(question + 1);
    if (request.path.empty()) {
        request.path = "/";
    }
    request.headers.clear();
    for (const Field& field : fields_) {
        request.headers.push_back({.name = field.name.in(bytes), .value = field.value.in(bytes)});
    }
}

}  // namespace nave::net
