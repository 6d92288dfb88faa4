// Front: what the process itself answers, beside its services: the start-up health page before
// they are mounted, and, when several run together, a landing page and process-wide health,
// readiness and metrics at the root.
#pragma once

#include "app/services.h"
#include "net/router.h"
#include "runtime/health.h"
#include "runtime/metrics.h"

#include <string>
#include <vector>

namespace nave::app {

class Front {
  public:
    // The process's /metrics shows every service's series, so it asks for a token as soon as one of
    // them does; any of theirs will do.
    Front(Health& health, Metrics& metrics, const std::vector<const ServiceEntry*>& services,
          const Settings& settings, bool alone);
    // Only health, everything else 503, until the services are there.
    [[nodiscard]] const net::Router& starting_router() const { return starting_; }
    [[nodiscard]] const net::Router& router() const { return root_; }

  private:
    net::Router starting_;
    net::Router root_;
    std::string landing_page_;
};

}  // namespace nave::app
