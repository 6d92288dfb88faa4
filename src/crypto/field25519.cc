#include "crypto/field25519.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace nave::crypto::detail {
namespace {

// Radix 2^51, five limbs. Limbs stay below 2^52 after multiply(), below 2^54 after add() and
// subtract(), which multiply() accepts: five products of 2^54 and 19 * 2^54 stay below 2^115.
using Element = std::array<std::uint64_t, 5>;
using Wide = unsigned __int128;

constexpr std::uint64_t kMask = (std::uint64_t{1} << 51) - 1;
constexpr Element kOne = {1, 0, 0, 0, 0};

std::uint64_t load(const ByteArray<32>& bytes, std::size_t word) {
    static_assert(std::endian::native == std::endian::little);
    std::uint64_t value = 0;
    std::memcpy(&value, bytes.data() + word * 8, sizeof value);
    return value;
}

Element decode(const ByteArray<32>& bytes) {
    const std::uint64_t a = load(bytes, 0);
    const std::uint64_t b = load(bytes, 1);
    const std::uint64_t c = load(bytes, 2);
    const std::uint64_t d = load(bytes, 3);
    return {a & kMask, ((a >> 51) | (b << 13)) & kMask, ((b >> 38) | (c << 26)) & kMask,
            ((c >> 25) | (d << 39)) & kMask, (d >> 12) & kMask};
}

Element carry(Element x) {
    for (std::size_t i = 0; i < 4; ++i) {
        x[i + 1] += x[i] >> 51;
        x[i] &= kMask;
    }
    x[0] += 19 * (x[4] >> 51);  // 2^255 = 19 mod p
    x[4] &= kMask;
    return x;
}

ByteArray<32> encode(Element x) {
    x = carry(carry(x));
    // Now x < 2^255 + small; adding 19 carries out of bit 255 exactly when x >= p.
    std::uint64_t over = (x[0] + 19) >> 51;
    for (std::size_t i = 1; i < 5; ++i) {
        over = (x[i] + over) >> 51;
    }
    x[0] += 19 * over;
    for (std::size_t i = 0; i < 4; ++i) {
        x[i + 1] += x[i] >> 51;
        x[i] &= kMask;
    }
    x[4] &= kMask;
    const std::array<std::uint64_t, 4> words = {x[0] | (x[1] << 51), (x[1] >> 13) | (x[2] << 38),
                                                (x[2] >> 26) | (x[3] << 25),
                                                (x[3] >> 39) | (x[4] << 12)};
    return std::bit_cast<ByteArray<32>>(words);
}

Element add(Element x, const Element& y) {
    for (std::size_t i = 0; i < 5; ++i) {
        x[i] += y[i];
    }
    return x;
}

Element subtract(Element x, const Element& y) {
    // 2p is added first, so that no limb goes below zero.
    constexpr Element kTwoP = {2 * (kMask - 18), 2 * kMask, 2 * kMask, 2 * kMask, 2 * kMask};
    for (std::size_t i = 0; i < 5; ++i) {
        x[i] += kTwoP[i] - y[i];
    }
    return x;
}

Element multiply(const Element& x, const Element& y) {
    const auto wide = [](std::uint64_t a, std::uint64_t b) { return Wide{a} * b; };
    const std::uint64_t y1 = 19 * y[1];
    const std::uint64_t y2 = 19 * y[2];
    const std::uint64_t y3 = 19 * y[3];
    const std::uint64_t y4 = 19 * y[4];
    Wide r0 = wide(x[0], y[0]) + wide(x[1], y4) + wide(x[2], y3) + wide(x[3], y2) + wide(x[4], y1);
    Wide r1 =
        wide(x[0], y[1]) + wide(x[1], y[0]) + wide(x[2], y4) + wide(x[3], y3) + wide(x[4], y2);
    Wide r2 =
        wide(x[0], y[2]) + wide(x[1], y[1]) + wide(x[2], y[0]) + wide(x[3], y4) + wide(x[4], y3);
    Wide r3 =
        wide(x[0], y[3]) + wide(x[1], y[2]) + wide(x[2], y[1]) + wide(x[3], y[0]) + wide(x[4], y4);
    Wide r4 = wide(x[0], y[4]) + wide(x[1], y[3]) + wide(x[2], y[2]) + wide(x[3], y[1]) +
              wide(x[4], y[0]);
    const auto low = [](Wide value) { return static_cast<std::uint64_t>(value) & kMask; };
    r1 += static_cast<std::uint64_t>(r0 >> 51);
    r2 += static_cast<std::uint64_t>(r1 >> 51);
    r3 += static_cast<std::uint64_t>(r2 >> 51);
    r4 += static_cast<std::uint64_t>(r3 >> 51);
    Element out = {low(r0), low(r1), low(r2), low(r3), low(r4)};
    out[0] += 19 * static_cast<std::uint64_t>(r4 >> 51);
    out[1] += out[0] >> 51;
    out[0] &= kMask;
    return out;
}

Element square_times(Element x, int times) {
    for (int i = 0; i < times; ++i) {
        x = multiply(x, x);
    }
    return x;
}

// x^(p - 2) by Fermat; p - 2 = 2^255 - 21. `ones(n)` below stands for x^(2^n - 1).
Element invert(const Element& x) {
    const Element x2 = square_times(x, 1);
    const Element x9 = multiply(square_times(x2, 2), x);
    const Element x11 = multiply(x9, x2);
    const Element ones5 = multiply(square_times(x11, 1), x9);
    const Element ones10 = multiply(square_times(ones5, 5), ones5);
    const Element ones20 = multiply(square_times(ones10, 10), ones10);
    const Element ones40 = multiply(square_times(ones20, 20), ones20);
    const Element ones50 = multiply(square_times(ones40, 10), ones10);
    const Element ones100 = multiply(square_times(ones50, 50), ones50);
    const Element ones200 = multiply(square_times(ones100, 100), ones100);
    const Element ones250 = multiply(square_times(ones200, 50), ones50);
    return multiply(square_times(ones250, 5), x11);
}

}  // namespace

bool is_canonical_field_element(const ByteArray<32>& value) {
    // p is ed ff .. ff 7f in little-endian order.
    return value[31] < 0x7f ||
           (value[31] == 0x7f &&
            (value[0] < 0xed ||
             std::any_of(value.begin() + 1, value.begin() + 31, [](auto b) { return b != 0xff; })));
}

std::optional<ByteArray<32>> edwards_y(const ByteArray<32>& u) {
    if (!is_canonical_field_element(u)) {
        return std::nullopt;
    }
    const Element x = decode(u);
    const Element below = add(x, kOne);
    if (encode(below) == ByteArray<32>{}) {
        return std::nullopt;
    }
    return encode(multiply(subtract(x, kOne), invert(below)));
}

}  // namespace nave::crypto::detail
