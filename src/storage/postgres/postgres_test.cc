// What is PostgreSQL's own: the server that goes, comes back, hangs, or is not one.
#include "storage/instance_lock.h"
#include "storage/postgres/server_address.h"
#include "storage/test_database.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <chrono>
#include <iostream>
#include <netinet/in.h>
#include <support/postgres_server.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace nave::storage {
namespace {

using fixture::PostgresServer;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

class Postgres : public DatabaseTest {
  protected:
    void SetUp() override { use(Store::postgres); }
    const Secret& url() const { return std::get<PostgresAddress>(*address_).url; }
};

TEST_F(Postgres, DescribesItselfWithoutThePassword) {
    std::string with_password(url().reveal());
    with_password.insert(with_password.find('@'), ":s3cr%65t");
    const auto opened = open(loop_, logger_, PostgresAddress{Secret(with_password)});
    ASSERT_TRUE(opened);
    EXPECT_TRUE((*opened)->describe().starts_with("postgres test_")) << (*opened)->describe();
    EXPECT_TRUE((*opened)->describe().contains("@127.0.0.1:"));
    EXPECT_FALSE((*opened)->describe().contains("s3cr"));

    const auto absent = with_password.substr(0, with_password.rfind('/')) + "/no_such_database";
    const auto refused = open(loop_, logger_, PostgresAddress{Secret(absent)});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().id, "storage.unreachable");
    EXPECT_TRUE(refused.error().message.contains("does not exist")) << refused.error().message;
    EXPECT_FALSE((refused.error().message + refused.error().detail).contains("s3cret"));
    EXPECT_FALSE((refused.error().message + refused.error().detail).contains("s3cr%65t"));
}

