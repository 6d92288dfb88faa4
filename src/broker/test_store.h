// For the tests of stores in this folder: an empty, migrated database of each kind. Needs the test
// support of storage.
#pragma once

#include "broker/types.h"
#include "storage/test_database.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace nave::broker {

inline constexpr std::int64_t kTestNow = 1'763'700'000'000;

// A key that is told from others by its first byte.
[[nodiscard]] Key key_number(std::uint8_t number);

class StoreTest : public storage::DatabaseTest, public testing::WithParamInterface<storage::Store> {
  protected:
    // Skips when the kind of store is not there.
    void SetUp() override;

    // The mesh "mesh" with one member: "ada", whose key has number 1.
    void make_mesh();

    template <class T>
    T run(Task<T> task) {
        return storage::run(loop_, std::move(task));
    }
};

}  // namespace nave::broker

// In every file that defines tests on StoreTest or a class derived from it.
#define BROKER_ON_EVERY_STORE(fixture)                                                           \
    INSTANTIATE_TEST_SUITE_P(                                                                    \
        Stores, fixture,                                                                         \
        testing::Values(storage::Store::memory, storage::Store::file, storage::Store::postgres), \
        storage::name_of)
