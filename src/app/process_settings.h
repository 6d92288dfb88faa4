// Settings of the process as a whole, shared by all services (NAVE_*, DATABASE_URL, PORT...).
#pragma once

#include "base/secret.h"
#include "runtime/log.h"
#include "runtime/settings.h"

#include <chrono>
#include <string>
#include <vector>

namespace nave::app {

[[nodiscard]] const SettingGroup& process_settings();
// The process's group and those of every service, served or not: a misspelt name is always seen.
[[nodiscard]] std::vector<SettingGroup> all_settings();

[[nodiscard]] LogLevel parse_log_level(std::string_view text);
// NAVE_LOG_FORMAT; "auto" is readable text on a terminal and JSON elsewhere.
[[nodiscard]] LogFormat log_format(const Settings& settings);

}  // namespace nave::app
