// The database file before SQLite opens it: creation with private permissions, and errors that say
// which file and what to do.
#pragma once

#include "base/result.h"

#include <filesystem>

namespace nave::storage::sqlite {

// Directories are created 0700 and the file 0600; what exists keeps its mode. Errors:
// "storage.absent" (and not `create`), "storage.not_a_database", "storage.permission",
// "storage.unreachable".
[[nodiscard]] Result<void> prepare_file(const std::filesystem::path& path, bool create);

// An error of opening, with the file's name and advice in its public message.
[[nodiscard]] Error name_file(Error error, const std::filesystem::path& path);

// Makes a rename or creation in `directory` durable.
[[nodiscard]] Result<void> sync_directory(const std::filesystem::path& directory);

}  // namespace nave::storage::sqlite
