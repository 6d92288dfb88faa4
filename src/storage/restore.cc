#include "storage/backup.h"
#include "storage/backup_format.h"
#include "storage/errors.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/file.h"
#include "storage/sqlite/transaction.h"
#include "storage/table_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

namespace nave::storage {
namespace {

namespace fs = std::filesystem;

// Rows per INSERT: PostgreSQL answers each statement separately, so several rows share one.
constexpr std::size_t kParametersMax = 900;
constexpr std::size_t kRowsMax = 64;

Failure damaged(const fs::path& file, std::string detail) {
    return fail(Code::invalid, "storage.backup_damaged",
                fmt::format("The backup {} is damaged; use another one.", file.string()),
                std::move(detail));
}

Failure mismatch(std::string message) {
    return fail(Code::conflict, "storage.backup_mismatch", std::move(message));
}

struct SavedTable {
    std::string module;
    std::string name;
    std::int64_t rows;
    std::string sha256;
};

// An open backup file that passed the checks that need no database.
struct BackupFile {
    fs::path path;
    std::unique_ptr<sqlite::Connection> connection;
    std::unique_ptr<sqlite::SqliteTransaction> rows;
    BackupReport report;
    std::vector<SavedTable> tables;
};

Result<void> read_label(BackupFile& file) {
    TRY(const auto made_by_us, file.rows->query_one("SELECT 1 FROM sqlite_schema WHERE type = "
                                                    "'table' AND name = 'nave_backup'"));
    if (!made_by_us) {
        return fail(Code::invalid, "storage.backup_format",
                    fmt::format("{} is a database, but not a backup.", file.path.string()));
    }
    TRY(const auto label,
        file.rows->query_one("SELECT format, created_at, version, source FROM nave_backup"));
    if (!label || label->integer(0) != kBackupFormat) {
        return fail(Code::invalid, "storage.backup_format",
                    fmt::format("The backup {} has format {}, this program reads format {}.",
                                file.path.string(), label ? label->integer(0) : 0, kBackupFormat));
    }
    file.report.label = {.created_at = label->integer(1), .version = label->text(2)};
    file.report.source = label->text(3);
    TRY(const Rows tables, file.rows->query("SELECT module, name, row_count, sha256 "
                                            "FROM nave_backup_tables ORDER BY position"));
    for (const Row& row : tables) {
        file.tables.push_back({.module = row.text(0),
                               .name = row.text(1),
                               .rows = row.integer(2),
                               .sha256 = row.text(3)});
    }
    return ok();
}

Result<BackupFile> open_file(const fs::path& path) {
    TRY_VOID(sqlite::prepare_file(path, false));
    BackupFile file{.path = path, .connection = {}, .rows = {}, .report = {}, .tables = {}};
    auto opened = sqlite::Connection::open(path, sqlite::Role::reader);
    if (!opened) {
        return Failure(sqlite::name_file(std::move(opened).error(), path));
    }
    file.connection = std::move(*opened);
    file.rows = std::make_unique<sqlite::SqliteTransaction>(*file.connection, Access::read);
    auto checked = file.rows->query_one("PRAGMA integrity_check(1)");
    if (!checked) {
        return Failure(sqlite::name_file(std::move(checked).error(), path));
    }
    if (!*checked || (*checked)->text(0) != "ok") {
        return damaged(path, "integrity_check");
    }
    TRY_VOID(read_label(file));
    return file;
}

Result<void> check_contents(const BackupFile& file, const std::vector<ModuleTables>& contents) {
    auto saved = file.tables.begin();
    for (const ModuleTables& module : contents) {
        for (const std::string& table : module.tables) {
            if (saved == file.tables.end() || saved->module != module.module ||
                saved->name != table) {
                return mismatch(
                    fmt::format("The backup {} does not hold the table {} of {} where "
                                "it is expected.",
                                file.path.string(), table, module.module));
            }
            ++saved;
        }
    }
    if (saved != file.tables.end()) {
        return mismatch(
            fmt::format("The backup {} also holds the table {} of {}, which is not to "
                        "be restored.",
                        file.path.string(), saved->name, saved->module));
    }
    return ok();
}

Result<void> check_schema(const BackupFile& file, Transaction& to, const std::string& module) {
    TRY(const Rows saved, file.rows->query(kModuleMigrations, {module}));
    TRY(const Rows present, to.query(kModuleMigrations, {module}));
    const auto same = [](const Row& a, const Row& b) {
        return a.integer(1) == b.integer(1) && a.text(3) == b.text(3);
    };
    if (std::ranges::equal(saved, present, same)) {
        return ok();
    }
    const auto version = [](const Rows& rows) {
        return rows.empty() ? std::int64_t{0} : rows.back().integer(1);
    };
    return fail(Code::conflict, "storage.backup_schema",
                fmt::format("The backup has schema version {} of {}, the database {}. Restore with "
                            "the program version {} that made it, then upgrade.",
                            version(saved), module, version(present), file.report.label.version));
}

// INSERT of `rows` rows at once.
std::string insert_sql(Dialect dialect, const TableShape& shape, std::size_t rows) {
    // Identity columns take the saved numbers, which PostgreSQL wants said.
    std::string sql =
        fmt::format("INSERT INTO {} ({}) {}VALUES ", identifier(shape.name), shape.column_list(),
                    dialect == Dialect::postgres ? "OVERRIDING SYSTEM VALUE " : "");
    std::size_t number = 0;
    for (std::size_t row = 0; row < rows; ++row) {
        sql += row == 0 ? "(" : ", (";
        for (std::size_t column = 0; column < shape.columns.size(); ++column) {
            sql += fmt::format("{}${}", column == 0 ? "" : ", ", ++number);
        }
        sql += ")";
    }
    return sql;
}

// Collects rows and inserts them together.
class Inserter {
  public:
    Inserter(Transaction& to, const TableShape& shape)
        : to_(to),
          together_(std::clamp<std::size_t>(kParametersMax / shape.columns.size(), 1, kRowsMax)),
          many_(insert_sql(to.dialect(), shape, together_)),
          one_(insert_sql(to.dialect(), shape, 1)) {}

