// Deadlines, the queue bound, cancellation and closing, the same over every store.
#include "storage/test_database.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <vector>

namespace nave::storage {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Holds a closure on its worker until opened.
class Gate {
  public:
    void pass() {
        std::unique_lock lock(mutex_);
        ++inside_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_; });
    }
    void wait_until_inside() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return inside_ > 0; });
    }
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int inside_ = 0;
    bool open_ = false;
};

class Bounds : public DatabaseTest, public testing::WithParamInterface<Store> {
  protected:
    // One worker in every store, so that one held closure holds everything.
    void start(Options options = Options()) {
        options.connections = 1;
        options.readers = 1;
        use(GetParam(), options);
        script("CREATE TABLE b (id BIGINT PRIMARY KEY)");
    }

    std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
};

INSTANTIATE_TEST_SUITE_P(Stores, Bounds,
                         testing::Values(Store::memory, Store::file, Store::postgres), name_of);

Task<void> held_write(Database& database, std::shared_ptr<Gate> gate, std::int64_t id,
                      std::optional<Result<std::int64_t>>& outcome) {
    auto closure = [gate, id](Transaction& tx) {
        gate->pass();
        return tx.execute("INSERT INTO b VALUES ($1)", {id});
    };
    outcome = co_await database.write(std::move(closure));
}

Task<void> plain_write(Database& database, std::int64_t id,
                       std::optional<Result<std::int64_t>>& outcome) {
    auto closure = [id](Transaction& tx) { return tx.execute("INSERT INTO b VALUES ($1)", {id}); };
    outcome = co_await database.write(std::move(closure));
}

TEST_P(Bounds, TheCallerIsAnsweredAtItsDeadlineAndTheLateResultIsDropped) {
    Options options;
    options.deadline = milliseconds(300);
    start(options);
    const auto begin = steady_clock::now();
    std::optional<Result<std::int64_t>> running;
    std::optional<Result<std::int64_t>> waiting;
    boost::asio::co_spawn(loop_.executor(), held_write(db(), gate_, 1, running),
                          boost::asio::detached);
    loop_.poll();
    gate_->wait_until_inside();
    boost::asio::co_spawn(loop_.executor(), plain_write(db(), 2, waiting), boost::asio::detached);
    loop_.run();
    EXPECT_LT(steady_clock::now() - begin, milliseconds(5'000));
    for (const auto& outcome : {running, waiting}) {
        ASSERT_TRUE(outcome);
        ASSERT_FALSE(*outcome);
        EXPECT_EQ(outcome->error().code, Code::timeout);
        EXPECT_EQ(outcome->error().id, "storage.timeout");
    }
    EXPECT_EQ(db().stats().timed_out, 2U);
    gate_->open();
    // What had not started when its caller left is not run at all.
    const auto rows = write([](Transaction& tx) { return tx.query("SELECT id FROM b"); });
    ASSERT_TRUE(rows) << rows.error().detail;
    for (const Row& row : *rows) {
        EXPECT_EQ(row.integer(0), 1);
    }
}

TEST_P(Bounds, AFullQueueRefusesAtOnceAndRecovers) {
    Options options;
    options.queue_max = 2;
    start(options);
    std::vector<std::optional<Result<std::int64_t>>> outcomes(6);
    boost::asio::co_spawn(loop_.executor(), held_write(db(), gate_, 0, outcomes[0]),
                          boost::asio::detached);
    loop_.poll();
    gate_->wait_until_inside();
    for (std::size_t i = 1; i < outcomes.size(); ++i) {
        boost::asio::co_spawn(loop_.executor(),
                              plain_write(db(), static_cast<std::int64_t>(i), outcomes[i]),
                              boost::asio::detached);
    }
    loop_.poll();
    EXPECT_EQ(db().stats().queued, 2U);
    for (std::size_t i = 3; i < outcomes.size(); ++i) {
        ASSERT_TRUE(outcomes[i]) << i;
        ASSERT_FALSE(*outcomes[i]);
        EXPECT_EQ(outcomes[i]->error().code, Code::unavailable);
        EXPECT_EQ(outcomes[i]->error().id, "storage.busy");
        EXPECT_TRUE(outcomes[i]->error().retry_after);
    }
    gate_->open();
    loop_.run();
    for (std::size_t i = 0; i < 3; ++i) {
        ASSERT_TRUE(outcomes[i]);
        EXPECT_TRUE(*outcomes[i]);
    }
    EXPECT_EQ(db().stats().refused_busy, 3U);
    EXPECT_EQ(db().stats().queued, 0U);
}

TEST_P(Bounds, ACancelledCallerLeavesAtOnceWithoutHarm) {
    start();
    boost::asio::cancellation_signal cancel;
    std::optional<Result<std::int64_t>> outcome;
    bool ended = false;
    boost::asio::co_spawn(loop_.executor(), held_write(db(), gate_, 1, outcome),
                          boost::asio::bind_cancellation_slot(
                              cancel.slot(), [&](std::exception_ptr) { ended = true; }));
    loop_.poll();
    gate_->wait_until_inside();
    cancel.emit(boost::asio::cancellation_type::terminal);
    loop_.run();
    EXPECT_TRUE(ended);
    ASSERT_TRUE(outcome);
    ASSERT_FALSE(*outcome);
    EXPECT_EQ(outcome->error().code, Code::cancelled);
    cancel.emit(boost::asio::cancellation_type::terminal);  // nobody listens any more
    gate_->open();
    EXPECT_TRUE(write([](Transaction& tx) { return tx.query("SELECT id FROM b"); }));
}

TEST_P(Bounds, CloseFinishesWhatWasAcceptedAndRefusesTheRest) {
    start();
    std::vector<std::optional<Result<std::int64_t>>> outcomes(20);
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        boost::asio::co_spawn(loop_.executor(),
                              plain_write(db(), static_cast<std::int64_t>(i), outcomes[i]),
                              boost::asio::detached);
    }
    loop_.poll();
    db().close();
    loop_.run();
    for (const auto& outcome : outcomes) {
        ASSERT_TRUE(outcome);
        EXPECT_TRUE(*outcome);
    }
    const auto late = write([](Transaction& tx) { return tx.query("SELECT 1"); });
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().id, "storage.closed");
    db().close();
}

TEST_P(Bounds, TheDatabaseMayGoBeforeItsCallersAreResumed) {
    start();
    std::optional<Result<std::int64_t>> outcome;
    boost::asio::co_spawn(loop_.executor(), held_write(db(), gate_, 1, outcome),
                          boost::asio::detached);
    loop_.poll();
    gate_->wait_until_inside();
    gate_->open();
    database_->close();
    // The task refers to the database only until its closure is accepted.
    database_.reset();
    loop_.run();
    ASSERT_TRUE(outcome);
    EXPECT_TRUE(*outcome);
}

TEST_P(Bounds, TheLoopMayGoWithCallersStillWaiting) {
    start();
    std::optional<Result<std::int64_t>> outcome;
    {
        Loop loop;
        auto database = open(loop, logger_, address());
        ASSERT_TRUE(database);
        boost::asio::co_spawn(loop.executor(), held_write(**database, gate_, 1, outcome),
                              boost::asio::detached);
        loop.poll();
        gate_->wait_until_inside();
        gate_->open();
        (*database)->close();
    }
    EXPECT_FALSE(outcome);
}

}  // namespace
}  // namespace nave::storage
