#include "broker/handshake.h"

#include "base/encoding.h"
#include "broker/hex_key.h"
#include "crypto/ed25519.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <set>

namespace nave::broker {

void PrintTo(HelloRefusal refusal, std::ostream* out) {
    *out << refusal_form(refusal).metric_reason;
}

namespace {

constexpr UnixMillis kNow = 1'700'000'000'000;
constexpr UnixMillis kHour = 3'600'000;

// Made with Node's crypto: Ed25519 key pairs from seeds of 32 bytes 01 (member) and 02 (session),
// signatures with crypto.sign(null, fields.join("|"), key) at timestamp kNow.
const std::string kMesh = "MeshMeshMeshMeshMeshMeshMesh0001";
const std::string kMember = "MemberMemberMemberMemberMember01";
const std::string kMemberKey = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";
const std::string kSessionKey = "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394";
const std::string kHelloSignature =
    "64414f8a35d264cd221c4b94f1fa5db763b6d6313fd9b6e7e290facb0e3d39a6"
    "54c46a33154582164dbcb7db6855264eba69b16dcfbf8cf8b6d6af9ebbb0050c";
// The same with the key's text in upper case.
const std::string kUpperHelloSignature =
    "0df33a708f160db7df8d5b91dffcbb850e6327bf56021edd147b5884732c923b"
    "cf36d341c938fcdb402271b7a001ee14adfc241a53ad30273ddb0afac546be02";
// Ends 12 hours after kNow.
const std::string kAttestationSignature =
    "d6237c82ab2a8bebc9d2e7ba83f8e89e629888b7cc12406a0f3dd10c4bd83699"
    "338b032262f85cb1e4aea3c367726ec89c1e0f2541e37775bedb50fd6a3a8409";
const std::string kSessionHelloSignature =
    "79195b143ffd39595e47ab46334c4a6190afc6e207c15483af416b49de13fc82"
    "a57b89df678435edad79693de0aaf2692c7aec12cabd3594c656b3bafe1d1505";

HelloClaim good_hello() {
    return {kMesh, kMember, kMemberKey, kSessionKey, kNow, kHelloSignature};
}

SessionHelloClaim good_session_hello() {
    return {kMesh,
            kMemberKey,
            kSessionKey,
            kNow,
            kSessionHelloSignature,
            {kSessionKey, kMemberKey, kNow + 12 * kHour, kAttestationSignature}};
}

std::string upper(std::string text) {
    for (char& c : text) {
        c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return text;
}

std::string sign(std::uint8_t seed_byte, std::string_view bytes) {
    const Bytes seed(32, seed_byte);
    return hex(crypto::Ed25519SigningKey::from_seed(seed)->sign(as_bytes(bytes)));
}

std::optional<HelloRefusal> outcome(const std::expected<HelloProof, HelloRefusal>& checked) {
    if (!checked) {
        return checked.error();
    }
    return verify(*checked);
}

TEST(Hello, ASignatureMadeElsewhereHolds) {
    const auto proof = check_hello(good_hello(), kNow);
    ASSERT_TRUE(proof);
    EXPECT_EQ(hex_key(proof->member_key), kMemberKey);
    ASSERT_TRUE(proof->session_key);
    EXPECT_EQ(hex_key(*proof->session_key), kSessionKey);
    EXPECT_EQ(proof->signed_at, kNow);
    EXPECT_EQ(verify(*proof), std::nullopt);
    EXPECT_EQ(hello_bytes(good_hello()),
              kMesh + "|" + kMember + "|" + kMemberKey + "|1700000000000");
}

TEST(Hello, TheSessionKeyIsOptionalAndNotCovered) {
    HelloClaim claim = good_hello();
    claim.session_pubkey.clear();
    const auto proof = check_hello(claim, kNow);
    ASSERT_TRUE(proof);
    EXPECT_FALSE(proof->session_key);
    EXPECT_EQ(verify(*proof), std::nullopt);
}

TEST(Hello, SixtySecondsPassInBothDirections) {
    struct Case {
        UnixMillis now;
        bool passes;
    };
    for (const Case& test : {Case{kNow - 60'000, true}, Case{kNow + 60'000, true},
                             Case{kNow - 60'001, false}, Case{kNow + 60'001, false}}) {
        const auto refusal = outcome(check_hello(good_hello(), test.now));
        if (test.passes) {
            EXPECT_EQ(refusal, std::nullopt) << test.now;
        } else {
            EXPECT_EQ(refusal, HelloRefusal::timestamp_skew) << test.now;
        }
    }
    for (const UnixMillis timestamp :
         {std::numeric_limits<UnixMillis>::min(), std::numeric_limits<UnixMillis>::max(),
          UnixMillis{0}, UnixMillis{-1}, UnixMillis{kNow / 1000}}) {
        HelloClaim claim = good_hello();
        claim.timestamp = timestamp;
        EXPECT_EQ(outcome(check_hello(claim, kNow)), HelloRefusal::timestamp_skew) << timestamp;
    }
}

struct HelloCase {
    std::string_view what;
    std::function<void(HelloClaim&)> change;
    HelloRefusal refusal;
};

TEST(Hello, RefusesWhatIsWrong) {
    const HelloCase cases[] = {
        {"session key in upper case", [](auto& c) { c.session_pubkey = upper(kSessionKey); },
         HelloRefusal::bad_session_pubkey},
        {"session key too short", [](auto& c) { c.session_pubkey.pop_back(); },
         HelloRefusal::bad_session_pubkey},
        {"session key is no hex", [](auto& c) { c.session_pubkey[5] = 'x'; },
         HelloRefusal::bad_session_pubkey},
        {"key missing", [](auto& c) { c.pubkey.clear(); }, HelloRefusal::malformed},
        {"key too long", [](auto& c) { c.pubkey += "00"; }, HelloRefusal::malformed},
        {"key is no hex", [](auto& c) { c.pubkey[0] = 'g'; }, HelloRefusal::malformed},
        {"signature missing", [](auto& c) { c.signature.clear(); }, HelloRefusal::malformed},
        {"signature cut", [](auto& c) { c.signature.resize(126); }, HelloRefusal::malformed},
        {"signature is no hex", [](auto& c) { c.signature[127] = '/'; }, HelloRefusal::malformed},
        {"fields could be shifted",
         [](auto& c) {
             c.mesh_id = kMesh + "|" + kMember.substr(0, 6);
             c.member_id = kMember.substr(6);
         },
         HelloRefusal::malformed},
        {"fields were shifted", [](auto& c) { c.member_id += "|"; }, HelloRefusal::malformed},
        {"signature altered", [](auto& c) { c.signature[0] = '7'; }, HelloRefusal::bad_signature},
        {"S altered", [](auto& c) { c.signature[64] = '4'; }, HelloRefusal::bad_signature},
        {"zero signature", [](auto& c) { c.signature.assign(128, '0'); },
         HelloRefusal::bad_signature},
        {"zero key", [](auto& c) { c.pubkey.assign(64, '0'); }, HelloRefusal::bad_signature},
        {"key of small order, its signature of anything",
         [](auto& c) {
             c.pubkey = "01" + std::string(62, '0');
             c.signature = "01" + std::string(126, '0');
         },
         HelloRefusal::bad_signature},
        {"another member's key", [](auto& c) { c.pubkey = kSessionKey; },
         HelloRefusal::bad_signature},
        {"another mesh", [](auto& c) { c.mesh_id.back() = '2'; }, HelloRefusal::bad_signature},
        {"another member id", [](auto& c) { c.member_id.back() = '2'; },
         HelloRefusal::bad_signature},
        {"another time", [](auto& c) { c.timestamp += 1; }, HelloRefusal::bad_signature},
        {"upper-case key under a lower-case signature",
         [](auto& c) { c.pubkey = upper(kMemberKey); }, HelloRefusal::bad_signature},
        {"upper-case key, signed as such",
         [](auto& c) {
             c.pubkey = upper(kMemberKey);
             c.signature = kUpperHelloSignature;
         },
         HelloRefusal::unauthorized},
    };
    for (const HelloCase& test : cases) {
        HelloClaim claim = good_hello();
        test.change(claim);
        EXPECT_EQ(outcome(check_hello(claim, kNow)), test.refusal) << test.what;
    }
}

TEST(Hello, TheSignaturesCaseDoesNotMatter) {
    HelloClaim claim = good_hello();
    claim.signature = upper(claim.signature);
    EXPECT_EQ(outcome(check_hello(claim, kNow)), std::nullopt);
}

// Everything is wrong, then one more thing is put right each time.
TEST(Hello, RefusalsComeInOrder) {
    HelloClaim claim = good_hello();
    claim.session_pubkey = "x";
    claim.timestamp = 0;
    claim.pubkey = upper(kMemberKey);
    claim.signature = "x";
    EXPECT_EQ(outcome(check_hello(claim, kNow)), HelloRefusal::bad_session_pubkey);
    claim.session_pubkey.clear();
    EXPECT_EQ(outcome(check_hello(claim, kNow)), HelloRefusal::timestamp_skew);
    claim.timestamp = kNow;
    EXPECT_EQ(outcome(check_hello(claim, kNow)), HelloRefusal::malformed);
    claim.signature = kHelloSignature;
    EXPECT_EQ(outcome(check_hello(claim, kNow)), HelloRefusal::bad_signature);
    claim.signature = kUpperHelloSignature;
    EXPECT_EQ(outcome(check_hello(claim, kNow)), HelloRefusal::unauthorized);
}

TEST(SessionHello, SignaturesMadeElsewhereHold) {
    const auto proof = check_session_hello(good_session_hello(), kNow);
    ASSERT_TRUE(proof);
    EXPECT_EQ(hex_key(proof->member_key), kMemberKey);
    ASSERT_TRUE(proof->session_key);
    EXPECT_EQ(hex_key(*proof->session_key), kSessionKey);
    EXPECT_EQ(proof->signed_at, kNow);
    EXPECT_EQ(verify(*proof), std::nullopt);
}

TEST(SessionHello, AttestationLivesUpToADay) {
    struct Case {
        UnixMillis expires_at;
        std::optional<HelloRefusal> refusal;
    };
    for (const Case& test :
         {Case{kNow, std::nullopt}, Case{kNow - 1, HelloRefusal::attestation_expired},
          Case{kNow + 24 * kHour, std::nullopt},
          Case{kNow + 24 * kHour + 1, HelloRefusal::attestation_ttl_too_long},
          Case{0, HelloRefusal::attestation_expired}, Case{-1, HelloRefusal::attestation_expired},
          Case{std::numeric_limits<UnixMillis>::min(), HelloRefusal::attestation_expired},
          Case{std::numeric_limits<UnixMillis>::max(), HelloRefusal::attestation_ttl_too_long}}) {
        SessionHelloClaim claim = good_session_hello();
        claim.attestation.expires_at = test.expires_at;
        claim.attestation.signature = sign(1, attestation_bytes(claim.attestation));
        EXPECT_EQ(outcome(check_session_hello(claim, kNow)), test.refusal) << test.expires_at;
    }
}

struct SessionCase {
    std::string_view what;
    std::function<void(SessionHelloClaim&)> change;
    HelloRefusal refusal;
};

TEST(SessionHello, RefusesWhatIsWrong) {
    const SessionCase cases[] = {
        {"session key missing", [](auto& c) { c.session_pubkey.clear(); },
         HelloRefusal::bad_session_pubkey},
        {"session key in upper case", [](auto& c) { c.session_pubkey = upper(kSessionKey); },
         HelloRefusal::bad_session_pubkey},
        {"parent key in upper case", [](auto& c) { c.parent_pubkey = upper(kMemberKey); },
         HelloRefusal::bad_parent_pubkey},
        {"parent key missing", [](auto& c) { c.parent_pubkey.clear(); },
         HelloRefusal::bad_parent_pubkey},
        {"attestation for another session",
         [](auto& c) { c.attestation.session_pubkey = kMemberKey; },
         HelloRefusal::attestation_mismatch},
        {"attestation by another parent",
         [](auto& c) { c.attestation.parent_pubkey = kSessionKey; },
         HelloRefusal::attestation_mismatch},
        {"attestation in another case",
         [](auto& c) { c.attestation.session_pubkey = upper(kSessionKey); },
         HelloRefusal::attestation_mismatch},
        {"attestation empty", [](auto& c) { c.attestation = {}; },
         HelloRefusal::attestation_mismatch},
        {"attestation's signature missing", [](auto& c) { c.attestation.signature.clear(); },
         HelloRefusal::attestation_malformed},
        {"attestation prolonged", [](auto& c) { c.attestation.expires_at += 1; },
         HelloRefusal::attestation_bad_signature},
        {"attestation by the session itself",
         [](auto& c) { c.attestation.signature = sign(2, attestation_bytes(c.attestation)); },
         HelloRefusal::attestation_bad_signature},
        {"attestation from another session's hello",
         [](auto& c) {
             c.session_pubkey = c.attestation.session_pubkey = kMemberKey;
             c.signature = sign(1, session_hello_bytes(c));
         },
         HelloRefusal::attestation_bad_signature},
        {"signed too long ago", [](auto& c) { c.timestamp -= 60'001; },
         HelloRefusal::session_timestamp_skew},
        {"signed ahead", [](auto& c) { c.timestamp += 60'001; },
         HelloRefusal::session_timestamp_skew},
        {"signature missing", [](auto& c) { c.signature.clear(); },
         HelloRefusal::session_malformed},
        {"ambiguous mesh", [](auto& c) { c.mesh_id = "a|b"; }, HelloRefusal::session_malformed},
        {"another mesh", [](auto& c) { c.mesh_id.back() = '2'; },
         HelloRefusal::session_bad_signature},
        {"another time", [](auto& c) { c.timestamp += 1; }, HelloRefusal::session_bad_signature},
        {"signed by the parent", [](auto& c) { c.signature = sign(1, session_hello_bytes(c)); },
         HelloRefusal::session_bad_signature},
        {"a hello's signature", [](auto& c) { c.signature = kHelloSignature; },
         HelloRefusal::session_bad_signature},
    };
    for (const SessionCase& test : cases) {
        SessionHelloClaim claim = good_session_hello();
        test.change(claim);
        EXPECT_EQ(outcome(check_session_hello(claim, kNow)), test.refusal) << test.what;
    }
}

TEST(SessionHello, SixtySecondsPassInBothDirections) {
    for (const UnixMillis now : {kNow - 60'000, kNow + 60'000}) {
        EXPECT_EQ(outcome(check_session_hello(good_session_hello(), now)), std::nullopt) << now;
    }
}

// A session's hello read as a hello of the session key, with its fields shifted.
TEST(SessionHello, IsNoHello) {
    HelloClaim claim{"claudemesh-session-hello", kMesh + "|" + kMemberKey, kSessionKey, "", kNow,
                     kSessionHelloSignature};
    ASSERT_EQ(hello_bytes(claim), session_hello_bytes(good_session_hello()));
    EXPECT_EQ(outcome(check_hello(claim, kNow)), HelloRefusal::malformed);
}

TEST(Refusals, AreToldAsTheContractSays) {
    struct Case {
        HelloRefusal refusal;
        std::string_view code;
        std::string_view metric_reason;
        std::string_view close_reason;
        int close_code;
        std::string_view message;
    };
    const Case cases[] = {
        {HelloRefusal::capacity, "capacity", "capacity", "capacity", 1008, "mesh full"},
        {HelloRefusal::unauthorized, "unauthorized", "unauthorized", "unauthorized", 1008,
         "key not in mesh"},
        {HelloRefusal::timestamp_skew, "timestamp_skew", "timestamp_skew", "timestamp_skew", 1008,
         "hello rejected: timestamp_skew"},
        {HelloRefusal::malformed, "malformed", "malformed", "malformed", 1008,
         "hello rejected: malformed"},
        {HelloRefusal::bad_signature, "bad_signature", "bad_signature", "bad_signature", 1008,
         "hello rejected: bad_signature"},
        {HelloRefusal::bad_session_pubkey, "bad_session_pubkey", "bad_session_pubkey",
         "bad_session_pubkey", 1008, "hello rejected: bad_session_pubkey"},
        {HelloRefusal::revoked, "revoked", "revoked", "banned", 4002,
         "you were removed from the mesh Harbour"},
        {HelloRefusal::replayed, "replayed", "replayed", "replayed", 1008,
         "hello rejected: replayed"},
        {HelloRefusal::bad_parent_pubkey, "bad_parent_pubkey", "bad_parent_pubkey",
         "bad_parent_pubkey", 1008, "hello rejected: bad_parent_pubkey"},
        {HelloRefusal::parent_member_id_mismatch, "parent_member_id_mismatch",
         "parent_member_id_mismatch", "parent_member_id_mismatch", 1008,
         "hello rejected: parent_member_id_mismatch"},
        {HelloRefusal::attestation_mismatch, "attestation_mismatch", "attestation_mismatch",
         "attestation_mismatch", 1008, "hello rejected: attestation_mismatch"},
        {HelloRefusal::attestation_malformed, "malformed", "attestation_malformed", "malformed",
         1008, "hello rejected: malformed"},
        {HelloRefusal::attestation_expired, "expired", "attestation_expired", "expired", 1008,
         "hello rejected: expired"},
        {HelloRefusal::attestation_ttl_too_long, "ttl_too_long", "attestation_ttl_too_long",
         "ttl_too_long", 1008, "hello rejected: ttl_too_long"},
        {HelloRefusal::attestation_bad_signature, "bad_signature", "attestation_bad_signature",
         "bad_signature", 1008, "hello rejected: bad_signature"},
        {HelloRefusal::session_timestamp_skew, "timestamp_skew", "session_timestamp_skew",
         "timestamp_skew", 1008, "hello rejected: timestamp_skew"},
        {HelloRefusal::session_malformed, "malformed", "session_malformed", "malformed", 1008,
         "hello rejected: malformed"},
        {HelloRefusal::session_bad_signature, "bad_signature", "session_bad_signature",
         "bad_signature", 1008, "hello rejected: bad_signature"},
    };
    std::set<std::string_view> reasons;
    for (const Case& test : cases) {
        const RefusalForm& form = refusal_form(test.refusal);
        EXPECT_EQ(form.code, test.code);
        EXPECT_EQ(form.metric_reason, test.metric_reason);
        EXPECT_EQ(form.close_reason, test.close_reason) << test.metric_reason;
        EXPECT_EQ(form.close_code, test.close_code) << test.metric_reason;
        EXPECT_EQ(refusal_message(test.refusal, "Harbour"), test.message);
        EXPECT_TRUE(reasons.insert(form.metric_reason).second) << form.metric_reason;
    }
    EXPECT_EQ(reasons.size(), static_cast<std::size_t>(HelloRefusal::session_bad_signature) + 1);
}

ReplayKey key_of(std::uint8_t number) {
    ReplayKey key{};
    key[0] = number;
    key[15] = number;
    return key;
}

TEST(ReplayGuard, RefusesACopyForAsLongAsItsTimeWouldPass) {
    ReplayGuard guard;
    const auto proof = check_hello(good_hello(), kNow);
    ASSERT_TRUE(proof);
    EXPECT_TRUE(guard.admit(proof->replay_key, kNow, kNow));
    EXPECT_FALSE(guard.admit(proof->replay_key, kNow, kNow));
    EXPECT_FALSE(guard.admit(proof->replay_key, kNow, kNow + 60'000));
    EXPECT_EQ(guard.size(), 1U);
    EXPECT_TRUE(check_hello(good_hello(), kNow + 60'000));
    EXPECT_FALSE(check_hello(good_hello(), kNow + 60'001)) << "from here on the skew refuses it";
    EXPECT_TRUE(guard.admit(key_of(1), kNow + 62'000, kNow + 62'000));
    EXPECT_EQ(guard.size(), 1U) << "what has run out is forgotten";
}

TEST(ReplayGuard, AHelloFromTheFutureIsRememberedTwiceAsLong) {
    ReplayGuard guard;
    EXPECT_TRUE(guard.admit(key_of(1), kNow + 60'000, kNow));
    EXPECT_FALSE(guard.admit(key_of(1), kNow + 60'000, kNow + 120'000));
    EXPECT_TRUE(guard.admit(key_of(2), kNow + 121'000, kNow + 121'000));
    EXPECT_EQ(guard.size(), 1U);
}

TEST(ReplayGuard, AnotherSpellingOfTheSignatureIsTheSameHello) {
    HelloClaim shouted = good_hello();
    shouted.signature = upper(shouted.signature);
    shouted.session_pubkey = kMemberKey;
    EXPECT_EQ(check_hello(good_hello(), kNow)->replay_key, check_hello(shouted, kNow)->replay_key);
    EXPECT_NE(check_hello(good_hello(), kNow)->replay_key,
              check_session_hello(good_session_hello(), kNow)->replay_key);
}

TEST(ReplayGuard, IsBoundedAndForgetsWhatRunsOutFirst) {
    ReplayGuard guard(3);
    EXPECT_TRUE(guard.admit(key_of(1), kNow, kNow));
    EXPECT_TRUE(guard.admit(key_of(2), kNow - 30'000, kNow));
    EXPECT_TRUE(guard.admit(key_of(3), kNow + 30'000, kNow));
    EXPECT_EQ(guard.evicted(), 0U);
    EXPECT_TRUE(guard.admit(key_of(4), kNow, kNow));
    EXPECT_EQ(guard.size(), 3U);
    EXPECT_EQ(guard.evicted(), 1U);
    EXPECT_FALSE(guard.admit(key_of(1), kNow, kNow));
    EXPECT_FALSE(guard.admit(key_of(3), kNow + 30'000, kNow));
    EXPECT_FALSE(guard.admit(key_of(4), kNow, kNow));
    EXPECT_TRUE(guard.admit(key_of(2), kNow - 30'000, kNow)) << "the one that was given up";
}

TEST(ReplayGuard, AFloodKeepsItsSize) {
    ReplayGuard guard(100);
    for (int i = 0; i < 10'000; ++i) {
        ReplayKey key{};
        key[0] = static_cast<std::uint8_t>(i);
        key[1] = static_cast<std::uint8_t>(i >> 8);
        ASSERT_TRUE(guard.admit(key, kNow + i % 50'000, kNow));
        ASSERT_LE(guard.size(), 100U);
    }
    EXPECT_EQ(guard.evicted(), 9'900U);
}

}  // namespace
}  // namespace nave::broker
