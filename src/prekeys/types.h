// The vocabulary of the directory: suites, addresses and keys, as plain values.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nave::prekeys {

// Fixed at registration: decides key lengths, encodings and how signatures are verified
// (docs/protocol/prekeys.md, "Suites"). Values are stored; never renumber.
enum class Suite : std::uint8_t {
    x3dh_ed25519 = 1,   // Ed25519 + X25519, prekey signature over the raw key
    pqxdh_ed25519 = 2,  // the same plus KEM keys, signatures domain-separated
    pqxdh_xeddsa = 3,   // today's libsignal: one 33-byte key, XEdDSA, KEM mandatory
    x3dh_xeddsa = 4,    // older Signal-protocol libraries
};
inline constexpr std::array kSuites{Suite::x3dh_ed25519, Suite::pqxdh_ed25519, Suite::pqxdh_xeddsa,
                                    Suite::x3dh_xeddsa};
[[nodiscard]] std::string_view suite_name(Suite suite);
[[nodiscard]] std::optional<Suite> parse_suite(std::string_view name);
[[nodiscard]] constexpr bool uses_xeddsa(Suite suite) {
    return suite == Suite::pqxdh_xeddsa || suite == Suite::x3dh_xeddsa;
}
[[nodiscard]] constexpr bool uses_kem(Suite suite) {
    return suite == Suite::pqxdh_ed25519 || suite == Suite::pqxdh_xeddsa;
}
// Bytes of an elliptic-curve public key on the wire: libsignal prefixes the type byte 0x05.
[[nodiscard]] constexpr std::size_t curve_key_size(Suite suite) {
    return uses_xeddsa(suite) ? 33 : 32;
}

// A name as clients address it, "user:device". NFKC-normalised, [A-Za-z0-9:_.-]{1,128}.
class Address {
  public:
    // Error SHADE_BAD_ADDRESS.
    [[nodiscard]] static Result<Address> parse(std::string_view text);
    // Text that was parsed before (a table column).
    [[nodiscard]] static Address stored(std::string text) { return Address(std::move(text)); }
    [[nodiscard]] const std::string& text() const { return text_; }
    bool operator==(const Address&) const = default;

  private:
    explicit Address(std::string text) : text_(std::move(text)) {}
    std::string text_;
};

using KeyId = std::int64_t;  // 1 .. 2^32-1

struct OneTimePreKey {
    KeyId id = 0;
    Bytes public_key;
};

struct SignedPreKey {
    KeyId id = 0;
    Bytes public_key;
    Bytes signature;
    UnixMillis created_at = 0;
};

struct KemPreKey {
    KeyId id = 0;
    std::string algorithm;  // "kyber1024", "ml-kem-1024", "ml-kem-768"
    Bytes public_key;
    Bytes signature;
};

// The long-term keys of an address. For xeddsa suites `signing_key` is the one 33-byte identity
// key and the DH members are empty.
struct IdentityKeys {
    Suite suite = Suite::x3dh_ed25519;
    Bytes signing_key;
    Bytes dh_key;
    std::optional<Bytes> dh_signature;  // binds dh_key to the address, see signatures.h

    // SHA-256 over the keys, first 16 bytes in hex: what people compare and logs may show.
    [[nodiscard]] std::string fingerprint() const;
    [[nodiscard]] bool same_keys(const IdentityKeys& other) const {
        return suite == other.suite && signing_key == other.signing_key && dh_key == other.dh_key;
    }
};

enum class UploadMode : std::uint8_t { merge, replace };

// One-time keys on their way in.
struct KeyBatch {
    std::vector<OneTimePreKey> one_time;
    std::vector<KemPreKey> kem_one_time;
};

// What became of each uploaded key: never all-or-nothing over one id, because then a single
// conflicting id would block every later upload.
struct UploadResults {
    std::vector<KeyId> accepted;
    std::vector<KeyId> duplicate;  // same id, same bytes, still in stock
    std::vector<KeyId> consumed;   // id already handed out; never issued again
    std::vector<KeyId> conflict;   // same id, other bytes
};

struct Stock {
    std::int64_t one_time = 0;
    std::int64_t kem_one_time = 0;
};

enum class OneTimeStatus : std::uint8_t { issued, exhausted, withheld };
[[nodiscard]] std::string_view status_name(OneTimeStatus status);
enum class KemStatus : std::uint8_t { one_time, last_resort, none };
[[nodiscard]] std::string_view status_name(KemStatus status);

}  // namespace nave::prekeys
