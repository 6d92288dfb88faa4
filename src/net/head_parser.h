// HeadParser: the request line and header section of HTTP/1.x (RFC 9112), strictly.
//
// Incremental: call parse() again with the same bytes and more behind them; finished lines are not
// looked at again, so a head sent byte by byte costs no more than one sent whole. Everything is
// kept as offsets, so the bytes may move between calls. What two parsers could read differently is
// refused rather than repaired: bare CR or LF, folded lines, space before the colon, repeated or
// listed Content-Length, Content-Length beside Transfer-Encoding, a missing or repeated Host.
#pragma once

#include "net/request.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace nave::net {

struct HeadLimits {
    std::size_t head_bytes_max = 16 * 1024;
    std::size_t headers_max = 64;
    std::size_t target_bytes_max = 8 * 1024;
};

enum class HeadError : std::uint8_t {
    none,
    malformed,         // 400
    bad_framing,       // 400: Content-Length, Transfer-Encoding or Host
    target_too_long,   // 414
    expectation,       // 417
    head_too_large,    // 431
    too_many_headers,  // 431
    transfer_coding,   // 501
    http_version,      // 505
};

class HeadParser {
  public:
    enum class Status : std::uint8_t { need_more, done, failed };

    void reset();
    // `bytes` starts at the first byte of the request.
    [[nodiscard]] Status parse(std::string_view bytes, const HeadLimits& limits);

    [[nodiscard]] HeadError error() const { return error_; }
    // Of the whole head, with the empty line; valid once done.
    [[nodiscard]] std::size_t head_size() const { return line_begin_; }

    [[nodiscard]] Method method() const { return method_; }
    [[nodiscard]] int minor_version() const { return minor_version_; }
    [[nodiscard]] std::optional<std::uint64_t> content_length() const { return content_length_; }
    [[nodiscard]] bool is_chunked() const { return chunked_; }
    // Whether the client lets the connection live on (RFC 9112, section 9.3).
    [[nodiscard]] bool keep_alive() const;
    [[nodiscard]] bool expects_continue() const { return expects_continue_; }
    // Sets method, target, path, query and headers as views into `bytes`.
    void bind(Request& request, std::string_view bytes) const;

  private:
    struct Span {
        std::uint32_t begin = 0;
        std::uint32_t size = 0;
        [[nodiscard]] std::string_view in(std::string_view bytes) const {
            return {bytes.data() + begin, size};
        }
    };
    struct Field {
        Span name;
        Span value;
    };

    [[nodiscard]] bool parse_request_line(std::string_view bytes, std::size_t end,
                                          const HeadLimits& limits);
    [[nodiscard]] bool parse_version(std::string_view version);
    [[nodiscard]] bool parse_field(std::string_view bytes, std::size_t end);
    [[nodiscard]] bool note_field(std::string_view name, std::string_view value);
    [[nodiscard]] bool note_transfer_encoding(std::string_view value);
    [[nodiscard]] bool finish();
    [[nodiscard]] bool refuse(HeadError error);
    [[nodiscard]] HeadError too_large(std::string_view bytes, const HeadLimits& limits) const;

    std::vector<Field> fields_;
    std::uint32_t line_begin_ = 0;  // first byte of the line being read
    std::uint32_t scanned_ = 0;     // no line end before this
    Span target_;
    std::optional<std::uint64_t> content_length_;
    Method method_ = Method::other;
    HeadError error_ = HeadError::none;
    std::uint8_t minor_version_ = 1;
    std::uint8_t hosts_ = 0;
    bool have_request_line_ = false;
    bool skipped_empty_line_ = false;
    bool chunked_ = false;
    bool says_close_ = false;
    bool says_keep_alive_ = false;
    bool expects_continue_ = false;
};

}  // namespace nave::net
