// The commands beside `serve`. Each prints for people on stdout, problems on stderr as
// "nave: ...", and returns an exit status.
#pragma once

#include "app/services.h"
#include "runtime/settings.h"

#include <string>
#include <vector>

namespace nave::app {

using Chosen = std::vector<const ServiceEntry*>;

[[nodiscard]] int migrate_command(const Settings& settings, const Chosen& chosen, bool dry_run);
[[nodiscard]] int config_print_command(const Settings& settings);
[[nodiscard]] int config_reference_command(bool as_env_example);
[[nodiscard]] int backup_command(const Settings& settings, const Chosen& chosen,
                                 const std::string& file);
[[nodiscard]] int restore_command(const Settings& settings, const Chosen& chosen,
                                  const std::string& file);
// `url` empty: the address this configuration would listen on; with `any` also those of the
// services alone, the first that answers counts.
[[nodiscard]] int healthcheck_command(const Settings& settings, const Chosen& chosen,
                                      const std::string& url, bool any);
[[nodiscard]] int doctor_command(const Settings& settings, const Chosen& chosen);
[[nodiscard]] int version_command(bool as_json);

// Prints "nave: message" and returns `exit_code`.
[[nodiscard]] int complain(const Error& error, int exit_code);

}  // namespace nave::app
