#include "runtime/log.h"

#include "base/json.h"
#include "base/text.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>

namespace nave {
namespace {

class StderrSink final : public LogSink {
  public:
    StderrSink() : logger_("nave", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
        logger_.set_pattern("%v");
        logger_.set_level(spdlog::level::trace);
    }
    void write(LogLevel level, std::string_view line) override {
        logger_.info("{}", line);
        if (level >= LogLevel::warn) {
            logger_.flush();
        }
    }

  private:
    spdlog::logger logger_;
};

std::string_view level_name(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return "debug";
        case LogLevel::info:
            return "info";
        case LogLevel::warn:
            return "warn";
        case LogLevel::error:
            return "error";
    }
    return "info";
}

void append_value(std::string& out, const Field& field, bool quoted) {
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
        if (quoted || text->find_first_of(" \"\n") != std::string_view::npos) {
            json::append_quoted(out, *text);
        } else {
            out.append(*text);
        }
    } else if (const auto* number = std::get_if<std::int64_t>(&field.value)) {
        fmt::format_to(std::back_inserter(out), "{}", *number);
    } else if (const auto* real = std::get_if<double>(&field.value)) {
        fmt::format_to(std::back_inserter(out), "{:.3f}", *real);
    } else {
        out.append(std::get<bool>(field.value) ? "true" : "false");
    }
}

std::int64_t wall_now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

std::shared_ptr<LogSink> stderr_sink() {
    return std::make_shared<StderrSink>();
}

Logger::Logger(std::string component, LogLevel level, LogFormat format,
               std::shared_ptr<LogSink> sink)
    : component_(std::move(component)), level_(level), format_(format), sink_(std::move(sink)) {}

Logger Logger::child(std::string component, LogLevel level) const {
    return {std::move(component), level, format_, sink_};
}

void Logger::emit(LogLevel level, std::string_view event, Fields fields) const {
    write(level, event, fields, {});
}

void Logger::failure(LogLevel level, std::string_view event, const Error& error,
                     Fields fields) const {
    const std::string at = fmt::format("{}:{}", error.where.file_name(), error.where.line());
    write(level, event, fields,
          {{"error", error.id}, {"message", error.message}, {"detail", error.detail}, {"at", at}});
}

void Logger::write(LogLevel level, std::string_view event, Fields fields, Fields more) const {
    if (!enabled(level)) {
        return;
    }
    std::string line;
    line.reserve(256);
    if (format_ == LogFormat::json) {
        fmt::format_to(std::back_inserter(line),
                       R"({{"ts":"{}","level":"{}","component":"{}","msg":)", rfc3339(wall_now()),
                       level_name(level), component_);
        json::append_quoted(line, event);
        for (const Fields& list : {fields, more}) {
            for (const Field& field : list) {
                line.push_back(',');
                json::append_quoted(line, field.name);
                line.push_back(':');
                append_value(line, field, true);
            }
        }
        line.push_back('}');
    } else {
        fmt::format_to(std::back_inserter(line), "{} {:5} {:8} {}",
                       rfc3339(wall_now()).substr(11, 12), level_name(level), component_, event);
        for (const Fields& list : {fields, more}) {
            for (const Field& field : list) {
                fmt::format_to(std::back_inserter(line), "  {}=", field.name);
                append_value(line, field, false);
            }
        }
    }
    sink_->write(level, line);
}

}  // namespace nave
