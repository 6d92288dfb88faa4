// The prekeys service put together: what app/wire.cc makes and the runtime starts and stops.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "net/router.h"
#include "net/static_files.h"
#include "prekeys/config.h"
#include "prekeys/transparency.h"
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

namespace nave::prekeys {

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
    TransparencyFiles transparency_files;
    std::span<const net::Asset> assets;
    std::string version;
    std::string commit;
};

class PrekeysModule final : public Module {
  public:
    // Reads or makes the transparency keys and checks the log: errors "prekeys.kt_*".
    [[nodiscard]] static Task<Result<std::unique_ptr<PrekeysModule>>> create(Deps deps);
    ~PrekeysModule() override;

    [[nodiscard]] std::string_view name() const override { return "prekeys"; }
    void start() override;
    Task<void> stop(std::chrono::milliseconds deadline) override;
    // Valid as long as the module.
    [[nodiscard]] const net::Router& router() const;

  private:
    struct Parts;
    explicit PrekeysModule(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace nave::prekeys
