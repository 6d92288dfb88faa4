#include "storage/backup.h"

#include "storage/migrations.h"
#include "storage/test_database.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <tuple>

namespace nave::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::array kMigrations{Migration{
    .version = 1,
    .name = "init",
    .sqlite = "CREATE TABLE bk_owners (name TEXT PRIMARY KEY, score BIGINT, picture BLOB) "
              "WITHOUT ROWID;"
              "CREATE TABLE bk_items (seq INTEGER PRIMARY KEY AUTOINCREMENT, "
              "owner TEXT NOT NULL REFERENCES bk_owners (name), note TEXT, "
              "doubled BIGINT GENERATED ALWAYS AS (seq * 2) STORED);"
              "CREATE TABLE bk_other (id BIGINT)",
    .postgres = "CREATE TABLE bk_owners (name TEXT PRIMARY KEY, score BIGINT, picture BYTEA);"
                "CREATE TABLE bk_items (seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
                "owner TEXT NOT NULL REFERENCES bk_owners (name), note TEXT, "
                "doubled BIGINT GENERATED ALWAYS AS (seq * 2) STORED);"
                "CREATE TABLE bk_other (id BIGINT)",
}};

std::vector<ModuleTables> contents() {
    return {{"bk", {"bk_owners", "bk_items"}}};
}

