#include "crypto/hash.h"

#include "base/check.h"
#include "base/encoding.h"

#include <openssl/evp.h>
#include <sodium.h>

namespace nave::crypto {
namespace {

// Fetched once and never freed: EVP_sha256() would look the implementation up on every use, and
// freeing at exit would race with worker threads.
const EVP_MD* sha256_method() {
    static const EVP_MD* const method = [] {
        const EVP_MD* fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
        CHECK(fetched != nullptr, "OpenSSL offers no SHA-256");
        return fetched;
    }();
    return method;
}

void restart(EVP_MD_CTX* context) {
    CHECK(EVP_DigestInit_ex2(context, sha256_method(), nullptr) == 1, "SHA-256 init");
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
    EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    CHECK(context_ != nullptr, "out of memory");
    restart(context_.get());
}

void Sha256::update(ByteView part) {
    CHECK(EVP_DigestUpdate(context_.get(), part.data(), part.size()) == 1, "SHA-256 update");
}

ByteArray<32> Sha256::finish() {
    ByteArray<32> digest{};
    CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) == 1, "SHA-256 final");
    restart(context_.get());
    return digest;
}

ByteArray<32> sha256(ByteView message) {
    thread_local Sha256 hasher;  // allocating a context costs a third of a short hash
    hasher.update(message);
    return hasher.finish();
}

ByteArray<64> sha512(ByteView message) {
    ByteArray<64> digest{};
    ::crypto_hash_sha512(digest.data(), message.data(), message.size());
    return digest;
}

ByteArray<32> hmac_sha256(ByteView key, ByteView message) {
    ::crypto_auth_hmacsha256_state state;
    ::crypto_auth_hmacsha256_init(&state, key.data(), key.size());
    ::crypto_auth_hmacsha256_update(&state, message.data(), message.size());
    ByteArray<32> tag{};
    ::crypto_auth_hmacsha256_final(&state, tag.data());
    ::sodium_memzero(&state, sizeof state);
    return tag;
}

std::string keyed_label(const ByteArray<32>& key, std::string_view text) {
    const ByteArray<32> tag = hmac_sha256(key, as_bytes(text));
    return hex(ByteView(tag).first(8));
}

}  // namespace nave::crypto
