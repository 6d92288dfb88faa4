// kill -9 at any moment loses nothing that was acknowledged.
#include "storage/test_database.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

namespace nave::storage {
namespace {

constexpr int kCallers = 32;
constexpr int kRounds = 5;
constexpr std::size_t kAcknowledgedPerRound = 1'500;

// Writes for ever; an id goes down the pipe only after its write() has returned.
Task<void> write_for_ever(Database& database, std::int64_t& next, int pipe) {
    while (true) {
        const std::int64_t id = next++;
        auto closure = [id](Transaction& tx) -> Result<void> {
            TRY_VOID(tx.execute("INSERT INTO t (id, half) VALUES ($1, 1)", {id}));
            TRY_VOID(tx.execute("INSERT INTO t (id, half) VALUES ($1, 2)", {id}));
            return ok();
        };
        const auto outcome = co_await database.write(std::move(closure));
        if (!outcome || ::write(pipe, &id, sizeof id) != sizeof id) {
            ::_exit(1);
        }
    }
}

[[noreturn]] void child(const Address& address, const Logger& log, std::int64_t first, int pipe) {
    Loop loop;
    Logger logger = log;
    auto database = open(loop, logger, address);
    if (!database) {
        ::_exit(2);
    }
    std::int64_t next = first;
    for (int i = 0; i < kCallers; ++i) {
        boost::asio::co_spawn(loop.executor(), write_for_ever(**database, next, pipe),
                              boost::asio::detached);
    }
    loop.run();
    ::_exit(3);
}

class Durability : public DatabaseTest {};

TEST_F(Durability, EveryAcknowledgedWriteSurvivesKillMinusNine) {
    use(Store::file);
    script("CREATE TABLE t (id BIGINT, half BIGINT, PRIMARY KEY (id, half))");
    database_.reset();
    std::set<std::int64_t> acknowledged;
    for (int round = 0; round < kRounds; ++round) {
        std::array<int, 2> ends{};
        ASSERT_EQ(::pipe(ends.data()), 0);
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::close(ends[0]);
            child(address(), logger_, round * 1'000'000LL, ends[1]);
        }
        ::close(ends[1]);
        const std::size_t wanted = acknowledged.size() + kAcknowledgedPerRound;
        std::int64_t id = 0;
        while (acknowledged.size() < wanted && ::read(ends[0], &id, sizeof id) == sizeof id) {
            acknowledged.insert(id);
        }
        ASSERT_EQ(::kill(pid, SIGKILL), 0);
        // What it acknowledged until it was dead counts as well.
        while (::read(ends[0], &id, sizeof id) == sizeof id) {
            acknowledged.insert(id);
        }
        ::close(ends[0]);
        int status = 0;
        ASSERT_EQ(::waitpid(pid, &status, 0), pid);
        ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
        ASSERT_GE(acknowledged.size(), wanted);

        database_ = another();
        ASSERT_TRUE(database_);
        const auto check = read([](Transaction& tx) { return tx.query("PRAGMA integrity_check"); });
        ASSERT_TRUE(check);
        EXPECT_EQ(check->front().text(0), "ok");
        const auto rows = read([](Transaction& tx) {
            return tx.query("SELECT id, count(*) FROM t GROUP BY id ORDER BY id");
        });
        ASSERT_TRUE(rows);
        std::set<std::int64_t> present;
        for (const Row& row : *rows) {
            EXPECT_EQ(row.integer(1), 2) << "half a transaction";
            present.insert(row.integer(0));
        }
        for (const std::int64_t one : acknowledged) {
            ASSERT_TRUE(present.contains(one)) << one << " in round " << round;
        }
        database_.reset();
    }
}

}  // namespace
}  // namespace nave::storage
