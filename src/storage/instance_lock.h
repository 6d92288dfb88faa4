// The instance lock tells a running server from a database that nobody serves. Servers hold it
// shared (Options::serving), whoever replaces the data under them takes it exclusively.
//
// SQLite: flock(2) on <file>.lock. PostgreSQL: an advisory lock that each connection of a server
// takes when it is made, so that it comes back with the connection.
#pragma once

#include "base/result.h"
#include "storage/open.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace nave::storage {

// The advisory lock's key, one per PostgreSQL database.
inline constexpr std::int64_t kInstanceLock = 0x6e6176654c4f434b;  // "naveLOCK"

[[nodiscard]] std::filesystem::path lock_file_of(const std::filesystem::path& database);

class InstanceLock {
  public:
    // Blocking. "storage.in_use" while a server runs; "storage.unreachable".
    static Result<InstanceLock> exclusive(
        const Address& address,
        std::chrono::milliseconds connect_timeout = Options().connect_timeout);
    InstanceLock(InstanceLock&& other) noexcept;
    InstanceLock& operator=(InstanceLock&& other) noexcept;
    ~InstanceLock();

  private:
    struct Held;
    explicit InstanceLock(std::unique_ptr<Held> held);
    std::unique_ptr<Held> held_;
};

}  // namespace nave::storage
