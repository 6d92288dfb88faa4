// How addresses and clients appear outside the directory: as keyed hashes whose key lives as long
// as the process, so that a feed or a log can be followed but not turned back into names.
#pragma once

#include "base/bytes.h"
#include "base/entropy.h"
#include "crypto/hash.h"

#include <string>
#include <string_view>

namespace nave::prekeys {

class Pseudonyms {
  public:
    explicit Pseudonyms(Entropy& entropy) { entropy.fill(key_); }
    // 16 hex characters.
    [[nodiscard]] std::string label(std::string_view text) const {
        return crypto::keyed_label(key_, text);
    }

  private:
    ByteArray<32> key_{};
};

}  // namespace nave::prekeys