TEST_F(Postgres, DecodesTheTypesItPromisesAndNamesOthers) {
    const auto row = read([](Transaction& tx) {
        return tx.query_one(
            "SELECT (-2)::int2, (-70000)::int4, (-5000000000)::int8, true, false, "
            "'v'::varchar, 'n'::name, 'b'::char(3), NULL::numeric");
    });
    ASSERT_TRUE(row) << row.error().detail;
    EXPECT_EQ((*row)->integer(0), -2);
    EXPECT_EQ((*row)->integer(1), -70'000);
    EXPECT_EQ((*row)->integer(2), -5'000'000'000);
    EXPECT_EQ((*row)->integer(3), 1);
    EXPECT_EQ((*row)->integer(4), 0);
    EXPECT_EQ((*row)->text(5), "v");
    EXPECT_EQ((*row)->text(6), "n");
    EXPECT_EQ((*row)->text(7), "b  ");
    EXPECT_TRUE((*row)->is_null(8));
    const auto numeric = read([](Transaction& tx) { return tx.query("SELECT 1.5 AS half"); });
    ASSERT_FALSE(numeric);
    EXPECT_TRUE(numeric.error().detail.contains("half"));
}

TEST_F(Postgres, CommitsAreDurableWhateverTheRolesDefault) {
    script("ALTER ROLE nave SET synchronous_commit = off");
    const auto second = another();
    const auto row = run(loop_, second->read([](Transaction& tx) {
        return tx.query_one(
            "SELECT current_setting('synchronous_commit'), "
            "current_setting('application_name')");
    }));
    script("ALTER ROLE nave RESET synchronous_commit");
    ASSERT_TRUE(row);
    EXPECT_EQ((*row)->text(0), "on");
    EXPECT_EQ((*row)->text(1), "nave");
}

TEST_F(Postgres, DeadlocksAreRunAgain) {
    script("CREATE TABLE d (id BIGINT PRIMARY KEY, x BIGINT); INSERT INTO d VALUES (1, 0), (2, 0)");
    std::vector<std::optional<Result<std::int64_t>>> outcomes(20);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        const std::int64_t first = i % 2 == 0 ? 1 : 2;
        auto closure = [first](Transaction& tx) -> Result<std::int64_t> {
            TRY_VOID(tx.execute("SET LOCAL deadlock_timeout = '10ms'"));
            TRY_VOID(tx.execute("UPDATE d SET x = x + 1 WHERE id = $1", {first}));
            TRY_VOID(tx.execute("SELECT pg_sleep(0.02)"));
            return tx.execute("UPDATE d SET x = x + 1 WHERE id = $1", {3 - first});
        };
        boost::asio::co_spawn(loop_.executor(),
                              keep_value(db().write(std::move(closure)), outcomes[i]),
                              [](std::exception_ptr thrown) { EXPECT_FALSE(thrown); });
    }
    loop_.run();
    std::int64_t succeeded = 0;
    for (const auto& outcome : outcomes) {
        ASSERT_TRUE(outcome);
        succeeded += *outcome ? 1 : 0;
        EXPECT_TRUE(*outcome) << outcome->error().detail;
    }
    EXPECT_GE(db().stats().retries, 1U);
    const auto rows = read([](Transaction& tx) { return tx.query("SELECT x FROM d ORDER BY id"); });
    ASSERT_TRUE(rows);
    EXPECT_EQ((*rows)[0].integer(0), succeeded);
    EXPECT_EQ((*rows)[1].integer(0), succeeded);
}

TEST_F(Postgres, StatementsAreRepreparedWhenTheSchemaChanges) {
    script("CREATE TABLE p (id BIGINT); INSERT INTO p VALUES (1)");
    Options one;
    one.connections = 1;
    const auto narrow = another(one);
    const auto select = [](Transaction& tx) { return tx.query("SELECT * FROM p"); };
    ASSERT_EQ(run(loop_, narrow->read(select)).value().front().size(), 1U);
    script("ALTER TABLE p ADD COLUMN more TEXT");
    const auto again = run(loop_, narrow->read(select));
    ASSERT_TRUE(again) << again.error().detail;
    EXPECT_EQ(again->front().size(), 2U);
    EXPECT_EQ(narrow->stats().retries, 1U);
}

std::int64_t prepared_statements(Loop& loop, Database& database) {
    const auto row = run(loop, database.read([](Transaction& tx) {
        return tx.query_one("SELECT count(*) FROM pg_prepared_statements");
    }));
    return row && *row ? (*row)->integer(0) : -1;
}

TEST_F(Postgres, PatternsOfNullsShareOneStatement) {
    script("CREATE TABLE n (a BIGINT, b TEXT, c BYTEA, d BIGINT)");
    Options one;
    one.connections = 1;
    const auto narrow = another(one);
    const std::int64_t before = prepared_statements(loop_, *narrow);
    for (unsigned pattern = 0; pattern < 16; ++pattern) {
        const auto outcome = run(loop_, narrow->write([pattern](Transaction& tx) {
            const Bytes bytes{1, 2};
            const auto pick = [pattern](unsigned bit, Param value) {
                return (pattern >> bit & 1U) != 0 ? value : Param(nullptr);
            };
            return tx.execute("INSERT INTO n VALUES ($1, $2, $3, $4)",
                              {pick(0, 1), pick(1, "x"), pick(2, bytes), pick(3, 4)});
        }));
        ASSERT_TRUE(outcome) << outcome.error().detail;
    }
    // At most one for each parameter that was first seen as null.
    EXPECT_LE(prepared_statements(loop_, *narrow) - before, 5);
    const auto rows = run(loop_, narrow->read([](Transaction& tx) {
        return tx.query("SELECT count(a), count(b), count(c), count(d) FROM n");
    }));
    ASSERT_TRUE(rows);
    for (std::size_t column = 0; column < 4; ++column) {
        EXPECT_EQ(rows->front().integer(column), 8);
    }
}

TEST_F(Postgres, GeneratedStatementsDoNotPileUpAtTheServer) {
    Options one;
    one.connections = 1;
    const auto narrow = another(one);
    for (int i = 0; i < 1'200; ++i) {
        const auto row = run(loop_, narrow->read([i](Transaction& tx) {
            const std::string sql = "SELECT " + std::to_string(i) + "::bigint";
            return tx.query_one(sql);
        }));
        ASSERT_TRUE(row) << row.error().detail;
        ASSERT_EQ((*row)->integer(0), i);
    }
    EXPECT_LT(prepared_statements(loop_, *narrow), 600);
    EXPECT_EQ(narrow->stats().retries, 0U);
}

TEST_F(Postgres, AStatementPastTheDeadlineIsStoppedAndTheConnectionKept) {
    Options options;
    options.connections = 1;
    options.deadline = milliseconds(300);
    const auto narrow = another(options);
    const auto slow = run(
        loop_, narrow->write([](Transaction& tx) { return tx.execute("SELECT pg_sleep(60)"); }));
    ASSERT_FALSE(slow);
    EXPECT_EQ(slow.error().id, "storage.timeout");
    Result<Rows> next = fail(Code::timeout, "none", "none");
    for (int i = 0; i < 20 && !next; ++i) {
        next = run(loop_, narrow->read([](Transaction& tx) { return tx.query("SELECT 1"); }));
    }
    EXPECT_TRUE(next);
    EXPECT_EQ(narrow->stats().reconnects, 0U);
}

TEST_F(Postgres, ConnectionsThatTheServerEndedAreReplacedUnnoticed) {
    ASSERT_TRUE(read([](Transaction& tx) { return tx.query("SELECT 1"); }));
    const auto admin = another();
    ASSERT_TRUE(run(loop_, admin->write([](Transaction& tx) {
        return tx.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()");
    })));
    for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(read([](Transaction& tx) { return tx.query("SELECT 1"); }));
    }
    EXPECT_FALSE(db().trouble());
}

