#include "crypto/sha1.h"

#include "base/encoding.h"

#include <gtest/gtest.h>

namespace nave::crypto {
namespace {

// FIPS 180 example vectors.
TEST(Sha1, KnownAnswers) {
    EXPECT_EQ(hex(sha1(as_bytes(""))), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    EXPECT_EQ(hex(sha1(as_bytes("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(hex(sha1(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

// RFC 6455, section 1.3.
TEST(Sha1, TheHandshakeOfTheRfc) {
    EXPECT_EQ(base64(sha1(as_bytes("dGhlIHNhbXBsZSBub25jZQ=="
                                   "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))),
              "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

}  // namespace
}  // namespace nave::crypto
