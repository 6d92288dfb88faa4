#include "net/response_head.h"

#include "base/check.h"
#include "base/text.h"
#include "net/http_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace nave::net {
namespace {

constexpr std::array<std::string_view, 4> kOwnHeaders = {"content-length", "transfer-encoding",
                                                         "connection", "date"};

void append_number(std::string& out, std::size_t number) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), end);
}

// A value may carry what a client sent; a line break in it would start a header of the client's.
void append_header(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ");
    const std::size_t at = out.size();
    out.append(value);
    std::replace_if(
        out.begin() + static_cast<std::ptrdiff_t>(at), out.end(),
        [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; },
        ' ');
    out.append("\r\n");
}

void append_status_line(std::string& out, int status) {
    if (status == 200) {
        out.append("HTTP/1.1 200 OK\r\n");
        return;
    }
    CHECK(status == 101 || (status >= 200 && status <= 599), "a final status");
    out.append("HTTP/1.1 ");
    append_number(out, static_cast<std::size_t>(status));
    out.push_back(' ');
    out.append(reason_phrase(status)).append("\r\n");
}

}  // namespace

void append_response_head(std::string& out, const Response& response, const HeadOptions& options) {
    append_status_line(out, response.status);
    out.append(options.fixed_lines);
    if (!response.content_type.empty()) {
        out.append("Content-Type: ").append(response.content_type).append("\r\n");
    }
    if (options.content_length) {
        out.append("Content-Length: ");
        append_number(out, *options.content_length);
        out.append("\r\n");
    }
    if (options.chunked) {
        out.append("Transfer-Encoding: chunked\r\n");
    }
    for (const auto& [name, value] : response.headers) {
        CHECK(std::ranges::none_of(kOwnHeaders,
                                   [&](auto own) { return equal_ignoring_case(own, name); }),
              "framing headers are the server's");
        append_header(out, name, value);
    }
    if (options.default_headers != nullptr) {
        for (const auto& [name, value] : *options.default_headers) {
            const bool replaced = std::ranges::any_of(response.headers, [&](const auto& header) {
                return equal_ignoring_case(header.first, name);
            });
            if (!replaced) {
                append_header(out, name, value);
            }
        }
    }
    if (options.says_upgrade) {
        out.append(options.says_close ? "Connection: close, Upgrade\r\n"
                                      : "Connection: Upgrade\r\n");
    } else if (options.says_close) {
        out.append("Connection: close\r\n");
    } else if (options.says_keep_alive) {
        out.append("Connection: keep-alive\r\n");
    }
    out.append("X-Request-Id: ").append(options.request_id).append("\r\n\r\n");
}

std::string fixed_head_lines(UnixMillis now) {
    using namespace std::chrono;
    constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const sys_time<milliseconds> at{milliseconds(now)};
    const auto day = floor<days>(at);
    const year_month_day date(day);
    const hh_mm_ss time(floor<seconds>(at - day));
    return fmt::format(
        "Date: {}, {:02} {} {:04} {:02}:{:02}:{:02} GMT\r\nX-Content-Type-Options: nosniff\r\n",
        kDays[weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
        kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
        time.hours().count(), time.minutes().count(), time.seconds().count());
}

}  // namespace nave::net
