// Short commands: config, version. The longer ones have files of their own.
#include "app/commands.h"

#include "app/exit_codes.h"
#include "app/process_settings.h"
#include "app/version.h"

#include <fmt/format.h>

#include <cstdio>

namespace nave::app {

int complain(const Error& error, int exit_code) {
    std::fputs(fmt::format("nave: {}\n", error.message).c_str(), stderr);
    return exit_code;
}

int config_print_command(const Settings& settings) {
    std::fputs(settings.print().c_str(), stdout);
    return kExitOk;
}

int config_reference_command(bool as_env_example) {
    const auto groups = all_settings();
    const std::string text =
        as_env_example ? settings_env_example(groups) : settings_reference(groups);
    std::fputs(text.c_str(), stdout);
    return kExitOk;
}

int version_command(bool as_json) {
    if (as_json) {
        fmt::print(
            "{{\"name\":\"nave\",\"version\":\"{}\",\"commit\":\"{}\",\"compiler\":\"{}\"}}\n",
            kVersion, kBuiltFrom, __VERSION__);
    } else {
        fmt::print("nave {} ({})\n", kVersion, kBuiltFrom);
    }
    return kExitOk;
}

}  // namespace nave::app
