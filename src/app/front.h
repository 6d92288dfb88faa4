// Front: what the process itself answers, beside its services: the start-up health page before
// they are mounted, and, when several run together, a landing page and process-wide health,
// readiness and metrics at the root.
#pragma once

#include "app/services.h"
#include "net/router.h"
#include "runtime/health.h"
#include "runtime/metrics.h"

#include <span>
#include <string>
#include <vector>

namespace nave::app {

class Front {
  public:
    // The process's /metrics shows every service's series, so it asks for a token as soon as one of
    // them does; any of theirs will do.
    Front(Health& health, Metrics& metrics, const std::vector<const ServiceEntry*>& services,
          const Settings& settings, bool alone);
    // Until the services are there, what stands at their places and, when several run together, at
    // the root: health, and for everything else the service's own 503.
    [[nodiscard]] std::span<const net::Router> starting_services() const { return starting_; }
    [[nodiscard]] const net::Router& starting_root() const { return starting_root_; }
    [[nodiscard]] const net::Router& router() const { return root_; }

  private:
    std::vector<net::Router> starting_;  // in the order of the services
    net::Router starting_root_;
    net::Router root_;
    std::string landing_page_;
};

}  // namespace nave::app
