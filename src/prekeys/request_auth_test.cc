#include "prekeys/request_auth.h"

#include "base/encoding.h"
#include "crypto/hash.h"
#include "prekeys/errors.h"
#include "prekeys/test_keys.h"

#include <gtest/gtest.h>

#include <string>

namespace nave::prekeys {
namespace {

constexpr std::string_view kNonce = "AAECAwQFBgcICQoLDA0ODw";  // 0x00 .. 0x0f
const std::string kSignature = base64(Bytes(64, 0x11));

net::Request signed_request() {
    net::Request request;
    request.method = net::Method::del;
    request.path = "/v1/keys/alice%3A1";
    request.query = "b=2&a=%41";
    request.headers = {{"shade-address", "alice:1"},
                       {"Shade-Timestamp", "1700000000000"},
                       {"Shade-Nonce", kNonce},
                       {"SHADE-SIGNATURE", kSignature}};
    return request;
}

net::Request with_header(std::size_t index, std::string_view value) {
    net::Request request = signed_request();
    request.headers[index].value = value;
    return request;
}

std::string outcome_of(const net::Request& request, const json::Object* body = nullptr) {
    const auto proof = read_proof(request, body, "");
    if (proof) {
        return *proof ? "proof" : "none";
    }
    const auto shown = json::parse(error_object(proof.error(), "r")).value().get_object();
    return std::string(shown.at("code").get_string()) +
           (shown.contains("details") ? " " + json::text(shown.at("details")) : "");
}

TEST(SchemeB, SignedBytes) {
    net::Request request = signed_request();
    const auto proof = read_proof(request, nullptr, "keys.example");
    ASSERT_TRUE(proof && *proof);
    EXPECT_EQ((*proof)->scheme, RequestProof::Scheme::headers);
    EXPECT_EQ((*proof)->address, Address::parse("alice:1").value());
    EXPECT_EQ((*proof)->signed_at, 1'700'000'000'000);
    EXPECT_EQ(hex((*proof)->nonce), "000102030405060708090a0b0c0d0e0f");
    EXPECT_EQ((*proof)->signature, Bytes(64, 0x11));
    EXPECT_EQ(as_text((*proof)->message),
              "SHADE-REQ-V1\n"
              "DELETE\n"
              "/v1/keys/alice%3A1?a=%41&b=2\n"
              "keys.example\n"
              "alice:1\n"
              "1700000000000\n"
              "AAECAwQFBgcICQoLDA0ODw\n"
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    request.method = net::Method::post;
    request.query = "";
    request.body = "abc";
    const auto with_body = read_proof(request, nullptr, "");
    ASSERT_TRUE(with_body && *with_body);
    EXPECT_EQ(as_text((*with_body)->message),
              "SHADE-REQ-V1\n"
              "POST\n"
              "/v1/keys/alice%3A1\n"
              "\n"
              "alice:1\n"
              "1700000000000\n"
              "AAECAwQFBgcICQoLDA0ODw\n"
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// Text is signed as sent; only the meaning is normalised.
TEST(SchemeB, TextIsSignedAsItWasSent) {
    const auto wide = with_header(0, "\uff41lice:1");
    const auto proof = read_proof(wide, nullptr, "");
    ASSERT_TRUE(proof && *proof);
    EXPECT_EQ((*proof)->address->text(), "alice:1");
    EXPECT_TRUE(as_text((*proof)->message).contains("\n\uff41lice:1\n"));
    const auto padded = with_header(2, "AAECAwQFBgcICQoLDA0ODw==");
    const auto other = read_proof(padded, nullptr, "");
    ASSERT_TRUE(other && *other);
    EXPECT_TRUE(as_text((*other)->message).contains("\nAAECAwQFBgcICQoLDA0ODw==\n"));
}

TEST(SchemeB, EveryHeaderOnceAndWellFormed) {
    const auto invalid = [](std::string_view name) {
        return "SHADE_VALIDATION {\"field\":\"" + std::string(name) + "\"}";
    };
    constexpr std::string_view kNames[] = {"Shade-Address", "Shade-Timestamp", "Shade-Nonce",
                                           "Shade-Signature"};
    for (std::size_t i = 0; i < 4; ++i) {
        net::Request twice = signed_request();
        twice.headers.push_back(twice.headers[i]);
        EXPECT_EQ(outcome_of(twice), invalid(kNames[i]));
        if (i < 3) {
            net::Request missing = signed_request();
            missing.headers.erase(missing.headers.begin() + static_cast<std::ptrdiff_t>(i));
            EXPECT_EQ(outcome_of(missing), invalid(kNames[i]));
        }
    }
    EXPECT_EQ(outcome_of(with_header(0, "a b")), "SHADE_BAD_ADDRESS");
    for (const std::string_view bad :
         {"", "1.5", "-1", "0x10", "soon", " 1", "9007199254740992", "99999999999999999999"}) {
        EXPECT_EQ(outcome_of(with_header(1, bad)), invalid("Shade-Timestamp")) << bad;
    }
    for (const std::string_view bad :
         {"", "AAECAwQFBgcICQoLDA0O", "AAECAwQFBgcICQoLDA0ODwA", "*"}) {
        EXPECT_EQ(outcome_of(with_header(2, bad)), invalid("Shade-Nonce")) << bad;
    }
    for (const std::string& bad : {std::string(), base64(Bytes(63)), base64(Bytes(65))}) {
        EXPECT_EQ(outcome_of(with_header(3, bad)), invalid("Shade-Signature")) << bad;
    }
}

TEST(SchemeB, WinsOverAProofInTheBody) {
    const json::Object body{{"signature", kSignature}, {"signedAt", 5}};
    const auto proof = read_proof(signed_request(), &body, "");
    ASSERT_TRUE(proof && *proof);
    EXPECT_EQ((*proof)->scheme, RequestProof::Scheme::headers);
}

TEST(SchemeB, QueryIsSortedByKeyAndKeptAsSent) {
    EXPECT_EQ(signed_target("/p", ""), "/p");
    EXPECT_EQ(signed_target("/p", "b=1&a=2"), "/p?a=2&b=1");
    EXPECT_EQ(signed_target("/p", "k=2&k=1&a=&k=0"), "/p?a=&k=2&k=1&k=0") << "equal keys stay";
    EXPECT_EQ(signed_target("/p", "%62=1&a=%2f%2F+x"), "/p?%62=1&a=%2f%2F+x") << "not decoded";
    EXPECT_EQ(signed_target("/p", "a=1&A=2&a0=3"), "/p?A=2&a=1&a0=3") << "by byte";
    EXPECT_EQ(signed_target("/p", "b&a"), "/p?a&b") << "pairs without a value";
    // '=' sorts above '-': the key is compared, not the pair.
    EXPECT_EQ(signed_target("/p", "a-b=1&a=2"), "/p?a=2&a-b=1");
    EXPECT_EQ(signed_target("/p", "b=1&&a=2&"), "/p?&&a=2&b=1") << "empty pairs are pairs";
}

TEST(SchemeA, SignsTheCanonicalBodyWithoutTheSignature) {
    const auto body = json::parse(R"({"z":[1,{"b":2,"a":"\u00e9"}],"signature":")" + kSignature +
                                  R"(","address":"alice:1","signedAt":1700000000001})")
                          .value()
                          .get_object();
    net::Request request;
    const auto proof = read_proof(request, &body, "ignored");
    ASSERT_TRUE(proof && *proof);
    EXPECT_EQ((*proof)->scheme, RequestProof::Scheme::body);
    EXPECT_EQ((*proof)->address, std::nullopt);
    EXPECT_EQ((*proof)->signed_at, 1'700'000'000'001);
    EXPECT_EQ(as_text((*proof)->message),
              "{\"address\":\"alice:1\",\"signedAt\":1700000000001,"
              "\"z\":[1,{\"a\":\"\u00e9\",\"b\":2}]}");
    EXPECT_TRUE((*proof)->nonce.empty());
}

TEST(SchemeA, MalformedMembersAreNamed) {
    const net::Request request;
    const auto outcome = [&](const json::Object& body) { return outcome_of(request, &body); };
    EXPECT_EQ(outcome({{"signature", kSignature}}), R"(SHADE_VALIDATION {"field":"signedAt"})");
    EXPECT_EQ(outcome({{"signature", kSignature}, {"signedAt", "5"}}),
              R"(SHADE_VALIDATION {"field":"signedAt"})");
    EXPECT_EQ(outcome({{"signature", kSignature}, {"signedAt", -1}}),
              R"(SHADE_VALIDATION {"field":"signedAt"})");
    EXPECT_EQ(outcome({{"signature", "AAAA"}, {"signedAt", 5}}),
              R"(SHADE_VALIDATION {"field":"signature"})");
    EXPECT_EQ(outcome({{"signature", nullptr}, {"signedAt", 5}}),
              R"(SHADE_VALIDATION {"field":"signature"})");
    EXPECT_EQ(outcome({{"signedAt", 5}}), "none");
    EXPECT_EQ(outcome_of(request), "none");
}

TEST(Skew, ExactlyTheAllowedDifferencePasses) {
    RequestProof proof;
    for (const std::int64_t sign : {-1, 1}) {
        proof.signed_at = kTestNow + sign * 300'000;
        EXPECT_TRUE(check_skew(proof, kTestNow, 300'000));
        proof.signed_at += sign;
        const auto refused = check_skew(proof, kTestNow, 300'000);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().id, "SHADE_TIMESTAMP_SKEW");
        EXPECT_EQ(refused.error().details_json, R"({"serverTime":1700000000000})");
    }
    proof.signed_at = 0;
    EXPECT_FALSE(check_skew(proof, kTestNow, 300'000));
    proof.signed_at = kTimeMax;
    EXPECT_FALSE(check_skew(proof, kTestNow, 300'000));
}

TEST(Subject, OnlySchemeBNamesASigner) {
    RequestProof proof;
    const Address alice = Address::parse("alice:1").value();
    EXPECT_TRUE(check_subject(proof, alice)) << "scheme A: the key alone decides";
    proof.address = alice;
    EXPECT_TRUE(check_subject(proof, alice));
    const auto refused = check_subject(proof, Address::parse("alice:2").value());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().id, "SHADE_FORBIDDEN");
}

TEST(ReplayHashes, OfSignatureAndOfAddressWithNonce) {
    RequestProof proof;
    proof.signature = Bytes(64, 0x11);
    EXPECT_EQ(replay_hashes(proof), std::vector<Bytes>{to_bytes(crypto::sha256(Bytes(64, 0x11)))});
    proof.address = Address::parse("alice:1").value();
    proof.nonce = Bytes(16, 0x22);
    Bytes scoped = to_bytes(as_bytes("alice:1"));
    scoped.push_back(0);
    append(scoped, Bytes(16, 0x22));
    const auto hashes = replay_hashes(proof);
    ASSERT_EQ(hashes.size(), 2U);
    EXPECT_EQ(hashes[1], to_bytes(crypto::sha256(scoped)));
    proof.signature = Bytes(64, 0x12);
    EXPECT_NE(replay_hashes(proof)[0], hashes[0]);
    EXPECT_EQ(replay_hashes(proof)[1], hashes[1]) << "one nonce, another signature";
}

TEST(Proofs, VerifyUnderTheIdentityThatMadeThem) {
    for (const Suite suite : kSuites) {
        TestDevice device("alice:1", suite);
        const TestDevice stranger("alice:1", suite, 2);
        RequestProof proof = device.header_proof();
        EXPECT_TRUE(verify_proof(proof, device.identity()));
        EXPECT_FALSE(verify_proof(proof, stranger.identity()));
        proof.message.push_back(0);
        EXPECT_FALSE(verify_proof(proof, device.identity()));
    }
}

}  // namespace
}  // namespace nave::prekeys
