// The database file before SQLite opens it: creation with private permissions, and errors that say
// which file and what to do.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>

namespace nave::storage::sqlite {

// Directories are created 0700 and the file 0600; what exists keeps its mode. Errors:
// "storage.absent" (and not `create`), "storage.not_a_database", "storage.permission",
// "storage.unreachable".
[[nodiscard]] Result<void> prepare_file(const std::filesystem::path& path, bool create);

// An error of opening, with the file's name and advice in its public message.
[[nodiscard]] Error name_file(Error error, const std::filesystem::path& path);

// flock(2) on a file of its own, until destroyed; the file stays, because removing it would let two
// processes lock two files of one name.
class FileLock {
  public:
    enum class Mode : std::uint8_t { shared, exclusive };
    // nullopt when another process holds it in a way that excludes this.
    static Result<std::optional<FileLock>> take(const std::filesystem::path& path, Mode mode);
    FileLock(FileLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
    FileLock& operator=(FileLock&& other) noexcept {
        std::swap(file_, other.file_);
        return *this;
    }
    ~FileLock();

  private:
    explicit FileLock(int file) : file_(file) {}
    int file_;
};

// Makes a rename or creation in `directory` durable.
[[nodiscard]] Result<void> sync_directory(const std::filesystem::path& directory);

}  // namespace nave::storage::sqlite
