// For the tests of this folder: a Store over an empty database of each kind, and short ways to use
// it. Needs the test support of storage.
#pragma once

#include "prekeys/migrations.h"
#include "prekeys/store.h"
#include "prekeys/test_keys.h"
#include "storage/migrations.h"
#include "storage/test_database.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nave::prekeys {

inline constexpr std::int64_t kMinuteMs = 60'000;
inline constexpr std::int64_t kHourMs = 60 * kMinuteMs;
inline constexpr std::int64_t kDayMs = 24 * kHourMs;

// "ok", or the error's id.
template <class T>
std::string outcome_id(const Result<T>& outcome) {
    return outcome ? "ok" : outcome.error().id;
}

class StoreFixture : public storage::DatabaseTest {
  protected:
    // An empty, migrated database; skips when the kind is not there.
    void use_store(storage::Store kind, StorePolicy policy = StorePolicy());
    // The same database under another policy.
    void set_policy(StorePolicy policy) { store_ = std::make_unique<Store>(db(), policy); }
    [[nodiscard]] Store& store() { return *store_; }

    template <class T>
    T run(Task<T> task) {
        return storage::run(loop_, std::move(task));
    }
    // Runs all at once.
    template <class T>
    std::vector<T> run_all(std::vector<Task<T>> tasks) {
        std::vector<std::optional<T>> slots(tasks.size());
        for (std::size_t i = 0; i < tasks.size(); ++i) {
            boost::asio::co_spawn(loop_.executor(),
                                  storage::keep_value(std::move(tasks[i]), slots[i]),
                                  [](std::exception_ptr error) { EXPECT_FALSE(error); });
        }
        loop_.run();
        std::vector<T> values;
        for (std::optional<T>& slot : slots) {
            values.push_back(std::move(slot).value());
        }
        return values;
    }

    Result<EnrolOutcome> enrol(TestDevice& device, const TestUpload& what = {},
                               UnixMillis at = kTestNow);
    Result<UploadOutcome> replenish(TestDevice& device, const TestUpload& what,
                                    UnixMillis at = kTestNow);
    Result<void> remove(TestDevice& device, UnixMillis at = kTestNow);
    // One bundle, anonymous unless `requester` is given.
    Result<std::optional<ClaimedBundle>> claim(const Address& address, UnixMillis at = kTestNow,
                                               TestDevice* requester = nullptr,
                                               bool may_consume = true,
                                               std::optional<Bytes> claim_hash = std::nullopt);
    // The one-time key ids of `count` anonymous claims in one request, 0 for none.
    std::vector<KeyId> claim_ids(const Address& address, std::size_t count,
                                 UnixMillis at = kTestNow);

    // First cell of a query's only row.
    std::int64_t number(std::string sql);
    std::int64_t leaf_count() { return number("select tree_size from shade_server_kt_head"); }
    std::int64_t rows(const std::string& table) {
        return number("select count(*) from shade_server_" + table);
    }

    std::unique_ptr<Store> store_;
};

class StoreTest : public StoreFixture, public testing::WithParamInterface<storage::Store> {
  protected:
    void SetUp() override { use_store(GetParam()); }
};

// Members of a bundle: the one-time key's id, or 0; likewise of the KEM key.
[[nodiscard]] KeyId one_time_id(const ClaimedBundle& bundle);
[[nodiscard]] KeyId kem_id(const ClaimedBundle& bundle);
[[nodiscard]] bool kem_is_last_resort(const ClaimedBundle& bundle);
[[nodiscard]] json::Object bundle_object(const ClaimedBundle& bundle);

}  // namespace nave::prekeys

// In every file that defines tests on StoreTest or a class derived from it.
#define PREKEYS_ON_EVERY_STORE(fixture)                                                          \
    INSTANTIATE_TEST_SUITE_P(                                                                    \
        Stores, fixture,                                                                         \
        testing::Values(storage::Store::memory, storage::Store::file, storage::Store::postgres), \
        storage::name_of)
