// The command line: parses arguments, loads settings, runs one command.
#pragma once

namespace nave::app {

// Returns the exit status (app/exit_codes.h).
[[nodiscard]] int run_cli(int argc, char** argv);

}  // namespace nave::app
