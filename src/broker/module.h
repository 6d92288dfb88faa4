// The broker put together: what app/wire.cc makes and the runtime starts and stops.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "broker/config.h"
#include "bus/bus.h"
#include "net/router.h"
#include "net/static_files.h"
#include "runtime/health.h"
#include "runtime/log.h"
#include "runtime/loop.h"
#include "runtime/metrics.h"
#include "runtime/module.h"
#include "runtime/worker_pool.h"
#include "storage/database.h"

#include <memory>
#include <span>
#include <string>

namespace nave::broker {

// Everything the service is given; all references outlive it.
struct Deps {
    Loop& loop;
    const Clock& clock;
    Entropy& entropy;
    Health& health;
    Metrics& metrics;
    WorkerPool& workers;
    storage::Database& database;
    Logger logger;
    Config config;
    std::span<const net::Asset> assets;
    std::string version;
    std::string commit;
    bus::Bus& bus;
    bool several_nodes = false;  // the store and the bus are shared with other processes
};

class BrokerModule final : public Module {
  public:
    // Puts what was under way when the last process ended back into the queue. Errors of the
    // database.
    [[nodiscard]] static Task<Result<std::unique_ptr<BrokerModule>>> create(Deps deps);
    ~BrokerModule() override;

    [[nodiscard]] std::string_view name() const override { return "broker"; }
    void start() override;
    Task<void> stop(std::chrono::milliseconds deadline) override;
    // Valid as long as the module.
    [[nodiscard]] const net::Router& router() const;

  private:
    struct Parts;
    explicit BrokerModule(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace nave::broker
