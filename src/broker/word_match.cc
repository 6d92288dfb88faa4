#include "broker/word_match.h"

#include "base/text.h"

#include <algorithm>
#include <string>
#include <vector>

namespace nave::broker {

bool holds_words(std::string_view query, std::initializer_list<std::string_view> texts) {
    std::vector<std::string> folded;
    for (const std::string_view text : texts) {
        folded.push_back(lower(text));
    }
    std::string words = lower(query);
    std::ranges::replace_if(words, [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
    return std::ranges::all_of(split(words, ' '), [&](std::string_view word) {
        return std::ranges::any_of(folded,
                                   [&](const std::string& text) { return text.contains(word); });
    });
}

}  // namespace nave::broker