TEST_F(Postgres, AConnectionThatBreaksDuringCommitLeavesTheOutcomeUnknown) {
    script(
        "CREATE TABLE o (id BIGINT);"
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END';"
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON o DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()");
    int runs = 0;
    const auto outcome = write([&runs](Transaction& tx) {
        ++runs;
        return tx.execute("INSERT INTO o VALUES (1)");
    });
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, Code::unavailable);
    EXPECT_EQ(outcome.error().id, "storage.outcome_unknown");
    EXPECT_EQ(runs, 1);
    EXPECT_TRUE(read([](Transaction& tx) { return tx.query("SELECT id FROM o"); }));
}

TEST_F(Postgres, AServingDatabaseExcludesARestoreAndTheOtherWayRound) {
    Options serving;
    serving.serving = true;
    serving.connections = 2;
    {
        const auto first = another(serving);
        const auto second = another(serving);
        ASSERT_TRUE(first && second);
        const auto refused = InstanceLock::exclusive(address());
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().id, "storage.in_use");
        EXPECT_TRUE(refused.error().message.contains("stop it first"));
    }
    // The server notices closed connections in its own time.
    Result<InstanceLock> lock = InstanceLock::exclusive(address());
    for (int i = 0; i < 200 && !lock; ++i) {
        lock = InstanceLock::exclusive(address());
    }
    ASSERT_TRUE(lock) << lock.error().message;
    const auto server = open(loop_, logger_, address(), serving);
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().id, "storage.in_use");
    EXPECT_TRUE(open(loop_, logger_, address()));
}

TEST(PostgresAddressTest, OnlyPostgresUrlsAreTakenAndNeverRepeated) {
    for (const char* bad : {"", "host=localhost password=hunter2", "mysql://u:hunter2@h/d",
                            "postgres://u:hunter2@h:port/d", "postgres://u:hunter2%00@h/d",
                            "postgres://u:hunter2@h/d?hunter2=1", "postgres://u:hunter2@[::1/d"}) {
        const auto parsed = postgres::ServerAddress::parse(Secret(bad));
        ASSERT_FALSE(parsed) << bad;
        EXPECT_EQ(parsed.error().id, "storage.bad_url");
        EXPECT_FALSE((parsed.error().message + parsed.error().detail).contains("hunter2"));
    }
    const auto parsed =
        postgres::ServerAddress::parse(Secret("postgresql://u:p%40ss@h1:1,h2:2/d?sslmode=require"));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->shown(), "d@h1,h2:1,2");
    EXPECT_EQ(parsed->scrub(" a p@ss\nb p%40ss c\n"), "a *** b *** c");
}

TEST(PostgresUnreachable, AClosedPortIsReportedAtOnceWithHostAndPort) {
    Loop loop;
    Logger logger("test", LogLevel::error, LogFormat::json, std::make_shared<CapturedLog>());
    const auto begin = steady_clock::now();
    const auto opened =
        open(loop, logger, PostgresAddress{Secret("postgres://nave:hunter2@127.0.0.1:1/db")});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::unavailable);
    EXPECT_EQ(opened.error().id, "storage.unreachable");
    EXPECT_TRUE(opened.error().message.contains("db@127.0.0.1:1")) << opened.error().message;
    EXPECT_FALSE(opened.error().message.contains("hunter2"));
    EXPECT_LT(steady_clock::now() - begin, seconds(3));
}

