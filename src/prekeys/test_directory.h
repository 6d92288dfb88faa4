// For the tests of this folder: a Directory over an SQLite database in memory, with a clock that
// stands still and every event kept.
#pragma once

#include "prekeys/directory.h"
#include "prekeys/test_store.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace nave::prekeys {

struct RecordedEvents final : EventSink {
    std::vector<Event> all;

    void on_event(const Event& event) override { all.push_back(event); }
    [[nodiscard]] std::size_t count(EventType type) const {
        return static_cast<std::size_t>(std::ranges::count(all, type, &Event::type));
    }
    // The last of that kind; a default one when there is none.
    [[nodiscard]] Event last(EventType type) const {
        const auto found = std::find_if(all.rbegin(), all.rend(),
                                        [&](const Event& event) { return event.type == type; });
        return found == all.rend() ? Event() : *found;
    }
    // Names in order, separated by spaces; then starts afresh.
    [[nodiscard]] std::string take() {
        std::string names;
        for (const Event& event : std::exchange(all, {})) {
            names += (names.empty() ? "" : " ") + std::string(event_name(event.type));
        }
        return names;
    }
};

class DirectoryTest : public StoreFixture {
  protected:
    void SetUp() override {
        use_store(storage::Store::memory);
        config_.limits = {.enabled = true,
                          .register_per_ip = net::parse_rate("5/h").value(),
                          .fetch_per_ip = net::parse_rate("60/min").value(),
                          .one_time_per_target = net::parse_rate("30/h:20").value(),
                          .one_time_per_target_identified = net::parse_rate("30/h:12").value(),
                          .one_time_per_pair = net::parse_rate("6/h:6").value(),
                          .replenish_per_identity = net::parse_rate("10/min").value()};
        config_.store.reserve_percent = 0;
        workers_ = std::make_unique<WorkerPool>(loop_, 1, 256);
        restart();
    }
    // With config_ as it is now and nothing remembered but the database.
    void restart() {
        set_policy(config_.store);
        directory_of_keys_ =
            std::make_unique<Directory>(config_, store(), *workers_, clock_, entropy_, events_,
                                        [](const Address&) { return kTestIndex; });
    }
    [[nodiscard]] Directory& directory() { return *directory_of_keys_; }

    Result<EnrolOutcome> register_as(const TestDevice& device, const TestUpload& what = {},
                                     const std::string& client = "198.51.100.1") {
        return run(directory().enrol(device.registration(what), device.body_proof(clock_.now()),
                                     Caller{client}));
    }
    Result<SignedIdentity> authenticate(const TestDevice& device,
                                        const std::string& client = "198.51.100.1") {
        return run(directory().authenticate(device.address(), device.header_proof(clock_.now()),
                                            Caller{client}));
    }
    Result<UploadOutcome> replenish_as(const TestDevice& device, const TestUpload& what) {
        auto signer = authenticate(device);
        if (!signer) {
            return std::unexpected(std::move(signer).error());
        }
        return run(directory().replenish(device.replenishment(what), std::move(*signer),
                                         Caller{"198.51.100.1"}));
    }
    Result<ClaimOutcome> claim_as(std::vector<ClaimItem> items, const std::string& client,
                                  const TestDevice* requester = nullptr) {
        std::optional<RequestProof> proof;
        if (requester != nullptr) {
            proof = requester->header_proof(clock_.now());
        }
        return run(directory().claim(std::move(items), std::move(proof), Caller{client}));
    }
    // "issued", "withheld", "exhausted", or an error's id.
    std::string fetch(const Address& address, const std::string& client = "198.51.100.7",
                      const TestDevice* requester = nullptr) {
        const auto outcome = claim_as({{address, std::nullopt}}, client, requester);
        if (!outcome) {
            return outcome.error().id;
        }
        return outcome->front() ? std::string(status_name(outcome->front()->one_time)) : "absent";
    }
    // How many of `times` fetches by one client got a one-time key.
    int issued(const Address& address, int times, const std::string& client = "198.51.100.7",
               const TestDevice* requester = nullptr) {
        int count = 0;
        for (int i = 0; i < times; ++i) {
            count += fetch(address, client, requester) == "issued" ? 1 : 0;
        }
        return count;
    }

    Config config_;
    ManualClock clock_{kTestNow};
    SeededEntropy entropy_{11};
    RecordedEvents events_;
    std::unique_ptr<WorkerPool> workers_;
    std::unique_ptr<Directory> directory_of_keys_;
};

}  // namespace nave::prekeys
