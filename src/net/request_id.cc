#include "net/request_id.h"

#include "base/bytes.h"
#include "base/encoding.h"

#include <algorithm>
#include <charconv>

namespace nave::net {
namespace {

bool is_id_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
}

}  // namespace

bool RequestId::assign_inbound(std::string_view text) {
    if (text.empty() || text.size() > kSizeMax || !std::ranges::all_of(text, is_id_char)) {
        return false;
    }
    std::ranges::copy(text, text_.begin());
    size_ = static_cast<std::uint8_t>(text.size());
    return true;
}

RequestIdSource::RequestIdSource(Entropy& entropy) {
    std::array<std::uint8_t, 5> seed{};
    entropy.fill(seed);
    std::ranges::copy(hex(seed), prefix_.begin());
    prefix_.back() = '-';
}

void RequestIdSource::next(RequestId& id) {
    char* const begin = std::ranges::copy(prefix_, id.text_.begin()).out;
    const char* const end =
        std::to_chars(begin, id.text_.data() + id.text_.size(), ++count_, 16).ptr;
    id.size_ = static_cast<std::uint8_t>(end - id.text_.data());
}

}  // namespace nave::net
