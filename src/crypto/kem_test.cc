#include "crypto/kem.h"

#include "base/encoding.h"
#include "crypto/kem_test_keys.h"

#include <gtest/gtest.h>

namespace nave::crypto {
namespace {

Bytes from_base64(std::string_view text) {
    return base64_decode(text).value();
}

std::string problem(KemAlgorithm algorithm, KemForm form, ByteView key) {
    const auto result = check_kem_key(algorithm, form, key);
    return result ? "" : result.error().id;
}

// The two coefficients that share bytes 3i .. 3i+2.
void set_pair(Bytes& key, std::size_t at, unsigned first, unsigned second) {
    key[at] = static_cast<std::uint8_t>(first);
    key[at + 1] = static_cast<std::uint8_t>(first >> 8 | (second & 15) << 4);
    key[at + 2] = static_cast<std::uint8_t>(second >> 4);
}

TEST(Kem, LabelsRoundTrip) {
    for (const auto algorithm :
         {KemAlgorithm::kyber_1024, KemAlgorithm::ml_kem_1024, KemAlgorithm::ml_kem_768}) {
        EXPECT_EQ(parse_kem_algorithm(kem_label(algorithm)), algorithm);
    }
    for (const auto text : {"", "kyber768", "ML-KEM-1024", "ml-kem-512", "ml-kem-1024 "}) {
        EXPECT_FALSE(parse_kem_algorithm(text)) << text;
    }
}

TEST(Kem, AcceptsKeysOfRealImplementations) {
    EXPECT_EQ(
        problem(KemAlgorithm::kyber_1024, KemForm::libsignal, from_base64(kLibsignalKyber1024)),
        "");
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_1024, KemForm::raw, from_base64(kNobleMlKem1024)), "");
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_768, KemForm::raw, from_base64(kNobleMlKem768)), "");
    const Bytes bare = to_bytes(ByteView(from_base64(kLibsignalKyber1024)).subspan(1));
    EXPECT_EQ(problem(KemAlgorithm::kyber_1024, KemForm::raw, bare), "");
    Bytes typed = {0x0a};
    append(typed, from_base64(kNobleMlKem1024));
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_1024, KemForm::libsignal, typed), "");
}

TEST(Kem, LengthIsExact) {
    Bytes key = from_base64(kNobleMlKem768);
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_1024, KemForm::raw, key), "kem.length");
    key.push_back(0);
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_768, KemForm::raw, key), "kem.length");
    key.resize(1183);
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_768, KemForm::raw, key), "kem.length");
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_768, KemForm::raw, {}), "kem.length");
    EXPECT_EQ(problem(KemAlgorithm::kyber_1024, KemForm::libsignal, {}), "kem.length");
    // A serialised key where a raw one belongs, and the other way round.
    EXPECT_EQ(problem(KemAlgorithm::kyber_1024, KemForm::raw, from_base64(kLibsignalKyber1024)),
              "kem.length");
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_1024, KemForm::libsignal, from_base64(kNobleMlKem1024)),
              "kem.length");
}

TEST(Kem, TypeByteMustMatchTheLabel) {
    Bytes key = from_base64(kLibsignalKyber1024);
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_1024, KemForm::libsignal, key), "kem.type");
    key[0] = 0x0a;
    EXPECT_EQ(problem(KemAlgorithm::kyber_1024, KemForm::libsignal, key), "kem.type");
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_1024, KemForm::libsignal, key), "");
    Bytes small(1185);
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_768, KemForm::libsignal, small), "kem.algorithm");
}

TEST(Kem, EveryCoefficientIsChecked) {
    for (const auto algorithm : {KemAlgorithm::ml_kem_768, KemAlgorithm::ml_kem_1024}) {
        const std::size_t end = kem_key_bytes(algorithm) - 32;
        Bytes key(kem_key_bytes(algorithm));
        for (std::size_t at = 0; at < end; at += 3) {
            set_pair(key, at, 3328, 3328);
            EXPECT_EQ(problem(algorithm, KemForm::raw, key), "") << "at " << at;
            set_pair(key, at, 3329, 0);
            EXPECT_EQ(problem(algorithm, KemForm::raw, key), "kem.coefficient") << "at " << at;
            set_pair(key, at, 0, 3329);
            EXPECT_EQ(problem(algorithm, KemForm::raw, key), "kem.coefficient") << "at " << at;
            set_pair(key, at, 4095, 4095);
            EXPECT_EQ(problem(algorithm, KemForm::raw, key), "kem.coefficient") << "at " << at;
            set_pair(key, at, 3328, 0);
        }
    }
}

TEST(Kem, SeedMayHoldAnything) {
    Bytes key(kem_key_bytes(KemAlgorithm::ml_kem_768));
    std::fill(key.end() - 32, key.end(), 0xff);
    EXPECT_EQ(problem(KemAlgorithm::ml_kem_768, KemForm::raw, key), "");
}

}  // namespace
}  // namespace nave::crypto
