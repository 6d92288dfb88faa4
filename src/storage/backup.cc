#include "storage/backup.h"

#include "storage/backup_format.h"
#include "storage/errors.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/file.h"
#include "storage/sqlite/transaction.h"
#include "storage/table_shape.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace nave::storage {
namespace {

namespace fs = std::filesystem;

Failure file_failure(int code, const fs::path& path, std::string_view doing) {
    const std::string reason = std::error_code(code, std::generic_category()).message();
    std::string message = fmt::format("Cannot {} {}: {}.", doing, path.string(), reason);
    if (code == EEXIST) {
        return fail(Code::conflict, "storage.exists", std::move(message));
    }
    if (code == EACCES || code == EPERM || code == EROFS) {
        return fail(Code::unavailable, "storage.permission", std::move(message));
    }
    return unreachable(std::move(message), {});
}

// The file while it is being written, beside its final place; removed unless published.
class PartialFile {
  public:
    static Result<PartialFile> create(const fs::path& target) {
        struct stat there{};
        if (::lstat(target.c_str(), &there) == 0) {
            return file_failure(EEXIST, target, "write the backup");
        }
        fs::path partial = target;
        partial += fmt::format(".partial-{}", ::getpid());
        ::unlink(partial.c_str());  // of a process that died and had our id
        const int file =
            ::open(partial.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (file < 0) {
            return file_failure(errno, partial, "create");
        }
        return PartialFile(target, std::move(partial), file);
    }
    PartialFile(PartialFile&& other) noexcept
        : target_(std::move(other.target_)),
          partial_(std::move(other.partial_)),
          file_(std::exchange(other.file_, -1)) {}
    PartialFile& operator=(PartialFile&&) = delete;
    ~PartialFile() {
        if (file_ >= 0) {
            ::close(file_);
            ::unlink(partial_.c_str());
        }
    }

    [[nodiscard]] const fs::path& path() const { return partial_; }

    // Durable under its final name when this returns; never over another file.
    Result<void> publish() {
        if (::fsync(file_) != 0) {
            return file_failure(errno, partial_, "sync");
        }
        int code = ::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, target_.c_str(),
                               RENAME_NOREPLACE) == 0
                       ? 0
                       : errno;
        if (code == EINVAL || code == ENOSYS) {  // not every file system can
            code = ::link(partial_.c_str(), target_.c_str()) == 0 ? 0 : errno;
            ::unlink(partial_.c_str());
        }
        if (code != 0) {
            return file_failure(code, target_, "write the backup");
        }
        ::close(std::exchange(file_, -1));
        return sqlite::sync_directory(target_.has_parent_path() ? target_.parent_path() : ".");
    }

  private:
    PartialFile(fs::path target, fs::path partial, int file)
        : target_(std::move(target)), partial_(std::move(partial)), file_(file) {}
    fs::path target_;
    fs::path partial_;
    int file_;
};

Result<void> copy_migrations(Transaction& from, Transaction& to, const std::string& module) {
    return from.each(kModuleMigrations, {module}, [&](const Row& row) -> Result<void> {
        TRY_VOID(
            to.execute("INSERT INTO nave_schema_migrations "
                       "(module, version, name, checksum, applied_at) "
                       "VALUES ($1, $2, $3, $4, $5)",
                       as_params(row)));
        return ok();
    });
}

Result<std::int64_t> copy_table(Transaction& from, Transaction& to, const std::string& module,
                                const std::string& table) {
    TRY(const TableShape shape, read_shape(from, table));
    const std::string columns = shape.column_list();
    // Without types the file keeps each value exactly as it came.
    TRY_VOID(to.script(fmt::format("CREATE TABLE {} ({})", identifier(table), columns)));
    std::string insert = fmt::format("INSERT INTO {} ({}) VALUES (", identifier(table), columns);
    for (std::size_t i = 1; i <= shape.columns.size(); ++i) {
        insert += fmt::format("{}${}", i == 1 ? "" : ", ", i);
    }
    insert += ")";
    const std::string select = fmt::format("SELECT {} FROM {}", columns, identifier(table));
    std::int64_t count = 0;
    RowDigest digest;
    TRY_VOID(from.each(select, {}, [&](const Row& row) -> Result<void> {
        digest.add(row);
        ++count;
        TRY_VOID(to.execute(insert, as_params(row)));
        return ok();
    }));
    TRY_VOID(
        to.execute("INSERT INTO nave_backup_tables (module, name, row_count, sha256) "
                   "VALUES ($1, $2, $3, $4)",
                   {module, table, count, digest.finish()}));
    for (const Sequence& sequence : shape.sequences) {
        if (sequence.last) {
            TRY_VOID(to.execute("INSERT INTO nave_backup_sequences VALUES ($1, $2, $3)",
                                {table, sequence.column, *sequence.last}));
        }
    }
    return count;
}

Result<void> fill(Transaction& from, Transaction& to, const std::vector<ModuleTables>& contents,
                  BackupReport& report) {
    TRY_VOID(read_shape(from, "nave_schema_migrations"));
    TRY_VOID(to.script(kBackupTables));
    TRY_VOID(
        to.execute("INSERT INTO nave_backup (format, created_at, version, source) "
                   "VALUES ($1, $2, $3, $4)",
                   {kBackupFormat, report.label.created_at, report.label.version, report.source}));
    for (const ModuleTables& module : contents) {
        TRY_VOID(copy_migrations(from, to, module.module));
        for (const std::string& table : module.tables) {
            TRY(const std::int64_t rows, copy_table(from, to, module.module, table));
            report.tables.push_back({.table = table, .rows = rows});
        }
    }
    return ok();
}

Result<BackupReport> write_file(Transaction& from, const std::vector<ModuleTables>& contents,
                                const fs::path& target, BackupReport report) {
    TRY(PartialFile file, PartialFile::create(target));
    {
        TRY(const auto connection, sqlite::Connection::open(file.path(), sqlite::Role::exchange));
        sqlite::SqliteTransaction to(*connection, Access::write);
        TRY_VOID(connection->run("BEGIN"));
        TRY_VOID(fill(from, to, contents, report));
        TRY_VOID(connection->run("COMMIT"));
    }
    TRY_VOID(file.publish());
    return report;
}

}  // namespace

Task<Result<BackupReport>> backup(Database& database, std::vector<ModuleTables> contents,
                                  std::filesystem::path target, BackupLabel label) {
    BackupReport report{.label = std::move(label), .source = database.describe(), .tables = {}};
    auto closure = [contents = std::move(contents), target = std::move(target),
                    report = std::move(report)](Transaction& tx) {
        return write_file(tx, contents, target, report);
    };
    co_return co_await database.read(std::move(closure));
}

}  // namespace nave::storage
