#include "crypto/sha1.h"

#include "base/check.h"

#include <openssl/evp.h>

namespace nave::crypto {

ByteArray<20> sha1(ByteView message) {
    ByteArray<20> digest{};
    CHECK(EVP_Digest(message.data(), message.size(), digest.data(), nullptr, EVP_sha1(), nullptr) ==
              1,
          "OpenSSL offers no SHA-1");
    return digest;
}

}  // namespace nave::crypto