// Something that listens but is not the server we want; answers each client the same.
class FakeServer {
  public:
    explicit FakeServer(std::string answer) : answer_(std::move(answer)) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&at), size), 0);
        EXPECT_EQ(::listen(listener_, 8), 0);
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
        port_ = ntohs(at.sin_port);
        thread_ = std::thread([this] { answer_all(); });
    }
    ~FakeServer() {
        ::shutdown(listener_, SHUT_RDWR);
        thread_.join();
        ::close(listener_);
    }
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;

    Secret url() const {
        return Secret("postgres://nave@127.0.0.1:" + std::to_string(port_) + "/db?sslmode=disable");
    }

  private:
    void answer_all() {
        std::vector<int> clients;
        while (true) {
            const int client = ::accept(listener_, nullptr, nullptr);
            if (client < 0) {
                break;
            }
            std::array<char, 512> buffer{};
            EXPECT_GT(::recv(client, buffer.data(), buffer.size(), 0), 0);
            EXPECT_EQ(::send(client, answer_.data(), answer_.size(), MSG_NOSIGNAL),
                      static_cast<ssize_t>(answer_.size()));
            clients.push_back(client);  // stays open: only the time limit ends the wait
        }
        for (const int client : clients) {
            ::close(client);
        }
    }

    const std::string answer_;
    int listener_ = -1;
    int port_ = 0;
    std::thread thread_;
};

Result<std::unique_ptr<Database>> open_fake(Loop& loop, const FakeServer& server) {
    Logger logger("test", LogLevel::error, LogFormat::json, std::make_shared<CapturedLog>());
    Options options;
    options.connect_timeout = milliseconds(300);
    return open(loop, logger, PostgresAddress{server.url()}, options);
}

TEST(PostgresUnreachable, AServerThatSaysNothingIsGivenUpInTime) {
    Loop loop;
    const FakeServer server("");
    const auto begin = steady_clock::now();
    const auto opened = open_fake(loop, server);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().id, "storage.unreachable");
    EXPECT_TRUE(opened.error().message.contains("300 ms")) << opened.error().message;
    EXPECT_LT(steady_clock::now() - begin, seconds(3));
}

TEST(PostgresUnreachable, AServerThatIsNotPostgresIsAnError) {
    Loop loop;
    const FakeServer server("HTTP/1.1 400 Bad Request\r\n\r\n");
    const auto opened = open_fake(loop, server);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().id, "storage.unreachable");
}

TEST(PostgresUnreachable, AnOldServerIsRefusedByName) {
    // AuthenticationOk, ParameterStatus of version and recovery state, BackendKeyData,
    // ReadyForQuery.
    using namespace std::string_literals;
    const auto status = [](const std::string& name, const std::string& value) {
        const std::string body = name + '\0' + value + '\0';
        return "S\0\0\0"s + static_cast<char>(body.size() + 4) + body;
    };
    Loop loop;
    const FakeServer server("R\0\0\0\x08\0\0\0\0"s + status("server_version", "14.9") +
                            status("in_hot_standby", "off") +
                            status("default_transaction_read_only", "off") +
                            "K\0\0\0\x0c\0\0\0\x01\0\0\0\x02"s + "Z\0\0\0\x05I"s);
    const auto opened = open_fake(loop, server);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().id, "storage.unsupported_server") << opened.error().message;
    EXPECT_TRUE(opened.error().message.contains("14.9"));
}

