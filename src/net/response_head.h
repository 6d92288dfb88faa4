// The head of a response in wire form, assembled by appends.
#pragma once

#include "base/clock.h"
#include "net/response.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nave::net {

struct HeadOptions {
    std::string_view fixed_lines;  // from fixed_head_lines(), the same for a whole second
    std::string_view request_id;
    std::optional<std::size_t> content_length;
    const std::vector<std::pair<std::string, std::string>>* default_headers = nullptr;
    bool chunked = false;
    bool says_close = false;
    bool says_upgrade = false;     // the response has an Upgrade header
    bool says_keep_alive = false;  // HTTP/1.0 has to be told
};

void append_response_head(std::string& out, const Response& response, const HeadOptions& options);

// "Date: ...\r\nX-Content-Type-Options: nosniff\r\n"
[[nodiscard]] std::string fixed_head_lines(UnixMillis now);

}  // namespace nave::net
