// Character classes of RFC 9110, section 5, as one table.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace nave::net {

enum CharClass : std::uint8_t {
    kTokenChar = 1,   // tchar
    kFieldChar = 2,   // VCHAR, obs-text, space and tab
    kTargetChar = 4,  // VCHAR without '#': a fragment is never sent
    kHostChar = 8,    // reg-name, IP literal, port
};

namespace detail {
constexpr std::array<std::uint8_t, 256> make_char_classes() {
    std::array<std::uint8_t, 256> table{};
    const auto mark = [&table](std::string_view chars, std::uint8_t bits) {
        for (const char c : chars) {
            auto& entry = table[static_cast<unsigned char>(c)];
            entry = static_cast<std::uint8_t>(entry | bits);
        }
    };
    for (std::size_t c = 0; c < table.size(); ++c) {
        const bool visible = c > 0x20 && c < 0x7f;
        const bool field = visible || c >= 0x80 || c == ' ' || c == '\t';
        table[c] = static_cast<std::uint8_t>((field ? kFieldChar : 0) |
                                             (visible && c != '#' ? kTargetChar : 0));
    }
    mark("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", kTokenChar | kHostChar);
    mark("!#$%&'*+-.^_`|~", kTokenChar);
    mark("-._~!$&'()*+,;=%:[]", kHostChar);
    return table;
}
inline constexpr std::array<std::uint8_t, 256> kCharClasses = make_char_classes();
}  // namespace detail

[[nodiscard]] constexpr bool is_class(char c, std::uint8_t classes) {
    return (detail::kCharClasses[static_cast<unsigned char>(c)] & classes) != 0;
}

[[nodiscard]] constexpr bool all_of_class(std::string_view text, std::uint8_t classes) {
    std::uint8_t common = classes;
    for (const char c : text) {
        common =
            static_cast<std::uint8_t>(common & detail::kCharClasses[static_cast<unsigned char>(c)]);
    }
    return common != 0;
}

}  // namespace nave::net
