// nave_* series: the HTTP server, the bus, the databases and the process itself.
#pragma once

#include "bus/bus.h"
#include "net/server.h"
#include "runtime/metrics.h"
#include "storage/database.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace nave::app {

class ProcessMetrics {
  public:
    ProcessMetrics(Metrics& metrics, const net::HttpServer& server, const bus::Bus& bus,
                   std::vector<std::pair<std::string, storage::Database*>> databases);
    ~ProcessMetrics();  // the refresher must not outlive what it reads
    ProcessMetrics(const ProcessMetrics&) = delete;
    ProcessMetrics& operator=(const ProcessMetrics&) = delete;

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace nave::app
