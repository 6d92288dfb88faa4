#include "crypto/sodium.h"

#include "base/check.h"

#include <sodium.h>

namespace nave::crypto {

void init() {
    static const bool started = [] {
        CHECK(::sodium_init() >= 0, "libsodium could not start");
        return true;
    }();
    static_cast<void>(started);
}

}  // namespace nave::crypto
