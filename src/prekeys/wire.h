// JSON of the public API: types to text. Members and their order are those of openapi.yaml.
#pragma once

#include "prekeys/store.h"
#include "prekeys/types.h"

#include <string>
#include <string_view>

namespace nave::prekeys {

// The keys of one bundle that a claim takes out of stock, or null for none.
struct BundleKeys {
    const OneTimePreKey* one_time = nullptr;
    const KemPreKey* kem = nullptr;
    bool kem_is_last_resort = false;
};

// Without its closing brace's "kt" member: add_member() appends that for callers who asked.
[[nodiscard]] std::string bundle_json(const Profile& profile, const BundleKeys& keys,
                                      OneTimeStatus status, UnixMillis issued_at);
[[nodiscard]] std::string identity_json(const Profile& profile);
[[nodiscard]] std::string results_json(const UploadResults& results);
[[nodiscard]] std::string enrol_json(const Address& address, std::string_view fingerprint,
                                     const EnrolOutcome& outcome, std::int64_t low_threshold,
                                     std::int64_t refill_to);

// `object` with one more member, whose value is JSON text.
[[nodiscard]] std::string add_member(std::string object, std::string_view name,
                                     std::string_view value_json);

}  // namespace nave::prekeys
