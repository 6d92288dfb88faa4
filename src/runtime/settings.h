// Settings: every value an operator can set, declared once with its type, default and description
// (the reference in docs/configuration.md is generated from the declarations).
//
// Sources, weakest first: default, config file, environment, command line. Each NAME can also be
// given as NAME_FILE, the path of a file that holds the value (for secrets). All problems are
// reported together, each naming the setting, where it was set and what would be right.
#pragma once

#include "base/result.h"
#include "base/secret.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nave {

enum class SettingType : std::uint8_t {
    text,
    integer,  // with [min, max]
    boolean,  // 1/0, true/false, yes/no, on/off
    choice,   // one of `choices`, comma-separated in the declaration
    url,      // scheme://...; `choices` lists the schemes
    path,
};

struct Setting {
    std::string_view name;
    SettingType type = SettingType::text;
    std::string_view default_text = {};  // "" means unset
    std::string_view description;        // one or two sentences, shown in the reference
    std::int64_t min = INT64_MIN;
    std::int64_t max = INT64_MAX;
    std::string_view choices = {};
    bool secret = false;
    std::size_t length_min = 0;  // of a text or secret that is set
    // Further check of the text; returns what is wrong, or nothing.
    std::optional<std::string> (*validate)(std::string_view text) = nullptr;
};

// One module's declarations. `prefixes` are the name beginnings that belong to it, so that a
// misspelt variable is reported instead of silently ignored.
struct SettingGroup {
    std::string_view title;
    std::span<const Setting> settings;
    std::span<const std::string_view> prefixes;
};

enum class SettingSource : std::uint8_t { by_default, file, environment, flag };
[[nodiscard]] std::string_view source_name(SettingSource source);

struct SettingProblem {
    std::string setting;
    std::string source;   // "environment", "config file /etc/nave.json", ...
    std::string problem;  // "must be an integer from 0 to 3650, not \"abc\""
    std::string remedy;   // "" when the problem says it all
    [[nodiscard]] std::string line() const;
};

struct SettingInputs {
    std::optional<std::string> config_file;  // path; a JSON object {"NAME": value}
    std::map<std::string, std::string> environment;
    std::map<std::string, std::string> flags;
};

class Settings {
  public:
    // CHECKs that the name was declared with that type: a misspelling is our bug.
    [[nodiscard]] std::string text(std::string_view name) const;
    [[nodiscard]] std::int64_t integer(std::string_view name) const;
    [[nodiscard]] bool boolean(std::string_view name) const;
    [[nodiscard]] Secret secret(std::string_view name) const;
    [[nodiscard]] bool is_set(std::string_view name) const;     // by anything but the default
    [[nodiscard]] bool has_value(std::string_view name) const;  // non-empty, default included
    [[nodiscard]] SettingSource source(std::string_view name) const;
    [[nodiscard]] std::span<const SettingGroup> groups() const { return groups_; }

    // Effective values, one per line, secrets as "(set)": `nave config print`.
    [[nodiscard]] std::string print() const;

  private:
    friend struct SettingsLoader;
    struct Value {
        const Setting* declared = nullptr;
        std::string text;
        SettingSource source = SettingSource::by_default;
    };
    [[nodiscard]] const Value& find(std::string_view name) const;

    std::map<std::string, Value, std::less<>> values_;
    std::vector<SettingGroup> groups_;
};

struct LoadedSettings {
    Settings settings;
    std::vector<SettingProblem> problems;  // empty means usable
};
[[nodiscard]] LoadedSettings load_settings(std::span<const SettingGroup> groups,
                                           const SettingInputs& inputs);

// The process environment as a map.
[[nodiscard]] std::map<std::string, std::string> process_environment();

// docs/configuration.md body and deploy/env.example, both generated.
[[nodiscard]] std::string settings_reference(std::span<const SettingGroup> groups);
[[nodiscard]] std::string settings_env_example(std::span<const SettingGroup> groups);

}  // namespace nave
