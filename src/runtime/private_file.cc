#include "runtime/private_file.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nave {
namespace {

constexpr std::size_t kBytesMax = 1024 * 1024;

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return fd_; }

  private:
    int fd_;
};

std::unexpected<Error> unwritable(const std::filesystem::path& path) {
    return fail(Code::internal, "file.unwritable",
                fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
}

bool write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const ssize_t done = ::write(fd, content.data(), content.size());
        if (done < 0 && errno != EINTR) {
            return false;
        }
        content.remove_prefix(done > 0 ? static_cast<std::size_t>(done) : 0);
    }
    return true;
}

}  // namespace

Result<std::optional<std::string>> read_private_file(const std::filesystem::path& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) {
        if (errno == ENOENT) {
            return std::nullopt;
        }
        return fail(Code::invalid, "file.unreadable",
                    fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
    }
    std::string content;
    std::array<char, 4096> chunk{};
    for (;;) {
        const ssize_t got = ::read(file.get(), chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return fail(Code::invalid, "file.unreadable",
                        fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
        }
        if (got == 0) {
            return content;
        }
        content.append(chunk.data(), static_cast<std::size_t>(got));
        if (content.size() > kBytesMax) {
            return fail(Code::invalid, "file.too_large",
                        fmt::format("{} is larger than {} bytes", path.string(), kBytesMax));
        }
    }
}

Result<void> write_private_file(const std::filesystem::path& path, std::string_view content) {
    const std::filesystem::path directory =
        path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        std::error_code ec;
        std::filesystem::create_directories(directory, ec);
        if (ec) {
            errno = ec.value();
            return unwritable(path);
        }
    }
    std::string temporary = path.string() + ".XXXXXX";
    const Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));  // mode 0600
    if (file.get() < 0) {
        return unwritable(path);
    }
    if (!write_all(file.get(), content) || ::fsync(file.get()) != 0 ||
        ::rename(temporary.c_str(), path.c_str()) != 0) {
        const int problem = errno;
        ::unlink(temporary.c_str());
        errno = problem;
        return unwritable(path);
    }
    const Descriptor parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (parent.get() < 0 || ::fsync(parent.get()) != 0) {
        return unwritable(path);
    }
    return ok();
}

}  // namespace nave
