// What is SQLite's own: the file, its disk, its log.
#include "storage/instance_lock.h"
#include "storage/sqlite/checkpointer.h"
#include "storage/test_database.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace nave::storage {
namespace {

namespace fs = std::filesystem;

unsigned mode_of(const fs::path& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 0777U : 0;
}

class SqliteFile : public DatabaseTest {
  protected:
    Result<std::unique_ptr<Database>> open_at(const fs::path& path, Options options = Options()) {
        return open(loop_, logger_, SqliteAddress{path}, options);
    }
    std::int64_t count() {
        const auto row =
            read([](Transaction& tx) { return tx.query_one("SELECT count(*) FROM t"); });
        return row && *row ? (*row)->integer(0) : -1;
    }
    Result<std::int64_t> insert(std::size_t bytes) {
        return write([bytes](Transaction& tx) {
            const Bytes blob(bytes, 0x5a);
            return tx.execute("INSERT INTO t (b) VALUES ($1)", {blob});
        });
    }
};

TEST_F(SqliteFile, IsCreatedForItsOwnerOnly) {
    const fs::path file = directory_ / "new/deep/x.db";
    auto opened = open_at(file);
    ASSERT_TRUE(opened) << opened.error().message;
    database_ = std::move(*opened);
    script("CREATE TABLE t (b BLOB)");
    EXPECT_EQ(mode_of(file), 0600U);
    EXPECT_EQ(mode_of(fs::path(file) += "-wal"), 0600U);
    EXPECT_EQ(mode_of(file.parent_path()), 0700U);
    EXPECT_EQ(mode_of(file.parent_path().parent_path()), 0700U);
    EXPECT_EQ(database_->describe(), "sqlite " + file.string());
}

TEST_F(SqliteFile, IsNotCreatedWhenItMustExist) {
    Options options;
    options.create = false;
    const auto opened = open_at(directory_ / "absent/x.db", options);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().id, "storage.absent");
    EXPECT_FALSE(fs::exists(directory_ / "absent"));
}

TEST_F(SqliteFile, OtherFilesAreRefusedAndLeftAlone) {
    const fs::path text = directory_ / "notes.txt";
    const std::string content(5000, 'n');
    std::ofstream(text) << content;
    fs::create_directory(directory_ / "folder");
    for (const fs::path& path : {text, directory_ / "folder"}) {
        const auto opened = open_at(path);
        ASSERT_FALSE(opened);
        EXPECT_EQ(opened.error().id, "storage.not_a_database") << opened.error().message;
        EXPECT_TRUE(opened.error().message.contains(path.string()));
    }
    std::ifstream again(text);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(again), {}), content);
}

TEST_F(SqliteFile, DamageIsReportedAsSuch) {
    use(Store::file);
    script("CREATE TABLE t (b BLOB)");
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(insert(4000));
    }
    database_.reset();
    {
        std::fstream file(directory_ / "test.db", std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096);
        file << std::string(100'000, '\x7f');
    }
    auto opened = open_at(directory_ / "test.db");
    ASSERT_TRUE(opened) << opened.error().message;
    database_ = std::move(*opened);
    const auto outcome = insert(4000);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().id, "storage.damaged");
    ASSERT_TRUE(database_->trouble());
    EXPECT_TRUE(database_->trouble()->contains("damaged"));
    EXPECT_TRUE(log_->contains("database in trouble"));
}

