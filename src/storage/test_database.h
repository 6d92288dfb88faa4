// For the tests of this folder: a loop, and a database of either store to run the same test on.
#pragma once

#include "runtime/log.h"
#include "runtime/loop.h"
#include "storage/open.h"

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>

#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nave::storage {

// Keeps log lines, so that tests can look for them and the output stays readable.
class CapturedLog final : public LogSink {
  public:
    void write(LogLevel, std::string_view line) override {
        const std::lock_guard lock(mutex_);
        lines_.emplace_back(line);
    }
    [[nodiscard]] bool contains(std::string_view text) const {
        const std::lock_guard lock(mutex_);
        for (const std::string& line : lines_) {
            if (line.contains(text)) {
                return true;
            }
        }
        return false;
    }

  private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

class TemporaryDirectory {
  public:
    TemporaryDirectory();
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const {
        return path_ / name;
    }

  private:
    std::filesystem::path path_;
};

template <class T>
Task<void> keep_value(Task<T> task, std::optional<T>& value) {
    value.emplace(co_await std::move(task));
}

// Runs the loop until nothing is left to do and returns the task's value.
template <class T>
T run(Loop& loop, Task<T> task) {
    std::optional<T> value;
    std::exception_ptr thrown;
    boost::asio::co_spawn(loop.executor(), keep_value(std::move(task), value),
                          [&](std::exception_ptr error) { thrown = error; });
    loop.run();
    if (thrown) {
        std::rethrow_exception(thrown);
    }
    return std::move(value).value();
}

// Few connections: making them is most of the time of most tests.
[[nodiscard]] inline Options small_options() {
    Options options;
    options.connections = 4;
    return options;
}

enum class Store : std::uint8_t { memory, file, postgres };
[[nodiscard]] std::string name_of(const testing::TestParamInfo<Store>& info);

// An empty database of `store`, alone in it.
class DatabaseTest : public testing::Test {
  protected:
    [[nodiscard]] Address make_address(Store store, const std::string& name);
    // Skips or fails the test when the store is not there.
    void require(Store store);
    void use(Store store, Options options = small_options());
    // Another empty database, `name` telling files apart.
    [[nodiscard]] std::unique_ptr<Database> fresh(Store store, const std::string& name,
                                                  Options options = small_options());
    // Another handle on the same database; not for Store::memory.
    [[nodiscard]] std::unique_ptr<Database> another(Options options = small_options());
    [[nodiscard]] Address address() const { return *address_; }
    [[nodiscard]] Database& db() { return *database_; }

    template <class Fn>
    auto write(Fn fn) {
        return run(loop_, database_->write(std::move(fn)));
    }
    template <class Fn>
    auto read(Fn fn) {
        return run(loop_, database_->read(std::move(fn)));
    }
    void script(std::string sql);

    TemporaryDirectory directory_;
    std::shared_ptr<CapturedLog> log_ = std::make_shared<CapturedLog>();
    Logger logger_{"test", LogLevel::debug, LogFormat::json, log_};
    Loop loop_;
    std::optional<Address> address_;
    std::unique_ptr<Database> database_;
};

}  // namespace nave::storage
