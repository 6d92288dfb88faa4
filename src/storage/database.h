// Database: SQL from the event loop without blocking it.
//
//   Result<int> n = co_await db.write([address](Transaction& tx) -> Result<int> { ... });
//
// The closure runs synchronously on a database worker thread and captures values only (it may run
// again after a serialisation failure, and on another thread than the caller's). Returning an error
// rolls its effects back. A successful write() has been committed durably before it resumes; a
// write that fails with Code::timeout may or may not have been applied.
//
// Errors, besides the closure's own:
//   unavailable  storage.unreachable      the PostgreSQL server is down
//                storage.outcome_unknown  its connection broke during COMMIT: applied or not
//                storage.busy             queue full, or another process keeps the file locked
//                storage.full, .io_error, .damaged, .permission   the disk or file of SQLite
//                storage.closed           close() was called
//   timeout      storage.timeout          deadline passed; a write may still be applied
//   cancelled    storage.cancelled        the caller was cancelled; a write may still be applied
//   conflict     storage.conflict         a constraint was violated
//   internal     storage.failed           anything else: SQL errors, an exception in the closure
#pragma once

#include "base/result.h"
#include "runtime/task.h"
#include "storage/transaction.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace nave::storage {

struct DatabaseStats {
    std::uint64_t commits = 0;       // transactions committed by the backend
    std::uint64_t writes = 0;        // closures that succeeded within them
    std::uint64_t retries = 0;       // closures run again after a transient failure
    std::uint64_t reconnects = 0;    // PostgreSQL only
    std::uint64_t refused_busy = 0;  // queue full
    std::uint64_t timed_out = 0;     // deadline passed before the outcome was known
    std::size_t queued = 0;          // waiting now
};

class Database {
  public:
    virtual ~Database() = default;

    // Closures of write() see and make one atomic change; of read(), one consistent snapshot.
    template <class Fn>
    auto write(Fn fn) -> Task<std::invoke_result_t<Fn&, Transaction&>> {
        return run<Fn>(Access::write, std::move(fn));
    }
    template <class Fn>
    auto read(Fn fn) -> Task<std::invoke_result_t<Fn&, Transaction&>> {
        return run<Fn>(Access::read, std::move(fn));
    }

    [[nodiscard]] virtual Dialect dialect() const = 0;
    // Cheap and never blocks: what the background check last saw. Empty when healthy, else why not,
    // for operators: it names hosts and files.
    [[nodiscard]] virtual std::optional<std::string> trouble() const = 0;
    [[nodiscard]] virtual DatabaseStats stats() const = 0;
    // For humans and logs: "sqlite ./data/x.db", "postgres db@host:port"; never a password.
    [[nodiscard]] virtual std::string describe() const = 0;

    // Finishes what was accepted, refuses the rest, joins the workers. Blocks: call once, last.
    virtual void close() = 0;

  protected:
    enum class Access : std::uint8_t { read, write };

    // One closure on its way through the workers. `execute` stores the closure's value in itself.
    class Job {
      public:
        virtual ~Job() = default;
        virtual Result<void> execute(Transaction& tx) = 0;
    };

    // Completes on the loop once `job` was committed (or read), or failed.
    virtual Task<Result<void>> submit(Access access, std::shared_ptr<Job> job) = 0;

  private:
    template <class Fn, class R>
    class ClosureJob final : public Job {
      public:
        explicit ClosureJob(Fn fn) : fn_(std::move(fn)) {}
        Result<void> execute(Transaction& tx) override {
            value_.reset();
            R outcome = fn_(tx);
            if (!outcome) {
                return std::unexpected(std::move(outcome).error());
            }
            value_.emplace(std::move(outcome));
            return ok();
        }
        R take() { return std::move(*value_); }

      private:
        Fn fn_;
        std::optional<R> value_;
    };

    template <class Fn>
    auto run(Access access, Fn fn) -> Task<std::invoke_result_t<Fn&, Transaction&>> {
        using R = std::invoke_result_t<Fn&, Transaction&>;
        auto job = std::make_shared<ClosureJob<Fn, R>>(std::move(fn));
        Result<void> done = co_await submit(access, job);
        if (!done) {
            co_return std::unexpected(std::move(done).error());
        }
        co_return job->take();
    }
};

}  // namespace nave::storage