    Result<void> add(const Row& row) {
        rows_.push_back(row);
        if (rows_.size() < together_) {
            return ok();
        }
        std::vector<Param> params;
        for (const Row& kept : rows_) {
            const std::vector<Param> cells = as_params(kept);
            params.insert(params.end(), cells.begin(), cells.end());
        }
        TRY_VOID(to_.execute(many_, params));
        rows_.clear();
        return ok();
    }
    Result<void> finish() {
        for (const Row& row : rows_) {
            TRY_VOID(to_.execute(one_, as_params(row)));
        }
        rows_.clear();
        return ok();
    }

  private:
    Transaction& to_;
    const std::size_t together_;
    const std::string many_;
    const std::string one_;
    Rows rows_;
};

Result<TableShape> matching_shape(const BackupFile& file, Transaction& to,
                                  const std::string& table) {
    TRY(TableShape present, read_shape(to, table));
    TRY(const TableShape saved, read_shape(*file.rows, table));
    auto ours = present.columns;
    auto theirs = saved.columns;
    std::ranges::sort(ours);
    std::ranges::sort(theirs);
    if (ours != theirs) {
        return mismatch(
            fmt::format("The table {} has other columns in the backup {} than in the "
                        "database.",
                        table, file.path.string()));
    }
    present.columns = saved.columns;  // the order in which the rows were fingerprinted
    return present;
}

Result<void> restore_rows(const BackupFile& file, Transaction& to, const SavedTable& saved,
                          const TableShape& shape) {
    Inserter inserter(to, shape);
    RowDigest digest;
    std::int64_t count = 0;
    const std::string select = fmt::format("SELECT {} FROM {} ORDER BY rowid", shape.column_list(),
                                           identifier(saved.name));
    TRY_VOID(file.rows->each(select, {}, [&](const Row& row) {
        digest.add(row);
        ++count;
        return inserter.add(row);
    }));
    TRY_VOID(inserter.finish());
    if (count != saved.rows || digest.finish() != saved.sha256) {
        return damaged(file.path, fmt::format("rows of {} are not those saved", saved.name));
    }
    // Also columns that only this store numbers; those that only the other did need nothing.
    for (const Sequence& sequence : shape.sequences) {
        TRY(const auto last, file.rows->query_one("SELECT last_value FROM nave_backup_sequences "
                                                  "WHERE table_name = $1 AND column_name = $2",
                                                  {saved.name, sequence.column}));
        TRY_VOID(advance_sequence(to, shape.name, sequence, last ? last->integer(0) : 0));
    }
    return ok();
}

Result<void> lock_tables(Transaction& to, const BackupFile& file) {
    if (to.dialect() == Dialect::sqlite) {
        return ok();  // the writer's transaction has the whole file
    }
    for (const SavedTable& table : file.tables) {
        TRY_VOID(to.script(
            fmt::format("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", identifier(table.name))));
    }
    return ok();
}

Result<BackupReport> replace_content(Transaction& to, const fs::path& source,
                                     const std::vector<ModuleTables>& contents,
                                     const RestoreHook& hook) {
    TRY(BackupFile file, open_file(source));
    TRY_VOID(check_contents(file, contents));
    TRY_VOID(read_shape(to, "nave_schema_migrations"));
    for (const ModuleTables& module : contents) {
        TRY_VOID(check_schema(file, to, module.module));
    }
    std::vector<TableShape> shapes;
    for (const SavedTable& table : file.tables) {
        TRY(TableShape shape, matching_shape(file, to, table.name));
        shapes.push_back(std::move(shape));
    }
    TRY_VOID(lock_tables(to, file));
    for (std::size_t i = shapes.size(); i-- > 0;) {
        const std::string sql = "DELETE FROM " + identifier(shapes[i].name);
        TRY_VOID(to.execute(sql));
    }
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        TRY_VOID(restore_rows(file, to, file.tables[i], shapes[i]));
        file.report.tables.push_back({.table = file.tables[i].name, .rows = file.tables[i].rows});
    }
    if (hook) {
        TRY_VOID(hook(to));
    }
    return std::move(file.report);
}

}  // namespace

Task<Result<BackupReport>> restore(Database& database, std::filesystem::path source,
                                   std::vector<ModuleTables> contents, RestoreHook hook) {
    auto closure = [source = std::move(source), contents = std::move(contents),
                    hook = std::move(hook)](Transaction& tx) {
        return replace_content(tx, source, contents, hook);
    };
    co_return co_await database.write(std::move(closure));
}

}  // namespace nave::storage
