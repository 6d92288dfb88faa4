#include "runtime/settings.h"

#include "base/check.h"
#include "base/json.h"
#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

extern char** environ;

namespace nave {
namespace {

constexpr std::size_t kFileBytesMax = 1024 * 1024;

Result<std::string> read_small_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fail(Code::invalid, "settings.unreadable",
                    fmt::format("cannot read {}: {}", path, std::strerror(errno)));
    }
    std::string content;
    std::array<char, 4096> chunk{};
    ssize_t got = 0;
    while ((got = ::read(fd, chunk.data(), chunk.size())) > 0 && content.size() <= kFileBytesMax) {
        content.append(chunk.data(), static_cast<std::size_t>(got));
    }
    const int problem = got < 0 ? errno : 0;
    ::close(fd);
    if (problem != 0) {
        return fail(Code::invalid, "settings.unreadable",
                    fmt::format("cannot read {}: {}", path, std::strerror(problem)));
    }
    if (content.size() > kFileBytesMax) {
        return fail(Code::invalid, "settings.too_large",
                    fmt::format("{} is larger than {} bytes", path, kFileBytesMax));
    }
    return content;
}

std::optional<bool> parse_boolean(std::string_view text) {
    for (const std::string_view yes : {"1", "true", "yes", "on"}) {
        if (equal_ignoring_case(text, yes)) {
            return true;
        }
    }
    for (const std::string_view no : {"0", "false", "no", "off"}) {
        if (equal_ignoring_case(text, no)) {
            return false;
        }
    }
    return std::nullopt;
}

std::string quoted(const Setting& setting, std::string_view text) {
    return setting.secret ? std::string("the given value") : fmt::format("\"{}\"", text);
}

std::string range_text(const Setting& setting) {
    if (setting.min == INT64_MIN && setting.max == INT64_MAX) {
        return {};
    }
    if (setting.max == INT64_MAX) {
        return fmt::format(" of at least {}", setting.min);
    }
    return fmt::format(" from {} to {}", setting.min, setting.max);
}

// What is wrong with `text`, or nothing.
std::optional<std::string> check_value(const Setting& setting, std::string_view text) {
    switch (setting.type) {
        case SettingType::integer: {
            const auto number = parse_int(text);
            if (!number || *number < setting.min || *number > setting.max) {
                return fmt::format("must be an integer{}, not {}", range_text(setting),
                                   quoted(setting, text));
            }
            break;
        }
        case SettingType::boolean:
            if (!parse_boolean(text)) {
                return fmt::format("must be 1 or 0, not {}", quoted(setting, text));
            }
            break;
        case SettingType::choice:
            if (const auto choices = split(setting.choices, ',');
                std::ranges::find(choices, text) == choices.end()) {
                return fmt::format("must be one of {}, not {}", setting.choices,
                                   quoted(setting, text));
            }
            break;
        case SettingType::url: {
            const auto end = text.find("://");
            const auto schemes = split(setting.choices, ',');
            if (end == std::string_view::npos ||
                std::ranges::find(schemes, text.substr(0, end)) == schemes.end()) {
                return fmt::format("must begin with {}://", fmt::join(schemes, ":// or "));
            }
            break;
        }
        case SettingType::text:
        case SettingType::path:
            break;
    }
    if (text.size() < setting.length_min) {
        return fmt::format("must have at least {} characters, not {}", setting.length_min,
                           text.size());
    }
    return setting.validate != nullptr ? setting.validate(text) : std::nullopt;
}

}  // namespace

struct SettingsLoader {
    LoadedSettings out;
    std::vector<std::string_view> names;

    explicit SettingsLoader(std::span<const SettingGroup> groups) {
        out.settings.groups_.assign(groups.begin(), groups.end());
        for (const SettingGroup& group : groups) {
            for (const Setting& setting : group.settings) {
                const bool is_new =
                    out.settings.values_
                        .try_emplace(std::string(setting.name),
                                     Settings::Value{&setting, std::string(setting.default_text),
                                                     SettingSource::by_default})
                        .second;
                CHECK(is_new, "setting declared twice");
                names.push_back(setting.name);
            }
        }
    }

    void problem(std::string_view setting, std::string source, std::string what,
                 std::string remedy = {}) {
        out.problems.push_back(
            {std::string(setting), std::move(source), std::move(what), std::move(remedy)});
    }

    Settings::Value* declared(std::string_view name) {
        const auto found = out.settings.values_.find(name);
        return found == out.settings.values_.end() ? nullptr : &found->second;
    }

    void assign(Settings::Value& value, std::string text, SettingSource source,
                const std::string& where) {
        // An empty variable is the usual way to say "unset" in compose files.
        if (text.empty()) {
            return;
        }
        if (auto wrong = check_value(*value.declared, text)) {
            problem(value.declared->name, where, std::move(*wrong));
            return;
        }
        value.text = std::move(text);
        value.source = source;
    }

