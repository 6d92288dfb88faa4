// ChunkedBody: incremental decoder of the chunked transfer coding (RFC 9112, section 7.1).
//
// Strict where tolerance has been used for smuggling: sizes are bare hexadecimal digits, lines end
// in CRLF, nothing may follow a size but an extension. Extensions and trailer fields are checked,
// counted against a bound of their own, and dropped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nave::net {

class ChunkedBody {
  public:
    enum class Status : std::uint8_t { need_more, done, malformed, too_large };

    explicit ChunkedBody(std::size_t body_max) : body_max_(body_max) {}

    // Takes bytes off the front of `input`, which after `done` starts behind the body.
    [[nodiscard]] Status decode(std::string_view& input);
    [[nodiscard]] const std::string& body() const { return body_; }
    [[nodiscard]] std::string take_body() { return std::move(body_); }

  private:
    enum class State : std::uint8_t {
        size_first,  // at least one digit is needed
        size,
        extension,
        size_lf,
        data,
        data_cr,
        data_lf,
        trailer_start,
        trailer_name,
        trailer_value,
        trailer_lf,
        last_lf,
    };

    [[nodiscard]] Status step(char c);
    [[nodiscard]] Status step_size(char c);
    [[nodiscard]] Status step_trailer(char c);
    [[nodiscard]] bool count_extra();

    std::string body_;
    std::size_t body_max_;
    std::uint64_t remaining_ = 0;  // of the chunk
    std::size_t extra_ = 0;        // bytes of extensions and trailers so far
    int size_digits_ = 0;          // of the size being read
    State state_ = State::size_first;
};

}  // namespace nave::net
