// A small transparency log in memory, for tests: it does what the service does with its tables.
#pragma once

#include "base/entropy.h"
#include "prekeys/kt/verifier.h"

#include <map>
#include <string>
#include <vector>

namespace nave::prekeys::kt {

class TestLog {
  public:
    TestLog();

    // Logs an event of identity.address; counter and predecessor follow from what is there.
    std::uint64_t add(EventKind kind, const CommittedIdentity& identity);
    // Events of other addresses, to give the tree a shape.
    void add_noise(int events);
    // Logs exactly this leaf, however wrong.
    std::uint64_t add_raw(const Leaf& leaf, const CommittedIdentity& identity,
                          const Opening& opening);

    [[nodiscard]] HistoryProof history(const std::string& address) const;
    [[nodiscard]] HistoryProof history(const std::string& address, std::uint64_t since) const;
    [[nodiscard]] BundleProof bundle(const std::string& address) const;
    [[nodiscard]] Checkpoint checkpoint() const;
    [[nodiscard]] std::string note() const;
    [[nodiscard]] LogKeys keys() const;
    [[nodiscard]] const crypto::Ed25519SigningKey& signing_key() const { return signing_key_; }
    [[nodiscard]] AddressIndex index_of(const std::string& address) const;

  private:
    struct Entry {
        std::uint64_t leaf_index;
        Bytes leaf;
        OpenedIdentity opened;
    };
    [[nodiscard]] NodeReader reader() const;
    [[nodiscard]] ProvedLeaf prove(const Entry& entry) const;

    SeededEntropy entropy_{42};
    crypto::Ed25519SigningKey signing_key_;
    crypto::VrfSecretKey vrf_key_;
    Frontier frontier_;
    std::map<NodeId, Hash> nodes_;
    std::map<std::string, std::vector<Entry>> entries_;
};

[[nodiscard]] CommittedIdentity test_identity(std::string address, std::uint8_t fill);

}  // namespace nave::prekeys::kt
