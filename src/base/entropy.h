// Randomness as a dependency, so that tests and simulations replay from a seed.
#pragma once

#include <cstdint>
#include <span>

namespace nave {

class Entropy {
  public:
    virtual ~Entropy() = default;
    virtual void fill(std::span<std::uint8_t> out) = 0;
    // Uniform in [0, bound); bound > 0.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound);
};

// The operating system's generator (getrandom), of which each thread keeps a few hundred bytes in
// reserve: an id for every message would be a system call for every message. A child made by fork()
// would hand out its parent's reserve again; processes here fork only to become another program.
class SystemEntropy final : public Entropy {
  public:
    void fill(std::span<std::uint8_t> out) override;
};

// Deterministic (SplitMix64); never for keys.
class SeededEntropy final : public Entropy {
  public:
    explicit SeededEntropy(std::uint64_t seed) : state_(seed) {}
    void fill(std::span<std::uint8_t> out) override;

  private:
    std::uint64_t state_;
};

}  // namespace nave
