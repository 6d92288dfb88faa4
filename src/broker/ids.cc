#include "broker/ids.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace nave::broker {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
static_assert(kAlphabet.size() == 62);

// Bytes from here on would make the first characters of the alphabet likelier than the others.
constexpr std::uint8_t kFirstRefused = 256 / 62 * 62;

bool is_base62(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

constexpr std::size_t kTimeSize = 8;

// Up to the size of an id.
void append_random(std::string& id, Entropy& entropy) {
    // One byte in 32 is refused, so that 40 nearly always suffice.
    std::array<std::uint8_t, 40> random{};
    while (id.size() < kIdSize) {
        entropy.fill(random);
        for (const std::uint8_t byte : random) {
            if (byte < kFirstRefused && id.size() < kIdSize) {
                id.push_back(kAlphabet[byte % kAlphabet.size()]);
            }
        }
    }
}

}  // namespace

std::string new_id(Entropy& entropy) {
    std::string id;
    id.reserve(kIdSize);
    append_random(id, entropy);
    return id;
}

std::string new_id(Entropy& entropy, UnixMillis now) {
    // Characters in the order of their bytes, in which indexes sort.
    static constexpr std::string_view kSorted =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::string id(kTimeSize, kSorted.front());
    auto rest = static_cast<std::uint64_t>(now);
    for (std::size_t i = kTimeSize; i-- > 0; rest /= kSorted.size()) {
        id[i] = kSorted[rest % kSorted.size()];
    }
    id.reserve(kIdSize);
    append_random(id, entropy);
    return id;
}

bool is_id(std::string_view text) {
    return text.size() == kIdSize && is_id_prefix(text);
}

bool is_id_prefix(std::string_view text) {
    return !text.empty() && text.size() <= kIdSize && std::ranges::all_of(text, is_base62);
}

}  // namespace nave::broker
