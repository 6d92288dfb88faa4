#include "prekeys/types.h"

#include "base/encoding.h"
#include "prekeys/test_keys.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace nave::prekeys {
namespace {

std::string normal_form(std::string_view text) {
    const auto address = Address::parse(text);
    return address ? address->text() : "refused: " + address.error().id;
}

TEST(Suites, NamesAreTheContractsAndReadBack) {
    constexpr std::string_view kNames[] = {"x3dh-ed25519", "pqxdh-ed25519", "pqxdh-xeddsa",
                                           "x3dh-xeddsa"};
    ASSERT_EQ(kSuites.size(), std::size(kNames));
    for (std::size_t i = 0; i < kSuites.size(); ++i) {
        EXPECT_EQ(suite_name(kSuites[i]), kNames[i]);
        EXPECT_EQ(parse_suite(kNames[i]), kSuites[i]);
    }
    for (const std::string_view name : {"", "x3dh", "X3DH-ED25519", "x3dh-ed25519 ", "mls"}) {
        EXPECT_FALSE(parse_suite(name)) << name;
    }
}

// Stored in tables: a changed number would turn every stored identity into another suite.
TEST(Suites, StoredNumbersNeverChange) {
    EXPECT_EQ(static_cast<int>(Suite::x3dh_ed25519), 1);
    EXPECT_EQ(static_cast<int>(Suite::pqxdh_ed25519), 2);
    EXPECT_EQ(static_cast<int>(Suite::pqxdh_xeddsa), 3);
    EXPECT_EQ(static_cast<int>(Suite::x3dh_xeddsa), 4);
}

TEST(Suites, DecideTheKeyForms) {
    EXPECT_EQ(curve_key_size(Suite::x3dh_ed25519), 32U);
    EXPECT_EQ(curve_key_size(Suite::pqxdh_ed25519), 32U);
    EXPECT_EQ(curve_key_size(Suite::pqxdh_xeddsa), 33U);
    EXPECT_EQ(curve_key_size(Suite::x3dh_xeddsa), 33U);
    EXPECT_FALSE(uses_kem(Suite::x3dh_ed25519));
    EXPECT_TRUE(uses_kem(Suite::pqxdh_ed25519));
    EXPECT_TRUE(uses_kem(Suite::pqxdh_xeddsa));
    EXPECT_FALSE(uses_kem(Suite::x3dh_xeddsa));
}

TEST(Statuses, NamesAreThoseOnTheWire) {
    EXPECT_EQ(status_name(OneTimeStatus::issued), "issued");
    EXPECT_EQ(status_name(OneTimeStatus::exhausted), "exhausted");
    EXPECT_EQ(status_name(OneTimeStatus::withheld), "withheld");
    EXPECT_EQ(status_name(KemStatus::one_time), "one_time");
    EXPECT_EQ(status_name(KemStatus::last_resort), "last_resort");
    EXPECT_EQ(status_name(KemStatus::none), "none");
}

TEST(Addresses, AcceptsWhatTheContractNames) {
    for (const std::string_view text :
         {"a", "alice:1", "A.b_C-9:0", ":", "..", "user:deviceId", "0"}) {
        EXPECT_EQ(normal_form(text), text);
    }
    const std::string longest(128, 'x');
    EXPECT_EQ(normal_form(longest), longest);
}

// NFKC makes compatibility forms of one name one address.
TEST(Addresses, AreCompatibilityNormalised) {
    EXPECT_EQ(normal_form("\uff41\uff4c\uff49\uff43\uff45\uff1a\uff11"), "alice:1");  // full width
    EXPECT_EQ(normal_form("\ufb01n"), "fin");                                         // ligature
    EXPECT_EQ(normal_form("x\u00b2"), "x2");                                          // superscript
    EXPECT_EQ(normal_form("\U0001d41alice"), "alice");                                // bold a
    EXPECT_EQ(*Address::parse("\uff41"), *Address::parse("a"));
    // 128 characters that only fit once normalised: three bytes each before.
    std::string wide;
    for (int i = 0; i < 128; ++i) {
        wide += "\uff41";
    }
    EXPECT_EQ(normal_form(wide), std::string(128, 'a'));
}

TEST(Addresses, RefusesEverythingElse) {
    using namespace std::string_view_literals;
    for (const std::string_view text :
         {""sv, " "sv, "a b"sv, "a/b"sv, "alice\n"sv, "a\0b"sv, "é"sv, "e\u0301"sv, "\u0430lice"sv,
          "a\u200bb"sv, "alice@x"sv, "a+b"sv, "%41"sv, "\xff"sv, "a\xc0\xaf"sv, "\u00bd"sv,
          "a\u202e"sv}) {
        EXPECT_EQ(normal_form(text), "refused: SHADE_BAD_ADDRESS") << text;
    }
    EXPECT_EQ(normal_form(std::string(129, 'x')), "refused: SHADE_BAD_ADDRESS");
    EXPECT_EQ(normal_form(std::string(1'000'000, 'x')), "refused: SHADE_BAD_ADDRESS");
    // U+FDFA alone becomes 18 characters: what counts is the length afterwards.
    EXPECT_EQ(normal_form("\ufdfa"), "refused: SHADE_BAD_ADDRESS");
}

TEST(Identities, FingerprintIsTheHashOfTheKeys) {
    IdentityKeys keys;
    keys.signing_key = Bytes(32, 0x01);
    keys.dh_key = Bytes(32, 0x02);
    // printf '\1'*32 '\2'*32 | sha256sum, first 32 digits.
    EXPECT_EQ(keys.fingerprint(), "f818afd37a6dc3bc92fb447310112770");
    keys.dh_signature = Bytes(64, 3);
    EXPECT_EQ(keys.fingerprint(), "f818afd37a6dc3bc92fb447310112770") << "a signature is no key";
}

TEST(Identities, DifferByAnyKeyAndTheSuite) {
    const IdentityKeys keys = TestDevice("a").identity();
    IdentityKeys other = keys;
    other.dh_signature.reset();
    EXPECT_TRUE(keys.same_keys(other));
    other.dh_key[0] ^= 1;
    EXPECT_FALSE(keys.same_keys(other));
    other = keys;
    other.signing_key[0] ^= 1;
    EXPECT_FALSE(keys.same_keys(other));
    other = keys;
    other.suite = Suite::pqxdh_ed25519;
    EXPECT_FALSE(keys.same_keys(other));
}

TEST(Identities, OfTestDevicesAreDistinct) {
    std::set<std::string> fingerprints;
    for (const Suite suite : kSuites) {
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            fingerprints.insert(TestDevice("a", suite, seed).identity().fingerprint());
        }
    }
    // The two Ed25519 suites share keys of one seed, and so do the two xeddsa suites.
    EXPECT_EQ(fingerprints.size(), 6U);
}

}  // namespace
}  // namespace nave::prekeys