// Tests that stop and freeze need a server of their own.
class PostgresOutage : public DatabaseTest {
  protected:
    void SetUp() override {
        auto started = PostgresServer::start();
        if (!started) {
            std::cerr << "*** NOT TESTED ON POSTGRESQL: " << started.error() << '\n';
            ASSERT_FALSE(PostgresServer::required()) << started.error();
            GTEST_SKIP() << started.error();
        }
        server_ = std::move(*started);
        address_ = PostgresAddress{Secret(server_->url("postgres", "hunter2"))};
        Options options;
        options.deadline = milliseconds(1'000);
        options.connect_timeout = milliseconds(500);
        options.connections = 4;
        database_ = another(options);
        ASSERT_TRUE(database_);
        script("CREATE TABLE w (id BIGINT PRIMARY KEY)");
    }
    void TearDown() override { database_.reset(); }

    Result<std::int64_t> insert(std::int64_t id) {
        return write(
            [id](Transaction& tx) { return tx.execute("INSERT INTO w VALUES ($1)", {id}); });
    }
    // Writes until one succeeds; false when none does within half a minute.
    bool recovers(std::int64_t id) {
        const auto end = steady_clock::now() + seconds(30);
        while (steady_clock::now() < end) {
            const auto outcome = write([id](Transaction& tx) {
                return tx.execute("INSERT INTO w VALUES ($1) ON CONFLICT DO NOTHING", {id});
            });
            if (outcome) {
                return true;
            }
            run(loop_, pause());
        }
        return false;
    }
    Task<bool> pause() {
        co_await loop_.sleep(milliseconds(50));
        co_return true;
    }
    std::int64_t count() {
        const auto row =
            read([](Transaction& tx) { return tx.query_one("SELECT count(*) FROM w"); });
        return row && *row ? (*row)->integer(0) : -1;
    }

    std::unique_ptr<PostgresServer> server_;
};

TEST_F(PostgresOutage, AStoppedServerFailsFastAndIsFoundAgain) {
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(insert(i));
    }
    server_->stop();
    // The first may still meet a dead connection and try again; from then on it is known.
    const auto first = insert(100);
    ASSERT_FALSE(first);
    EXPECT_TRUE(first.error().id == "storage.unreachable" || first.error().id == "storage.timeout");
    while (!db().trouble()) {
        ASSERT_FALSE(insert(100));
    }
    const auto begin = steady_clock::now();
    for (int i = 0; i < 100; ++i) {
        const auto outcome = insert(100);
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().id, "storage.unreachable");
        EXPECT_TRUE(outcome.error().retry_after);
    }
    EXPECT_LT(steady_clock::now() - begin, milliseconds(500));
    EXPECT_TRUE(db().trouble()->contains("127.0.0.1")) << *db().trouble();
    EXPECT_FALSE(log_->contains("hunter2"));
    EXPECT_TRUE(log_->contains("database in trouble"));

    server_->start_again();
    EXPECT_TRUE(recovers(200));
    EXPECT_FALSE(db().trouble());
    EXPECT_TRUE(log_->contains("database recovered"));
    EXPECT_GE(db().stats().reconnects, 1U);
    EXPECT_EQ(count(), 51);
}

TEST_F(PostgresOutage, ACrashLosesNothingThatWasAcknowledged) {
    std::vector<std::optional<Result<std::int64_t>>> outcomes(400);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        auto closure = [id = static_cast<std::int64_t>(i)](Transaction& tx) {
            return tx.execute("INSERT INTO w VALUES ($1)", {id});
        };
        boost::asio::co_spawn(loop_.executor(),
                              keep_value(db().write(std::move(closure)), outcomes[i]),
                              [](std::exception_ptr thrown) { EXPECT_FALSE(thrown); });
    }
    std::thread crash([this] { server_->crash(); });
    loop_.run();
    crash.join();
    server_->start_again();
    ASSERT_TRUE(recovers(1'000));
    const auto rows = read([](Transaction& tx) { return tx.query("SELECT id FROM w"); });
    ASSERT_TRUE(rows);
    std::vector<bool> present(outcomes.size());
    for (const Row& row : *rows) {
        if (row.integer(0) < 1'000) {
            present[static_cast<std::size_t>(row.integer(0))] = true;
        }
    }
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        ASSERT_TRUE(outcomes[i]);
        if (*outcomes[i]) {
            EXPECT_TRUE(present[i]) << i << " was acknowledged";
        } else if (present[i]) {
            const std::string& id = outcomes[i]->error().id;
            EXPECT_TRUE(id == "storage.outcome_unknown" || id == "storage.timeout" ||
                        id == "storage.conflict")
                << i << " " << id;
        }
    }
}

TEST_F(PostgresOutage, AFrozenServerIsGivenUpAtTheDeadline) {
    ASSERT_TRUE(insert(1));
    server_->freeze();
    const auto begin = steady_clock::now();
    const auto outcome = insert(2);
    const auto waited = steady_clock::now() - begin;
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().id, "storage.timeout");
    EXPECT_GE(waited, milliseconds(900));
    EXPECT_LT(waited, milliseconds(2'500));
    server_->thaw();
    EXPECT_TRUE(recovers(3));
    EXPECT_GE(count(), 2);
}

TEST_F(PostgresOutage, ClosingDoesNotWaitForAServerThatIsGone) {
    server_->stop();
    ASSERT_FALSE(insert(1));
    const auto begin = steady_clock::now();
    db().close();
    EXPECT_LT(steady_clock::now() - begin, seconds(5));
}

}  // namespace
}  // namespace nave::storage
