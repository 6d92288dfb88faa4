// Utf8Check: whether bytes that arrive in pieces are UTF-8 (RFC 3629). Says no at the first byte
// that cannot belong to any well-formed text: no overlong forms, surrogates, nothing above
// U+10FFFF.
#pragma once

#include <cstdint>
#include <string_view>

namespace nave::net {

class Utf8Check {
  public:
    // False when the text so far is wrong; then every later answer is meaningless.
    [[nodiscard]] bool feed(std::string_view bytes);
    // Whether the text so far may end here.
    [[nodiscard]] bool complete() const { return missing_ == 0; }

  private:
    std::uint8_t missing_ = 0;  // continuation bytes to come
    std::uint8_t low_ = 0x80;   // bounds of the next one
    std::uint8_t high_ = 0xbf;
};

[[nodiscard]] inline bool is_whole_utf8(std::string_view bytes) {
    Utf8Check check;
    return check.feed(bytes) && check.complete();
}

}  // namespace nave::net
