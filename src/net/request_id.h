// RequestId: names one request in logs and in X-Request-Id. A client's own id is taken over when it
// is harmless; ours are a random prefix per boot and a counter, so they never repeat.
#pragma once

#include "base/entropy.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace nave::net {

class RequestId {
  public:
    static constexpr std::size_t kSizeMax = 64;

    [[nodiscard]] std::string_view view() const { return {text_.data(), size_}; }
    // False, and unchanged, unless `text` is [A-Za-z0-9._-]{1,64}.
    [[nodiscard]] bool assign_inbound(std::string_view text);

  private:
    friend class RequestIdSource;
    std::array<char, kSizeMax> text_;
    std::uint8_t size_ = 0;
};

class RequestIdSource {
  public:
    explicit RequestIdSource(Entropy& entropy);
    void next(RequestId& id);

  private:
    std::array<char, 11> prefix_;  // ten digits and a dash
    std::uint64_t count_ = 0;
};

}  // namespace nave::net