// Root may write everywhere, so another user tries.
TEST_F(SqliteFile, MissingPermissionSaysWhatToDo) {
    use(Store::file);
    script("CREATE TABLE t (b BLOB)");
    database_.reset();
    const fs::path file = directory_ / "test.db";
    fs::permissions(file, fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read);
    fs::permissions(file.parent_path(), static_cast<fs::perms>(0555));
    const pid_t child = ::fork();
    if (child == 0) {
        if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) {
            ::_exit(9);
        }
        const auto existing = open_at(file);
        const auto created = open_at(file.parent_path() / "other.db");
        const bool as_expected = !existing && existing.error().id == "storage.permission" &&
                                 existing.error().message.contains(file.string()) && !created &&
                                 created.error().id == "storage.permission";
        ::_exit(as_expected ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    fs::permissions(file.parent_path(), static_cast<fs::perms>(0700));
    EXPECT_EQ(status, 0);
}

// The database may not grow: what was acknowledged stays, the others of the batch are not hurt.
TEST_F(SqliteFile, AFullDatabaseFailsOnlyWhatDoesNotFit) {
    use(Store::file);
    script("CREATE TABLE t (b BLOB)");
    ASSERT_TRUE(insert(100));
    const auto limited = write([](Transaction& tx) -> Result<std::int64_t> {
        TRY(const auto pages, tx.query_one("PRAGMA page_count"));
        const std::string sql = "PRAGMA max_page_count = " + std::to_string(pages->integer(0) + 20);
        TRY(const auto row, tx.query_one(sql));
        return row->integer(0);
    });
    ASSERT_TRUE(limited) << limited.error().detail;

    std::vector<std::optional<Result<std::int64_t>>> outcomes(20);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        const std::size_t bytes = i % 5 == 2 ? 1'000'000 : 100;
        auto closure = [bytes](Transaction& tx) {
            const Bytes blob(bytes, 0x5a);
            return tx.execute("INSERT INTO t (b) VALUES ($1)", {blob});
        };
        boost::asio::co_spawn(loop_.executor(),
                              keep_value(db().write(std::move(closure)), outcomes[i]),
                              [](std::exception_ptr thrown) { EXPECT_FALSE(thrown); });
    }
    loop_.run();
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        ASSERT_TRUE(outcomes[i]);
        if (i % 5 == 2) {
            ASSERT_FALSE(*outcomes[i]);
            EXPECT_EQ(outcomes[i]->error().id, "storage.full");
            EXPECT_EQ(outcomes[i]->error().code, Code::unavailable);
        } else {
            EXPECT_TRUE(*outcomes[i]) << outcomes[i]->error().detail;
        }
    }
    EXPECT_EQ(count(), 17);
    EXPECT_TRUE(insert(100));
    EXPECT_FALSE(db().trouble());
}

