#include "storage/sqlite/file.h"

#include "storage/errors.h"

#include <fmt/format.h>

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace nave::storage::sqlite {
namespace {

namespace fs = std::filesystem;

Failure system_failure(int code, const fs::path& path, std::string_view doing) {
    const std::string reason = std::error_code(code, std::generic_category()).message();
    std::string message = fmt::format("Cannot {} {}: {}.", doing, path.string(), reason);
    if (code == EACCES || code == EPERM || code == EROFS) {
        return fail(Code::unavailable, "storage.permission", std::move(message));
    }
    return unreachable(std::move(message), {});
}

fs::path directory_of(const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

Result<void> make_private_directories(const fs::path& directory) {
    std::error_code error;
    if (directory.empty() || fs::is_directory(directory, error)) {
        return ok();
    }
    TRY_VOID(make_private_directories(directory.parent_path()));
    if (::mkdir(directory.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
        return system_failure(errno, directory, "create the directory");
    }
    return ok();
}

}  // namespace

Result<void> prepare_file(const fs::path& path, bool create) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (fs::is_regular_file(status)) {
        return ok();
    }
    if (fs::exists(status)) {
        return fail(Code::invalid, "storage.not_a_database",
                    fmt::format("{} is not a file.", path.string()));
    }
    if (status.type() != fs::file_type::not_found) {
        return system_failure(error.value(), path, "look at");
    }
    if (!create) {
        return fail(Code::not_found, "storage.absent",
                    fmt::format("There is no database file at {}.", path.string()));
    }
    TRY_VOID(make_private_directories(directory_of(path)));
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) {
        return system_failure(errno, path, "create the database file");
    }
    ::close(file);
    return sync_directory(directory_of(path));
}

Error name_file(Error error, const fs::path& path) {
    if (error.id == "storage.not_a_database" || error.id == "storage.damaged") {
        error.code = Code::invalid;
        error.message = fmt::format(
            "{} is damaged or not a SQLite database; name another file or restore a backup.",
            path.string());
    } else if (error.id == "storage.permission") {
        error.message = fmt::format(
            "{} cannot be written; the user that runs the server needs to write the file and its "
            "directory.",
            path.string());
    } else if (error.id == "storage.busy") {
        error.id = "storage.unreachable";
        error.message =
            fmt::format("{} is kept locked by another process; stop that process.", path.string());
    } else {
        error.id = "storage.unreachable";
        error.message = fmt::format("{} cannot be opened: {}", path.string(), error.message);
    }
    return error;
}

Result<std::optional<FileLock>> FileLock::take(const fs::path& path, Mode mode) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) {
        return system_failure(errno, path, "open the lock file");
    }
    FileLock lock(file);
    if (::flock(file, (mode == Mode::shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) {
        return lock;
    }
    if (errno == EWOULDBLOCK) {
        return std::nullopt;
    }
    return system_failure(errno, path, "lock");
}

FileLock::~FileLock() {
    if (file_ >= 0) {
        ::close(file_);
    }
}

Result<void> sync_directory(const fs::path& directory) {
    const int handle = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle < 0) {
        return system_failure(errno, directory, "open the directory");
    }
    const int code = ::fsync(handle) == 0 ? 0 : errno;
    ::close(handle);
    // EINVAL: a file system that does not sync directories.
    if (code != 0 && code != EINVAL) {
        return system_failure(code, directory, "sync the directory");
    }
    return ok();
}

}  // namespace nave::storage::sqlite
