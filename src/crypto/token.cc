#include "crypto/token.h"

#include "base/check.h"
#include "base/encoding.h"
#include "crypto/hash.h"

#include <sodium.h>

namespace nave::crypto {

bool equal_secret(ByteView a, ByteView b) {
    return a.size() == b.size() && ::sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool is_secret(const Secret& secret, std::string_view offered) {
    return !secret.empty() &&
           equal_secret(sha256(as_bytes(secret.reveal())), sha256(as_bytes(offered)));
}

Secret random_token(Entropy& entropy, std::size_t bytes) {
    CHECK(bytes >= 16, "a token this short can be guessed");
    Bytes raw(bytes);
    entropy.fill(raw);
    Secret token(base64url(raw));
    ::sodium_memzero(raw.data(), raw.size());
    return token;
}

}  // namespace nave::crypto
