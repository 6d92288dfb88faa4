// Small files that only this process's user may read: generated keys and the like.
#pragma once

#include "base/result.h"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace nave {

// nullopt when there is no such file. Errors "file.unreadable", "file.too_large" (over 1 MiB).
[[nodiscard]] Result<std::optional<std::string>> read_private_file(
    const std::filesystem::path& path);

// Replaces the file as a whole (temporary file, fsync, rename), mode 0600; makes missing
// directories, 0700. Survives kill -9 at any point. Error "file.unwritable".
[[nodiscard]] Result<void> write_private_file(const std::filesystem::path& path,
                                              std::string_view content);

}  // namespace nave
