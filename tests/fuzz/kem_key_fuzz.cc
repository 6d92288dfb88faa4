// KEM key checks against a bit-by-bit reading of FIPS 203's ByteDecode: the fast check must agree
// with it on every input. First byte: algorithm and form; the rest is the key.
#include "base/bytes.h"
#include "base/check.h"
#include "crypto/kem.h"

#include <cstddef>
#include <cstdint>

namespace {

using nave::ByteView;

bool coefficients_below_q(ByteView packed) {
    for (std::size_t bit = 0; bit + 12 <= packed.size() * 8; bit += 12) {
        unsigned value = 0;
        for (unsigned i = 0; i < 12; ++i) {
            const std::size_t at = bit + i;
            value |= (packed[at / 8] >> (at % 8) & 1U) << i;
        }
        if (value >= 3329) {
            return false;
        }
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace nave::crypto;
    if (size == 0) {
        return 0;
    }
    const auto algorithm = static_cast<KemAlgorithm>(data[0] % 3);
    const KemForm form = (data[0] & 0x80) != 0 ? KemForm::libsignal : KemForm::raw;
    const ByteView key(data + 1, size - 1);

    const std::size_t prefix = form == KemForm::libsignal ? 1 : 0;
    bool expected = key.size() == kem_key_bytes(algorithm) + prefix;
    if (expected && prefix == 1) {
        expected = (algorithm == KemAlgorithm::kyber_1024 && key[0] == 0x08) ||
                   (algorithm == KemAlgorithm::ml_kem_1024 && key[0] == 0x0a);
    }
    if (expected) {
        expected = coefficients_below_q(key.subspan(prefix, key.size() - prefix - 32));
    }
    CHECK(check_kem_key(algorithm, form, key).has_value() == expected, "the checks disagree");
    CHECK(parse_kem_algorithm(kem_label(algorithm)) == algorithm, "a label is not its own inverse");
    return 0;
}