Result<void> fill(Transaction& tx, std::int64_t owners) {
    for (std::int64_t i = 0; i < owners; ++i) {
        const std::string name = "owner " + std::to_string(i);
        const std::optional<std::int64_t> score =
            i % 3 == 0 ? std::nullopt : std::optional<std::int64_t>(i * 1'000'000'007);
        std::optional<Bytes> picture;
        if (i % 2 == 0) {
            picture = Bytes(static_cast<std::size_t>(i), static_cast<std::uint8_t>(i));
        }
        TRY_VOID(tx.execute("INSERT INTO bk_owners (name, score, picture) VALUES ($1, $2, $3)",
                            {name, score, picture}));
        TRY_VOID(tx.execute("INSERT INTO bk_items (owner, note) VALUES ($1, $2)",
                            {name, i % 5 == 0 ? Param(nullptr) : Param("ž \"'\\ \n")}));
    }
    // The highest number is used and gone; it must not be given out again after a restore.
    TRY_VOID(tx.execute("DELETE FROM bk_items WHERE seq > $1", {owners - 5}));
    return ok();
}

Result<std::vector<Rows>> everything(Transaction& tx) {
    TRY(Rows owners, tx.query("SELECT name, score, picture FROM bk_owners ORDER BY score, name"));
    TRY(Rows items, tx.query("SELECT seq, owner, note, doubled FROM bk_items ORDER BY seq"));
    std::ranges::sort(owners, {}, [](const Row& row) { return row.text(0); });
    return std::vector<Rows>{std::move(owners), std::move(items)};
}

bool same(const std::vector<Rows>& a, const std::vector<Rows>& b) {
    const auto same_row = [](const Row& x, const Row& y) {
        for (std::size_t i = 0; i < x.size(); ++i) {
            if (i >= y.size() || x.cell(i) != y.cell(i)) {
                return false;
            }
        }
        return x.size() == y.size();
    };
    return std::ranges::equal(
        a, b, [&](const Rows& x, const Rows& y) { return std::ranges::equal(x, y, same_row); });
}

using Direction = std::tuple<Store, Store>;

class Backup : public DatabaseTest, public testing::WithParamInterface<Direction> {
  protected:
    void SetUp() override {
        const auto [from, to] = GetParam();
        require(from);
        require(to);
        if (IsSkipped() || HasFatalFailure()) {
            return;
        }
        Options options;
        options.connections = 2;
        source_ = fresh(from, "source", options);
        target_ = fresh(to, "target", options);
        ASSERT_TRUE(source_ && target_);
        for (Database* database : {source_.get(), target_.get()}) {
            ASSERT_TRUE(run(loop_, migrate(*database, set(), clock_)));
        }
        const auto filled =
            run(loop_, source_->write([](Transaction& tx) { return fill(tx, 300); }));
        ASSERT_TRUE(filled) << filled.error().detail;
    }
    static MigrationSet set() { return {.module = "bk", .migrations = kMigrations}; }
    fs::path file() const { return directory_ / "backup.db"; }
    auto save() {
        return run(loop_, backup(*source_, contents(), file(),
                                 {.created_at = 1'700'000'000'000, .version = "0.1.0"}));
    }
    auto load(RestoreHook hook = nullptr) {
        return run(loop_, restore(*target_, file(), contents(), std::move(hook)));
    }
    std::vector<Rows> content_of(Database& database) {
        auto rows = run(loop_, database.read(everything));
        EXPECT_TRUE(rows) << rows.error().detail;
        return rows ? std::move(*rows) : std::vector<Rows>();
    }
    // The target holds something of its own, which a failed restore must leave.
    void put_into_target() {
        ASSERT_TRUE(run(loop_, target_->write([](Transaction& tx) { return fill(tx, 20); })));
    }
    void edit_file(const std::string& sql) {
        sqlite3* raw = nullptr;
        ASSERT_EQ(sqlite3_open(file().c_str(), &raw), SQLITE_OK);
        EXPECT_EQ(sqlite3_exec(raw, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
        sqlite3_close(raw);
    }
    void expect_refused(const std::string& id) {
        put_into_target();
        const auto before = content_of(*target_);
        const auto outcome = load();
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().id, id) << outcome.error().message << outcome.error().detail;
        EXPECT_TRUE(same(content_of(*target_), before));
    }

    ManualClock clock_;
    std::unique_ptr<Database> source_;
    std::unique_ptr<Database> target_;
};

std::string name_of_direction(const testing::TestParamInfo<Direction>& info) {
    return name_of({std::get<0>(info.param), 0}) + "To" + name_of({std::get<1>(info.param), 1});
}

INSTANTIATE_TEST_SUITE_P(Stores, Backup,
                         testing::Combine(testing::Values(Store::memory, Store::file,
                                                          Store::postgres),
                                          testing::Values(Store::file, Store::postgres)),
                         name_of_direction);

// What depends on the file rather than on where it comes from.
class BackupRefusal : public Backup {};
INSTANTIATE_TEST_SUITE_P(Stores, BackupRefusal,
                         testing::Combine(testing::Values(Store::memory),
                                          testing::Values(Store::file, Store::postgres)),
                         name_of_direction);

TEST_P(Backup, RestoresTheSameRowsIntoEitherStore) {
    const auto saved = save();
    ASSERT_TRUE(saved) << saved.error().message << saved.error().detail;
    ASSERT_EQ(saved->tables.size(), 2U);
    EXPECT_EQ(saved->tables[0].rows, 300);
    EXPECT_EQ(saved->tables[1].rows, 295);
    struct stat status{};
    ASSERT_EQ(::stat(file().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);

    put_into_target();
    const auto loaded = load();
    ASSERT_TRUE(loaded) << loaded.error().message << loaded.error().detail;
    EXPECT_EQ(loaded->label.version, "0.1.0");
    EXPECT_EQ(loaded->label.created_at, 1'700'000'000'000);
    EXPECT_EQ(loaded->source, source_->describe());
    EXPECT_TRUE(same(content_of(*target_), content_of(*source_)));

    // Numbering goes on above every number that was ever given out.
    const auto next = run(loop_, target_->write([](Transaction& tx) {
        return tx.query("INSERT INTO bk_items (owner) VALUES ('owner 1') RETURNING seq");
    }));
    ASSERT_TRUE(next) << next.error().detail;
    EXPECT_EQ(next->front().integer(0), 301);
}

TEST_P(BackupRefusal, NeverOverwritesAFile) {
    std::ofstream(file()) << "precious";
    const auto saved = save();
    ASSERT_FALSE(saved);
    EXPECT_EQ(saved.error().id, "storage.exists");
    std::ifstream again(file());
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(again), {}), "precious");
}

TEST_P(Backup, IsOneSnapshotWhileWritesGoOn) {
    ASSERT_TRUE(run(loop_, source_->write([](Transaction& tx) {
        return tx.execute("UPDATE bk_owners SET score = 1000");
    })));
    std::optional<Result<BackupReport>> saved;
    boost::asio::co_spawn(loop_.executor(),
                          keep_value(backup(*source_, contents(), file(), {}), saved),
                          [](std::exception_ptr thrown) { EXPECT_FALSE(thrown); });
    std::vector<std::optional<Result<void>>> moved(100);
    for (std::size_t i = 0; i < moved.size(); ++i) {
        // Each moves one point from one row to another, so the sum never changes.
        auto closure = [i](Transaction& tx) -> Result<void> {
            const std::string from = "owner " + std::to_string(i);
            const std::string to = "owner " + std::to_string(299 - i);
            TRY_VOID(tx.execute("UPDATE bk_owners SET score = score - 1 WHERE name = $1", {from}));
            TRY_VOID(tx.execute("UPDATE bk_owners SET score = score + 1 WHERE name = $1", {to}));
            return ok();
        };
        boost::asio::co_spawn(loop_.executor(),
                              keep_value(source_->write(std::move(closure)), moved[i]),
                              [](std::exception_ptr thrown) { EXPECT_FALSE(thrown); });
    }
    loop_.run();
    ASSERT_TRUE(saved && *saved) << (*saved).error().detail;
    ASSERT_TRUE(load());
    const auto sum = run(loop_, target_->read([](Transaction& tx) {
        return tx.query("SELECT CAST(SUM(score) AS BIGINT) FROM bk_owners");
    }));
    ASSERT_TRUE(sum);
    EXPECT_EQ(sum->front().integer(0), 300'000);
}

TEST_P(Backup, LeavesNothingBehindWhenItFails) {
    const auto missing_table =
        run(loop_, backup(*source_, {{"bk", {"bk_owners", "bk_absent"}}}, file(), {}));
    ASSERT_FALSE(missing_table);
    EXPECT_EQ(missing_table.error().id, "storage.backup_mismatch");
    for (const auto& entry : fs::directory_iterator(file().parent_path())) {
        EXPECT_FALSE(entry.path().filename().string().starts_with("backup.db")) << entry.path();
    }
    const auto missing_directory =
        run(loop_, backup(*source_, contents(), directory_ / "absent/backup.db", {}));
    ASSERT_FALSE(missing_directory);
    EXPECT_EQ(missing_directory.error().id, "storage.unreachable");
}

TEST_P(Backup, TheHookSeesTheRowsAndItsFailureUndoesEverything) {
    ASSERT_TRUE(save());
    put_into_target();
    const auto before = content_of(*target_);
    std::int64_t seen = 0;
    const auto refused = load([&seen](Transaction& tx) -> Result<void> {
        TRY(const auto row, tx.query_one("SELECT count(*) FROM bk_items"));
        seen = row->integer(0);
        return fail(Code::invalid, "test.no", "No.");
    });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().id, "test.no");
    EXPECT_EQ(seen, 295);
    EXPECT_TRUE(same(content_of(*target_), before));

    const auto emptied = load([](Transaction& tx) -> Result<void> {
        TRY_VOID(tx.execute("DELETE FROM bk_items"));
        return ok();
    });
    ASSERT_TRUE(emptied);
    EXPECT_TRUE(content_of(*target_)[1].empty());
    EXPECT_EQ(content_of(*target_)[0].size(), 300U);
}

TEST_P(BackupRefusal, ADamagedFileIsRefused) {
    ASSERT_TRUE(save());
    edit_file("UPDATE bk_owners SET score = 8 WHERE score = 1000000007");
    expect_refused("storage.backup_damaged");
}

TEST_P(BackupRefusal, AFileWithMissingRowsIsRefused) {
    ASSERT_TRUE(save());
    edit_file("DELETE FROM bk_items WHERE seq = 295");
    expect_refused("storage.backup_damaged");
}

TEST_P(BackupRefusal, AFormatOfTheFutureIsRefused) {
    ASSERT_TRUE(save());
    edit_file("UPDATE nave_backup SET format = 2");
    expect_refused("storage.backup_format");
}

TEST_P(BackupRefusal, AnotherSchemaIsRefused) {
    ASSERT_TRUE(save());
    edit_file("UPDATE nave_schema_migrations SET version = 2");
    expect_refused("storage.backup_schema");
}

TEST_P(BackupRefusal, OtherColumnsAreRefused) {
    ASSERT_TRUE(save());
    edit_file("ALTER TABLE bk_owners ADD COLUMN surprise");
    expect_refused("storage.backup_mismatch");
}

TEST_P(BackupRefusal, OtherTablesAreRefused) {
    ASSERT_TRUE(save());
    edit_file("UPDATE nave_backup_tables SET name = 'bk_other' WHERE name = 'bk_items'");
    expect_refused("storage.backup_mismatch");
}

TEST_P(BackupRefusal, ADatabaseThatIsNoBackupIsRefused) {
    edit_file("CREATE TABLE t (x)");
    expect_refused("storage.backup_format");
}

TEST_P(BackupRefusal, AFileThatIsNoDatabaseIsRefused) {
    std::ofstream(file()) << std::string(10'000, 'x');
    expect_refused("storage.not_a_database");
}

TEST_P(BackupRefusal, AnAbsentFileIsRefused) {
    expect_refused("storage.absent");
}

}  // namespace
}  // namespace nave::storage
