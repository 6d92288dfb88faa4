// SHA-1 (FIPS 180-4), for the WebSocket handshake alone (RFC 6455, section 1.3), where it proves
// that the server speaks the protocol and protects nothing. Broken for every other use.
#pragma once

#include "base/bytes.h"

namespace nave::crypto {

[[nodiscard]] ByteArray<20> sha1(ByteView message);

}  // namespace nave::crypto
