#include "crypto/kem.h"

#include <array>

namespace nave::crypto {
namespace {

constexpr std::uint32_t kModulus = 3329;
constexpr std::size_t kSeedBytes = 32;

struct Parameters {
    KemAlgorithm algorithm;
    std::string_view label;
    std::size_t rank;
    std::optional<std::uint8_t> libsignal_type;
};

constexpr std::array<Parameters, 3> kParameters = {{
    {KemAlgorithm::kyber_1024, "kyber1024", 4, 0x08},
    {KemAlgorithm::ml_kem_1024, "ml-kem-1024", 4, 0x0a},
    {KemAlgorithm::ml_kem_768, "ml-kem-768", 3, std::nullopt},
}};

const Parameters& parameters(KemAlgorithm algorithm) {
    return kParameters[static_cast<std::size_t>(algorithm)];
}

// Branch-free, so that the compiler can take several triples at once.
bool all_reduced(ByteView packed) {
    std::uint32_t over = 0;
    for (std::size_t i = 0; i + 3 <= packed.size(); i += 3) {
        const std::uint32_t middle = packed[i + 1];
        const std::uint32_t first = packed[i] | (middle & 15) << 8;
        const std::uint32_t second = middle >> 4 | std::uint32_t{packed[i + 2]} << 4;
        over |= static_cast<std::uint32_t>(first >= kModulus) |
                static_cast<std::uint32_t>(second >= kModulus);
    }
    return over == 0;
}

}  // namespace

std::optional<KemAlgorithm> parse_kem_algorithm(std::string_view label) {
    for (const Parameters& known : kParameters) {
        if (known.label == label) {
            return known.algorithm;
        }
    }
    return std::nullopt;
}

std::string_view kem_label(KemAlgorithm algorithm) {
    return parameters(algorithm).label;
}

std::size_t kem_key_bytes(KemAlgorithm algorithm) {
    return 384 * parameters(algorithm).rank + kSeedBytes;
}

Result<void> check_kem_key(KemAlgorithm algorithm, KemForm form, ByteView key) {
    const std::size_t prefix = form == KemForm::libsignal ? 1 : 0;
    const auto type = parameters(algorithm).libsignal_type;
    if (prefix == 1 && !type) {
        return fail(Code::unprocessable, "kem.algorithm",
                    "This KEM algorithm is not part of the suite.");
    }
    if (key.size() != kem_key_bytes(algorithm) + prefix) {
        return fail(Code::unprocessable, "kem.length", "The KEM key has the wrong length.");
    }
    if (prefix == 1 && key[0] != *type) {
        return fail(Code::unprocessable, "kem.type",
                    "The KEM key's type byte does not match its algorithm.");
    }
    const ByteView coefficients = key.subspan(prefix, key.size() - prefix - kSeedBytes);
    if (!all_reduced(coefficients)) {
        return fail(Code::unprocessable, "kem.coefficient",
                    "The KEM key holds a coefficient outside the field.");
    }
    return ok();
}

}  // namespace nave::crypto
