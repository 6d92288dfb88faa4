// Checkpointer: copies the write-ahead log into the database file on a thread of its own, so that
// no commit pays for it, and keeps the log bounded.
//
// A passive checkpoint never waits for anybody, but under a steady load it never quite catches up
// and the log is not started anew. Past a hard size the writer is therefore held between two
// batches for the short rest. Long reads can delay that (a reader needs its part of the log); the
// delay is tried again and logged, and each try holds the writer for 250 ms at most.
#pragma once

#include "base/result.h"
#include "runtime/log.h"
#include "storage/sqlite/connection.h"

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace nave::storage::sqlite {

class Checkpointer {
  public:
    struct Limits {
        int soft_pages = 512;     // 2 MiB: copy passively each time the log grew by this much
        int hard_pages = 32'768;  // 128 MiB: hold the writer and start the log anew
    };

    static Result<std::unique_ptr<Checkpointer>> start(const std::string& path,
                                                       const Logger& logger, Limits limits);
    ~Checkpointer();
    Checkpointer(const Checkpointer&) = delete;
    Checkpointer& operator=(const Checkpointer&) = delete;

    // Writer thread: around each batch, and after each commit with the log's size.
    void enter_batch();
    void leave_batch();
    void log_grew(int pages);

    void stop();

  private:
    Checkpointer(std::unique_ptr<Connection> connection, const Logger& logger, Limits limits);
    void run();
    void checkpoint();
    void restart_log();

    const std::unique_ptr<Connection> connection_;
    const Logger logger_;
    const Limits limits_;

    std::mutex mutex_;
    std::condition_variable changed_;
    int pages_ = 0;
    int next_at_;  // checkpoint when the log has this many pages
    int warned_at_ = 0;
    bool writer_inside_ = false;
    bool writer_held_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace nave::storage::sqlite
