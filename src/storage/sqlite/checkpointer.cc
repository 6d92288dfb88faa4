#include "storage/sqlite/checkpointer.h"

#include "storage/sqlite/errors.h"

#include <utility>

namespace nave::storage::sqlite {

Result<std::unique_ptr<Checkpointer>> Checkpointer::start(const std::string& path,
                                                          const Logger& logger, Limits limits) {
    TRY(auto connection, Connection::open(path, Role::checkpoint));
    std::unique_ptr<Checkpointer> checkpointer(
        new Checkpointer(std::move(connection), logger, limits));
    checkpointer->thread_ = std::thread([raw = checkpointer.get()] { raw->run(); });
    return checkpointer;
}

Checkpointer::Checkpointer(std::unique_ptr<Connection> connection, const Logger& logger,
                           Limits limits)
    : connection_(std::move(connection)),
      logger_(logger),
      limits_(limits),
      next_at_(limits.soft_pages) {}

Checkpointer::~Checkpointer() {
    stop();
}

void Checkpointer::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    }
}

void Checkpointer::enter_batch() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !writer_held_; });
    writer_inside_ = true;
}

void Checkpointer::leave_batch() {
    bool notify = false;
    {
        const std::lock_guard lock(mutex_);
        writer_inside_ = false;
        notify = writer_held_ || pages_ >= next_at_;
    }
    if (notify) {
        changed_.notify_all();
    }
}

void Checkpointer::log_grew(int pages) {
    const std::lock_guard lock(mutex_);
    if (pages < pages_) {  // the log was started anew
        next_at_ = limits_.soft_pages;
        warned_at_ = 0;
    }
    pages_ = pages;
}

void Checkpointer::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stopping_ || pages_ >= next_at_; });
        if (stopping_) {
            return;
        }
        const bool restart = pages_ >= limits_.hard_pages;
        lock.unlock();
        checkpoint();
        lock.lock();
        if (restart) {
            writer_held_ = true;
            changed_.wait(lock, [this] { return !writer_inside_; });
            lock.unlock();
            restart_log();
            lock.lock();
            writer_held_ = false;
            changed_.notify_all();
        }
        next_at_ = pages_ + limits_.soft_pages;
    }
}

void Checkpointer::checkpoint() {
    const int code = sqlite3_wal_checkpoint_v2(connection_->handle(), nullptr,
                                               SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
    // BUSY: another process checkpoints, which serves as well.
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) {
        logger_.failure(LogLevel::warn, "checkpoint failed",
                        failure(connection_->handle(), code, "passive checkpoint").error());
    }
}

void Checkpointer::restart_log() {
    const int code = sqlite3_wal_checkpoint_v2(connection_->handle(), nullptr,
                                               SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
    if (code == SQLITE_OK) {
        return;
    }
    const std::lock_guard lock(mutex_);
    if (pages_ >= 2 * warned_at_) {  // at each doubling, not at each try
        warned_at_ = pages_;
        logger_.warn("write-ahead log keeps growing: a long read or another process needs it",
                     {{"pages", pages_}, {"code", code}});
    }
}

}  // namespace nave::storage::sqlite
