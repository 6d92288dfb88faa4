// For the tests of this folder: devices with real keys, and what they upload, as types and as the
// JSON bodies a client sends. Everything follows from the seed.
#pragma once

#include "base/json.h"
#include "crypto/ed25519.h"
#include "prekeys/request_auth.h"
#include "prekeys/store.h"
#include "prekeys/upload.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace nave::prekeys {

inline constexpr UnixMillis kTestNow = 1'700'000'000'000;
inline constexpr kt::AddressIndex kTestIndex{7};

// How many keys a test upload holds, and where their ids start.
struct TestUpload {
    std::size_t one_time = 0;
    std::size_t kem_one_time = 0;
    KeyId first_id = 1;
    KeyId signed_prekey_id = 1;
    KeyId last_resort_id = 900;
    UploadMode mode = UploadMode::merge;
};

class TestDevice {
  public:
    explicit TestDevice(std::string_view address, Suite suite = Suite::x3dh_ed25519,
                        std::uint64_t seed = 1);

    [[nodiscard]] const Address& address() const { return address_; }
    [[nodiscard]] Suite suite() const { return suite_; }
    [[nodiscard]] IdentityKeys identity() const;
    // Ed25519, or XEdDSA in the xeddsa suites.
    [[nodiscard]] Bytes sign(ByteView message) const;

    [[nodiscard]] SignedPreKey signed_prekey(KeyId id, UnixMillis created_at = kTestNow) const;
    [[nodiscard]] OneTimePreKey one_time(KeyId id) const;
    [[nodiscard]] KemPreKey kem(KeyId id) const;
    [[nodiscard]] KeyBatch batch(const TestUpload& what) const;
    [[nodiscard]] Registration registration(const TestUpload& what = {}) const;
    [[nodiscard]] Replenishment replenishment(const TestUpload& what) const;

    // A proof as the store takes it; each call makes another one.
    [[nodiscard]] AcceptedProof accepted(UnixMillis signed_at = kTestNow) const;
    // A signed request of either scheme, over a message that is new with each call.
    [[nodiscard]] RequestProof body_proof(UnixMillis signed_at = kTestNow) const;
    [[nodiscard]] RequestProof header_proof(UnixMillis signed_at = kTestNow) const;

  private:
    [[nodiscard]] Bytes derive(std::string_view purpose, std::uint64_t number) const;
    [[nodiscard]] Bytes curve_key(std::string_view purpose, std::uint64_t number) const;

    Address address_;
    Suite suite_;
    std::uint64_t seed_;
    crypto::Ed25519SigningKey key_;
};

// The body of POST /v1/keys/register, without the proof.
[[nodiscard]] json::Object register_body(const Registration& upload);
[[nodiscard]] json::Object to_json(const SignedPreKey& key);
[[nodiscard]] json::Object to_json(const OneTimePreKey& key);
[[nodiscard]] json::Object to_json(const KemPreKey& key);

}  // namespace nave::prekeys
