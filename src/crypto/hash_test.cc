#include "crypto/hash.h"

#include "base/encoding.h"

#include <gtest/gtest.h>

namespace nave::crypto {
namespace {

std::string hex_of(ByteView bytes) {
    return hex(bytes);
}

// FIPS 180-4 examples.
TEST(Hash, Sha256KnownAnswers) {
    EXPECT_EQ(hex_of(sha256({})),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(hex_of(sha256(as_bytes("abc"))),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(hex_of(sha256(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Hash, Sha512KnownAnswer) {
    EXPECT_EQ(hex_of(sha512(as_bytes("abc"))),
              "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
              "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

// RFC 4231 test cases 2 (short key) and 6 (key longer than a block).
TEST(Hash, HmacSha256KnownAnswers) {
    EXPECT_EQ(hex_of(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    const Bytes long_key(131, 0xaa);
    EXPECT_EQ(hex_of(hmac_sha256(
                  long_key, as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hash, IncrementalEqualsOneShotAtEverySplit) {
    Bytes message(200);
    for (std::size_t i = 0; i < message.size(); ++i) {
        message[i] = static_cast<std::uint8_t>(i * 7);
    }
    const ByteView all = message;
    Sha256 hasher;
    for (std::size_t cut = 0; cut <= message.size(); ++cut) {
        hasher.update(all.first(cut));
        hasher.update(all.subspan(cut));
        EXPECT_EQ(hasher.finish(), sha256(all)) << "cut at " << cut;
    }
}

TEST(Hash, FinishStartsANewMessage) {
    Sha256 hasher;
    hasher.update("something else");
    static_cast<void>(hasher.finish());
    hasher.update("abc");
    EXPECT_EQ(hasher.finish(), sha256(as_bytes("abc")));
}

TEST(Hash, KeyedLabelIsShortStableAndKeyed) {
    const ByteArray<32> key{1};
    const ByteArray<32> other_key{2};
    const std::string label = keyed_label(key, "alice:1");
    EXPECT_EQ(label.size(), 16U);
    EXPECT_EQ(label, keyed_label(key, "alice:1"));
    EXPECT_EQ(label, hex(hmac_sha256(key, as_bytes("alice:1"))).substr(0, 16));
    EXPECT_NE(label, keyed_label(key, "alice:2"));
    EXPECT_NE(label, keyed_label(other_key, "alice:1"));
}

}  // namespace
}  // namespace nave::crypto
