// Structured log: one JSON object per line on stderr (readable text on a terminal).
//
//   log.info("listening", {{"port", 3900}, {"service", "prekeys"}});
//
// Thread-safe. Secrets have no conversion to Field, so they cannot be logged by accident; addresses
// and keys are logged only as hashes (prekeys/privacy.h).
#pragma once

#include "base/result.h"

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace nave {

enum class LogLevel : std::uint8_t { debug, info, warn, error };
enum class LogFormat : std::uint8_t { json, pretty };

struct Field {
    std::string_view name;
    std::variant<std::string_view, std::int64_t, double, bool> value;

    Field(std::string_view name_in, std::string_view text) : name(name_in), value(text) {}
    Field(std::string_view name_in, const char* text)
        : name(name_in), value(std::string_view(text)) {}
    Field(std::string_view name_in, const std::string& text)
        : name(name_in), value(std::string_view(text)) {}
    Field(std::string_view name_in, bool flag) : name(name_in), value(flag) {}
    Field(std::string_view name_in, double number) : name(name_in), value(number) {}
    template <std::integral Integer>
        requires(!std::same_as<Integer, bool>)
    Field(std::string_view name_in, Integer number)
        : name(name_in), value(static_cast<std::int64_t>(number)) {}
};
using Fields = std::initializer_list<Field>;

// Where finished lines go; tests capture them.
class LogSink {
  public:
    virtual ~LogSink() = default;
    virtual void write(LogLevel level, std::string_view line) = 0;
};
[[nodiscard]] std::shared_ptr<LogSink> stderr_sink();

class Logger {
  public:
    Logger(std::string component, LogLevel level, LogFormat format, std::shared_ptr<LogSink> sink);

    void debug(std::string_view event, Fields fields = {}) const {
        emit(LogLevel::debug, event, fields);
    }
    void info(std::string_view event, Fields fields = {}) const {
        emit(LogLevel::info, event, fields);
    }
    void warn(std::string_view event, Fields fields = {}) const {
        emit(LogLevel::warn, event, fields);
    }
    void error(std::string_view event, Fields fields = {}) const {
        emit(LogLevel::error, event, fields);
    }
    // An Error with its private detail and where it was made.
    void failure(LogLevel level, std::string_view event, const Error& error,
                 Fields fields = {}) const;

    [[nodiscard]] bool enabled(LogLevel level) const { return level >= level_; }
    // The same sink under another component name and level.
    [[nodiscard]] Logger child(std::string component, LogLevel level) const;
    [[nodiscard]] Logger child(std::string component) const {
        return child(std::move(component), level_);
    }

  private:
    void emit(LogLevel level, std::string_view event, Fields fields) const;
    void write(LogLevel level, std::string_view event, Fields fields, Fields more) const;

    std::string component_;
    LogLevel level_;
    LogFormat format_;
    std::shared_ptr<LogSink> sink_;
};

}  // namespace nave
