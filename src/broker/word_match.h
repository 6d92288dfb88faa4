// Plain search in short texts: every word of the query occurs in one of the texts, as a part of a
// word too. ASCII letters match in either case.
#pragma once

#include <initializer_list>
#include <string_view>

namespace nave::broker {

// A query without words matches everything.
[[nodiscard]] bool holds_words(std::string_view query,
                               std::initializer_list<std::string_view> texts);

}  // namespace nave::broker
