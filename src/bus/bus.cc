#include "bus/bus.h"

#include <algorithm>

namespace nave::bus {
namespace {

constexpr std::size_t kTopicMax = 200;
constexpr std::string_view kPunctuation = "._-:/@#=+";

bool is_topic_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kPunctuation.contains(c);
}

}  // namespace

bool is_topic(std::string_view text) {
    return !text.empty() && text.size() <= kTopicMax && std::ranges::all_of(text, is_topic_char);
}

}  // namespace nave::bus
