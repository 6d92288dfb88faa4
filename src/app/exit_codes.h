// Exit statuses: 10 plus the number of the start-up step that failed (docs/operations.md), so that
// an orchestrator can tell a wrong setting from an absent database.
#pragma once

namespace nave::app {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // a command that did not do what it was asked
inline constexpr int kExitUsage = 2;
inline constexpr int kExitConfig = 12;      // load-config
inline constexpr int kExitStorage = 14;     // open-storage
inline constexpr int kExitMigrations = 15;  // run-migrations
inline constexpr int kExitSubsystems = 19;  // init-subsystems
inline constexpr int kExitServer = 20;      // start-server
inline constexpr int kExitSecondSignal = 130;

}  // namespace nave::app