// The disk takes no more: every write fails clearly, reads go on, and all is well when there is
// room again.
TEST_F(SqliteFile, AFullDiskIsTroubleUntilThereIsRoom) {
    use(Store::file);
    script("CREATE TABLE t (b BLOB)");
    ASSERT_TRUE(insert(100));
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{.rlim_cur = 300'000, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    int acknowledged = 1;
    Result<std::int64_t> last = 0;
    for (int i = 0; i < 100 && last; ++i) {
        last = insert(20'000);
        acknowledged += last ? 1 : 0;
    }
    const bool in_trouble = db().trouble().has_value();
    const std::int64_t readable = count();
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);

    ASSERT_FALSE(last);
    EXPECT_EQ(last.error().id, "storage.io_error") << last.error().detail;
    EXPECT_EQ(last.error().code, Code::unavailable);
    EXPECT_TRUE(in_trouble);
    EXPECT_EQ(readable, acknowledged);
    EXPECT_TRUE(insert(20'000));
    EXPECT_FALSE(db().trouble());
    database_.reset();
    auto opened = open_at(directory_ / "test.db");
    ASSERT_TRUE(opened);
    database_ = std::move(*opened);
    EXPECT_EQ(count(), acknowledged + 1);
}

TEST_F(SqliteFile, AnotherProcessHoldingTheLockDelaysOnlyUntilTheDeadline) {
    Options options;
    options.deadline = std::chrono::milliseconds(100);
    use(Store::file, options);
    script("CREATE TABLE t (b BLOB)");
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open((directory_ / "test.db").c_str(), &other), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    const auto outcome = insert(100);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().id, "storage.timeout");
    EXPECT_EQ(count(), 0);
    ASSERT_EQ(sqlite3_exec(other, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(other);
    EXPECT_TRUE(insert(100));
}

TEST_F(SqliteFile, ARunawayReadIsStoppedWhenItsCallerLeaves) {
    Options options;
    options.readers = 1;
    options.deadline = std::chrono::milliseconds(100);
    use(Store::file, options);
    const auto endless = read([](Transaction& tx) {
        return tx.query(
            "SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
            "SELECT i + 1 FROM n) SELECT i FROM n)");
    });
    ASSERT_FALSE(endless);
    EXPECT_EQ(endless.error().id, "storage.timeout");
    // The only reader is free again, and close() does not hang.
    Result<Rows> next = fail(Code::timeout, "none", "none");
    for (int i = 0; i < 50 && !next; ++i) {
        next = read([](Transaction& tx) { return tx.query("SELECT 1"); });
    }
    EXPECT_TRUE(next);
}

TEST_F(SqliteFile, AServingDatabaseExcludesARestoreAndTheOtherWayRound) {
    Options serving;
    serving.serving = true;
    use(Store::file, serving);
    {
        auto second = another(serving);
        EXPECT_TRUE(second);
    }
    const auto refused = InstanceLock::exclusive(address());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().id, "storage.in_use");
    EXPECT_TRUE(refused.error().message.contains("stop it first"));
    database_.reset();
    const auto lock = InstanceLock::exclusive(address());
    ASSERT_TRUE(lock) << lock.error().message;
    const auto server = open(loop_, logger_, address(), serving);
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().id, "storage.in_use");
    EXPECT_TRUE(open(loop_, logger_, address()));
}

// Small limits, so that few transactions reach them.
class Checkpoints : public SqliteFile {
  protected:
    void SetUp() override {
        use(Store::file);
        script("CREATE TABLE t (b BLOB)");
        database_.reset();
        const std::string path = directory_ / "test.db";
        auto connection = sqlite::Connection::open(path, sqlite::Role::writer);
        ASSERT_TRUE(connection) << connection.error().detail;
        connection_ = std::move(*connection);
        auto started =
            sqlite::Checkpointer::start(path, logger_, {.soft_pages = 50, .hard_pages = 200});
        ASSERT_TRUE(started) << started.error().detail;
        checkpointer_ = std::move(*started);
        sqlite3_wal_hook(
            connection_->handle(),
            [](void* self, sqlite3*, const char*, int pages) {
                static_cast<Checkpoints*>(self)->pages_ = pages;
                static_cast<Checkpoints*>(self)->checkpointer_->log_grew(pages);
                return SQLITE_OK;
            },
            this);
    }
    void commit_one() {
        checkpointer_->enter_batch();
        ASSERT_TRUE(connection_->run("INSERT INTO t VALUES (randomblob(8000))"));
        checkpointer_->leave_batch();
    }
    // Commits until the log has been started anew `times`, at most `commits`.
    int restarts_within(int commits, int times) {
        int restarts = 0;
        for (int i = 0; i < commits && restarts < times; ++i) {
            const int before = pages_;
            commit_one();
            restarts += pages_ < before ? 1 : 0;
        }
        return restarts;
    }

    std::unique_ptr<sqlite::Connection> connection_;
    std::unique_ptr<sqlite::Checkpointer> checkpointer_;
    int pages_ = 0;
};

TEST_F(Checkpoints, TheLogIsStartedAnewUnderASteadyLoad) {
    EXPECT_EQ(restarts_within(20'000, 3), 3);
}

TEST_F(Checkpoints, ALongReadDelaysThatButNeitherStopsWritesNorLastsForEver) {
    auto reader = sqlite::Connection::open(directory_ / "test.db", sqlite::Role::reader);
    ASSERT_TRUE(reader);
    ASSERT_TRUE((*reader)->run("BEGIN"));
    ASSERT_TRUE((*reader)->run("SELECT count(*) FROM t"));
    // The reader needs what the log holds from here on, so it must grow.
    for (int i = 0; i < 130; ++i) {
        commit_one();
    }
    EXPECT_GE(pages_, 260);
    ASSERT_TRUE((*reader)->run("COMMIT"));
    EXPECT_EQ(restarts_within(20'000, 2), 2);
}

}  // namespace
}  // namespace nave::storage
