// The JSON of answers, held against the members that openapi.yaml promises.
#include "prekeys/wire.h"

#include "base/encoding.h"
#include "prekeys/test_keys.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace nave::prekeys {
namespace {

constexpr char kOpenapiText[] = {
#embed "openapi.yaml"
};
constexpr std::string_view kOpenapi{kOpenapiText, sizeof kOpenapiText};

using Names = std::set<std::string, std::less<>>;

// Enough of YAML for this one file: a schema's block, whose members stand two levels deeper.
struct Schema {
    Names required;
    Names properties;

    explicit Schema(std::string_view name) {
        const auto start = kOpenapi.find("\n    " + std::string(name) + ":\n      type: object\n");
        EXPECT_NE(start, std::string_view::npos) << name;
        std::string_view rest = kOpenapi.substr(start + 1);
        std::string section;
        for (bool first = true; !rest.empty(); first = false) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
            const auto indent = line.find_first_not_of(' ');
            if (!first && indent != std::string_view::npos && indent <= 4) {
                break;
            }
            const std::string_view text =
                indent == std::string_view::npos ? "" : line.substr(indent);
            if (indent == 6) {
                section = text.substr(0, text.find(':'));
            }
            if (section == "required") {
                add_words(text);
            } else if (section == "properties" && indent == 8) {
                properties.emplace(text.substr(0, text.find(':')));
            }
        }
        required.erase("required");
        EXPECT_FALSE(required.empty()) << name;
        EXPECT_TRUE(std::ranges::includes(properties, required)) << name;
    }

  private:
    void add_words(std::string_view text) {
        std::string word;
        for (const char c : std::string(text) + " ") {
            if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
                word.push_back(c);
            } else if (!word.empty()) {
                required.insert(std::exchange(word, {}));
            }
        }
    }
};

Names members(const json::Object& object) {
    Names names;
    for (const auto& member : object) {
        names.emplace(member.key());
    }
    return names;
}

void expect_conforms(const json::Object& object, std::string_view schema_name,
                     const Names& but = {}) {
    const Schema schema(schema_name);
    const Names shown = members(object);
    for (const std::string& name : schema.required) {
        EXPECT_TRUE(shown.contains(name) || but.contains(name)) << schema_name << "." << name;
    }
    for (const std::string& name : shown) {
        EXPECT_TRUE(schema.properties.contains(name)) << schema_name << " has no " << name;
    }
}

json::Object parsed(const std::string& text) {
    return json::parse(text).value().get_object();
}

Profile profile_of(const TestDevice& device) {
    const Registration upload = device.registration();
    return {.address = upload.address,
            .keys = upload.identity,
            .registration_id = upload.registration_id,
            .signed_prekey = upload.signed_prekey,
            .last_resort = upload.last_resort,
            .stock = {},
            .last_fetch_at = {}};
}

TEST(Wire, BundlesAreWhatTheDescriptionSays) {
    for (const Suite suite : kSuites) {
        const TestDevice device("alice:1", suite);
        const Profile profile = profile_of(device);
        const OneTimePreKey one_time = device.one_time(7);
        BundleKeys keys{.one_time = &one_time,
                        .kem = profile.last_resort ? &*profile.last_resort : nullptr,
                        .kem_is_last_resort = true};
        const json::Object bundle =
            parsed(bundle_json(profile, keys, OneTimeStatus::issued, kTestNow));
        expect_conforms(bundle, "Bundle", {"kt"});
        EXPECT_EQ(bundle.at("address"), json::Value("alice:1"));
        EXPECT_EQ(bundle.at("suite"), json::Value(suite_name(suite)));
        EXPECT_EQ(bundle.at("oneTimeStatus"), json::Value("issued"));
        EXPECT_EQ(bundle.contains("identityKey"), uses_xeddsa(suite));
        EXPECT_EQ(bundle.contains("identitySigningKey"), !uses_xeddsa(suite));
        EXPECT_EQ(bundle.contains("identityDhKeySignature"), !uses_xeddsa(suite));
        expect_conforms(bundle.at("signedPreKey").get_object(), "StoredSignedPreKey");
        expect_conforms(bundle.at("oneTimePreKey").get_object(), "OneTimePreKey");
        EXPECT_EQ(bundle.at("kemPreKey").is_null(), !uses_kem(suite));
        if (uses_kem(suite)) {
            expect_conforms(bundle.at("kemPreKey").get_object(), "BundleKemPreKey");
            EXPECT_EQ(bundle.at("kemPreKey").get_object().at("lastResort"), json::Value(true));
        }
        keys.one_time = nullptr;
        const json::Object bare =
            parsed(bundle_json(profile, keys, OneTimeStatus::withheld, kTestNow));
        EXPECT_TRUE(bare.at("oneTimePreKey").is_null());
        EXPECT_EQ(bare.at("oneTimeStatus"), json::Value("withheld"));
        expect_conforms(parsed(identity_json(profile)), "Identity", {"kt"});
    }
}

TEST(Wire, WhatIsNotThereIsNull) {
    Profile profile = profile_of(TestDevice("alice:1"));
    profile.registration_id.reset();
    profile.keys.dh_signature.reset();
    const json::Object shown = parsed(identity_json(profile));
    EXPECT_TRUE(shown.at("registrationId").is_null());
    EXPECT_TRUE(shown.at("identityDhKeySignature").is_null());
}

TEST(Wire, KeysAreStandardBase64) {
    Profile profile = profile_of(TestDevice("alice:1"));
    profile.signed_prekey.signature = Bytes(64, 0xff);
    const json::Object shown = parsed(identity_json(profile));
    EXPECT_EQ(shown.at("signedPreKey").get_object().at("signature"),
              json::Value(std::string(85, '/') + "w=="));
    EXPECT_EQ(shown.at("identityDhKey"), json::Value(base64(profile.keys.dh_key)));
}

TEST(Wire, UploadOutcomes) {
    EnrolOutcome outcome;
    outcome.upload.one_time = {{1, 2}, {3}, {}, {4}};
    outcome.upload.stock = {5, 6};
    outcome.restore_epoch = 7;
    const std::string text =
        enrol_json(Address::parse("alice:1").value(), "00ff", outcome, 20, 100);
    EXPECT_EQ(text, R"({"address":"alice:1","identityFingerprint":"00ff","oneTimePreKeyCount":5,)"
                    R"("kemOneTimePreKeyCount":6,"lowThreshold":20,"refillTo":100,)"
                    R"("results":{"accepted":[1,2],"duplicate":[3],"consumed":[],"conflict":[4]},)"
                    R"("kemResults":{"accepted":[],"duplicate":[],"consumed":[],"conflict":[]},)"
                    R"("restoreEpoch":7})");
    expect_conforms(parsed(text), "UploadOutcome");
    expect_conforms(parsed(results_json(outcome.upload.one_time)), "KeyResults");
}

TEST(Wire, ZeroesAreShown) {
    const json::Object shown =
        parsed(enrol_json(Address::parse("a").value(), "", EnrolOutcome(), 0, 0));
    EXPECT_EQ(shown.at("oneTimePreKeyCount"), json::Value(0))
        << "a client that sees none would never refill";
    EXPECT_EQ(shown.at("kemOneTimePreKeyCount"), json::Value(0));
}

TEST(Wire, AMemberIsAppended) {
    EXPECT_EQ(add_member("{}", "kt", "null"), R"({"kt":null})");
    EXPECT_EQ(add_member(R"({"a":1})", "kt", R"({"b":2})"), R"({"a":1,"kt":{"b":2}})");
}

}  // namespace
}  // namespace nave::prekeys
