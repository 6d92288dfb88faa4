// MeshWatch: notices what other processes did to the meshes this one serves. The command line and
// other nodes add and revoke members and archive meshes in the database; each such change gives the
// mesh a new revision and a time.
//
// Looks at what changed since the last successful look, and a while before that: a change becomes
// visible after the time it bears, and clocks of nodes differ (by less than the minute that a hello
// may be off, or clients of theirs are refused).
#pragma once

#include "broker/broker.h"

#include <chrono>
#include <string>
#include <unordered_map>

namespace nave::broker {

class MeshWatch {
  public:
    static constexpr std::chrono::seconds kOverlap{90};

    explicit MeshWatch(Broker& broker) : broker_(broker) {}

    // Applies all changes: revoked members lose their sockets (4002), new ones may connect, and an
    // archived mesh ends. Errors of the database; what was missed comes with the next look.
    Task<Result<void>> look();

  private:
    // False when something else changed meanwhile, and nothing was applied.
    Task<Result<bool>> refresh(std::string mesh_id);

    Broker& broker_;
    UnixMillis looked_at_ = 0;
    std::unordered_map<std::string, std::int64_t> revisions_;
};

}  // namespace nave::broker