    void assign_from_file(Settings::Value& value, const std::string& path, SettingSource source,
                          const std::string& where) {
        auto content = read_small_file(path);
        if (!content) {
            problem(fmt::format("{}_FILE", value.declared->name), where, content.error().message,
                    "check the path and the file's permissions");
            return;
        }
        while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) {
            content->pop_back();
        }
        assign(value, std::move(*content), source, fmt::format("file {}", path));
    }

    bool is_ours(std::string_view name) const {
        return std::ranges::any_of(out.settings.groups_, [&](const SettingGroup& group) {
            return std::ranges::any_of(
                group.prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
        });
    }

    // Returns false when the name is not declared at all.
    bool offer(const std::string& name, const std::string& text, SettingSource source,
               const std::string& where) {
        if (Settings::Value* value = declared(name)) {
            assign(*value, text, source, where);
            return true;
        }
        constexpr std::string_view kSuffix = "_FILE";
        if (name.ends_with(kSuffix)) {
            if (Settings::Value* value = declared(name.substr(0, name.size() - kSuffix.size()))) {
                if (!text.empty()) {
                    assign_from_file(*value, text, source, where);
                }
                return true;
            }
        }
        return false;
    }

    void unknown(const std::string& name, const std::string& where) {
        const auto near = nearest(name, names);
        problem(name, where, "is not a setting of this version",
                near ? fmt::format("did you mean {}?", *near)
                     : std::string("see `nave config reference`"));
    }

    void read_config_file(const std::string& path) {
        const std::string where = fmt::format("config file {}", path);
        const auto content = read_small_file(path);
        if (!content) {
            problem("--config", where, content.error().message);
            return;
        }
        const auto parsed = json::parse(*content);
        if (!parsed || !parsed->is_object()) {
            problem("--config", where,
                    parsed ? std::string("must hold one JSON object of settings")
                           : parsed.error().message);
            return;
        }
        for (const auto& member : parsed->get_object()) {
            const std::string name(member.key());
            std::string text;
            if (member.value().is_string()) {
                text = std::string(member.value().get_string());
            } else if (member.value().is_bool()) {
                text = member.value().get_bool() ? "1" : "0";
            } else if (member.value().is_int64()) {
                text = fmt::format("{}", member.value().get_int64());
            } else {
                problem(name, where, "must be a string, an integer or a boolean");
                continue;
            }
            if (!offer(name, text, SettingSource::file, where)) {
                unknown(name, where);
            }
        }
    }

    void both_forms(const std::map<std::string, std::string>& from, const std::string& where) {
        for (const std::string_view name : names) {
            const std::string plain(name);
            const auto direct = from.find(plain);
            const auto by_file = from.find(plain + "_FILE");
            if (direct != from.end() && by_file != from.end() && !direct->second.empty() &&
                !by_file->second.empty()) {
                problem(name, where, fmt::format("is set both directly and by {}_FILE", name),
                        "keep one of the two");
            }
        }
    }
};

LoadedSettings load_settings(std::span<const SettingGroup> groups, const SettingInputs& inputs) {
    SettingsLoader loader(groups);
    if (inputs.config_file) {
        loader.read_config_file(*inputs.config_file);
    }
    loader.both_forms(inputs.environment, "environment");
    for (const auto& [name, text] : inputs.environment) {
        if (!loader.offer(name, text, SettingSource::environment, "environment") &&
            loader.is_ours(name)) {
            loader.unknown(name, "environment");
        }
    }
    for (const auto& [name, text] : inputs.flags) {
        if (!loader.offer(name, text, SettingSource::flag, "command line")) {
            loader.unknown(name, "command line");
        }
    }
    return std::move(loader.out);
}

std::string_view source_name(SettingSource source) {
    switch (source) {
        case SettingSource::by_default:
            return "default";
        case SettingSource::file:
            return "config file";
        case SettingSource::environment:
            return "environment";
        case SettingSource::flag:
            return "command line";
    }
    return "default";
}

std::string SettingProblem::line() const {
    return remedy.empty() ? fmt::format("{} ({}): {}", setting, source, problem)
                          : fmt::format("{} ({}): {}; {}", setting, source, problem, remedy);
}

const Settings::Value& Settings::find(std::string_view name) const {
    const auto found = values_.find(name);
    CHECK(found != values_.end(), "setting was never declared");
    return found->second;
}

std::string Settings::text(std::string_view name) const {
    const Value& value = find(name);
    CHECK(!value.declared->secret, "read secrets with secret()");
    return value.text;
}

std::int64_t Settings::integer(std::string_view name) const {
    const Value& value = find(name);
    CHECK(value.declared->type == SettingType::integer, "setting is not an integer");
    const auto number = parse_int(value.text);
    CHECK(number.has_value(), "integer setting without a default");
    return *number;
}

bool Settings::boolean(std::string_view name) const {
    const Value& value = find(name);
    CHECK(value.declared->type == SettingType::boolean, "setting is not a boolean");
    return parse_boolean(value.text).value_or(false);
}

Secret Settings::secret(std::string_view name) const {
    const Value& value = find(name);
    CHECK(value.declared->secret, "setting is not a secret");
    return Secret(value.text);
}

bool Settings::is_set(std::string_view name) const {
    return find(name).source != SettingSource::by_default;
}

bool Settings::has_value(std::string_view name) const {
    return !find(name).text.empty();
}

SettingSource Settings::source(std::string_view name) const {
    return find(name).source;
}

std::map<std::string, std::string> process_environment() {
    std::map<std::string, std::string> out;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text(*entry);
        const auto equals = text.find('=');
        if (equals != std::string_view::npos) {
            out.emplace(text.substr(0, equals), text.substr(equals + 1));
        }
    }
    return out;
}

}  // namespace nave
