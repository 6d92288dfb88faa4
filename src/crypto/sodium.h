// One place that starts libsodium. Every function of this layer that needs it calls init() itself,
// so no caller has to remember; the call is free after the first.
#pragma once

namespace nave::crypto {

// Idempotent and safe from any thread. Aborts when the system offers no randomness.
void init();

}  // namespace nave::crypto
