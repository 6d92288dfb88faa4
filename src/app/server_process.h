// ServerProcess: the life of `nave serve`. Start-up runs named steps in order, visible in /health
// from the moment the port is bound; a failing step ends the process with one clear line. A stop
// signal turns /ready to 503, closes the listener, lets requests and services finish under one
// deadline, closes the databases last. A second signal exits at once.
#pragma once

#include "app/services.h"
#include "runtime/settings.h"

#include <string>
#include <vector>

namespace nave::app {

struct ServeOptions {
    std::vector<const ServiceEntry*> services;
    bool alone = false;  // one service at the root of its home port
};

// Runs until stopped; returns the process's exit status (app/exit_codes.h).
[[nodiscard]] int serve(const ServeOptions& options, const Settings& settings);

// HOST:PORT from NAVE_LISTEN, the service's own port setting, or its home port.
[[nodiscard]] std::string listen_address(const ServeOptions& options, const Settings& settings);
[[nodiscard]] std::string commit_of(const Settings& settings);

}  // namespace nave::app
