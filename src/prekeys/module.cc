#include "prekeys/module.h"

#include "base/encoding.h"
#include "prekeys/api/context.h"
#include "prekeys/cleanup.h"
#include "prekeys/directory.h"
#include "prekeys/metrics.h"
#include "prekeys/observer.h"
#include "prekeys/observer_auth.h"
#include "prekeys/owner_events.h"
#include "prekeys/privacy.h"
#include "runtime/task_group.h"

#include <algorithm>

namespace nave::prekeys {
namespace {

constexpr std::chrono::milliseconds kHeartbeat{15'000};
constexpr std::chrono::milliseconds kForget{60'000};
constexpr std::chrono::milliseconds kHealthCheck{1'000};
constexpr std::chrono::milliseconds kSnapshotMin{5'000};
constexpr std::chrono::milliseconds kCheckpoint{1'000};
// Counting may take at most about a twentieth of the time, however large the tables are.
constexpr int kSnapshotShare = 20;
constexpr std::int64_t kLowStockShown = 50;

// Hands every event to all who want it.
class Fanout final : public EventSink {
  public:
    explicit Fanout(std::vector<EventSink*> sinks) : sinks_(std::move(sinks)) {}
    void on_event(const Event& event) override {
        for (EventSink* sink : sinks_) {
            sink->on_event(event);
        }
    }

  private:
    std::vector<EventSink*> sinks_;
};

std::string boot_id(Entropy& entropy) {
    ByteArray<8> random{};
    entropy.fill(random);
    return hex(random);
}

}  // namespace

// What hears events; made first, because the transparency log reports to it too.
struct Watchers {
    Pseudonyms pseudonyms;
    ServiceMetrics metrics;
    Observer observer;
    OwnerEvents owner_events;
    Fanout events;

    explicit Watchers(const Deps& deps)
        : pseudonyms(deps.entropy),
          metrics(deps.metrics, deps.version, deps.commit),
          observer(deps.clock, pseudonyms, deps.config.observer_shows_addresses),
          events({&metrics, &observer, &owner_events}) {}
};

struct PrekeysModule::Parts {
    std::unique_ptr<Deps> given;
    std::unique_ptr<Watchers> watchers;
    std::unique_ptr<Transparency> transparency;
    Deps& deps;
    Observer& observer;
    OwnerEvents& owner_events;
    ServiceMetrics& metrics;
    Store store;
    Directory directory;
    StaleCleanup cleanup;
    std::unique_ptr<ObserverAuth> observer_auth;
    api::Context context;
    net::Router router;
    TaskGroup tasks;
    std::optional<std::string> transparency_trouble;  // as last logged
    // Metrics outlive the module; their refresh asks whether it is still there.
    std::shared_ptr<Parts*> self = std::make_shared<Parts*>(this);

    Parts(std::unique_ptr<Deps> given_in, std::unique_ptr<Watchers> watchers_in,
          std::unique_ptr<Transparency> transparency_in)
        : given(std::move(given_in)),
          watchers(std::move(watchers_in)),
          transparency(std::move(transparency_in)),
          deps(*given),
          observer(watchers->observer),
          owner_events(watchers->owner_events),
          metrics(watchers->metrics),
          store(deps.database, deps.config.store),
          directory(deps.config, store, deps.workers, deps.clock, deps.entropy, watchers->events,
                    transparency->indexer()),
          cleanup(deps.loop, deps.config, store, deps.clock, deps.entropy, watchers->events,
                  deps.logger),
          observer_auth(deps.config.observer_token.empty()
                            ? nullptr
                            : std::make_unique<ObserverAuth>(deps.config.observer_token, deps.clock,
                                                             deps.entropy)),
          context{directory,
                  metrics,
                  deps.metrics,
                  observer,
                  observer_auth.get(),
                  owner_events,
                  cleanup,
                  *transparency,
                  deps.health,
                  deps.logger,
                  deps.database,
                  {deps.version, deps.commit, boot_id(deps.entropy),
                   deps.database.dialect() == storage::Dialect::sqlite ? "sqlite" : "postgres",
                   deps.clock.now()},
                  deps.assets},
          router(&render_error),
          tasks(deps.loop, deps.logger) {
        api::add_upload_routes(router, context);
        api::add_fetch_routes(router, context);
        api::add_owner_routes(router, context);
        api::add_operator_routes(router, context);
        api::add_observer_routes(router, context);
        api::add_transparency_routes(router, context);
        router.observe(
            [this](std::string_view route, net::Method, int status, std::chrono::nanoseconds took) {
                metrics.on_request(route, status, took);
            });
        deps.metrics.before_exposition([weak = std::weak_ptr<Parts*>(self)] {
            if (const auto parts = weak.lock()) {
                (*parts)->refresh_metrics();
            }
        });
    }

    // Gauges that mirror other state, on whichever path they are asked for.
    void refresh_metrics() {
        metrics.set_observer_clients(observer.feed().clients());
        if (const auto last = cleanup.last_run_at()) {
            metrics.on_cleanup(*last);
        }
        if (const auto& tree = transparency->last_signed()) {
            const auto age = deps.clock.now() - tree->signed_at;
            metrics.set_key_transparency(static_cast<std::int64_t>(tree->size),
                                         static_cast<double>(age) / 1000);
        }
    }

    Task<void> heartbeat() {
        for (;;) {
            co_await deps.loop.sleep(kHeartbeat);
            observer.feed().heartbeat();
            owner_events.heartbeat();
        }
    }

    Task<void> watch_storage() {
        for (;;) {
            // /health is public: what exactly is wrong stands in the log and the observer.
            const bool in_trouble = deps.database.trouble().has_value();
            deps.health.report(
                "prekeys.storage",
                in_trouble ? std::optional<std::string>("The storage backend cannot be used.")
                           : std::nullopt);
            co_await deps.loop.sleep(kHealthCheck);
        }
    }

    Task<void> forget_expired() {
        for (;;) {
            co_await deps.loop.sleep(kForget);
            const auto done = co_await store.forget_expired(deps.clock.now());
            if (!done) {
                deps.logger.failure(LogLevel::warn, "cannot forget expired rows", done.error());
            }
        }
    }

    // Signs the tree soon after it grew, so that fetchers rarely wait for a signature.
    Task<void> sign_checkpoints() {
        for (;;) {
            if (!transparency->refuses()) {
                const auto tree = co_await transparency->latest();
                if (!tree) {
                    deps.logger.failure(LogLevel::debug, "no checkpoint this time", tree.error());
                }
            }
            report_transparency();
            co_await deps.loop.sleep(kCheckpoint);
        }
    }

    // Keys go out all the same, so it is no outage; what exactly is wrong is for operators.
    void report_transparency() {
        const auto& trouble = transparency->trouble();
        deps.health.report(
            "prekeys.transparency",
            trouble ? std::optional<std::string>("Key transparency signs nothing.") : std::nullopt,
            Health::Impact::partial);
        if (trouble && !transparency->refuses() && transparency_trouble != trouble) {
            deps.logger.warn("key transparency signs nothing", {{"why", *trouble}});
        } else if (!trouble && transparency_trouble) {
            deps.logger.info("key transparency signs again");
        }
        transparency_trouble = trouble;
    }

    Task<void> refresh_snapshot() {
        for (;;) {
            const SteadyTime before = deps.clock.steady();
            co_await take_snapshot();
            const auto took =
                std::chrono::duration_cast<std::chrono::milliseconds>(deps.clock.steady() - before);
            co_await deps.loop.sleep(std::max(kSnapshotMin, took * kSnapshotShare));
        }
    }

    Task<void> take_snapshot() {
        const auto totals = co_await store.totals(deps.config.low_threshold);
        const auto lowest = co_await store.lowest_stock(kLowStockShown);
        if (totals && lowest) {
            DirectorySnapshot snapshot{*totals, *lowest};
            metrics.set_totals(*totals);
            observer.set_snapshot(std::move(snapshot));
        }
    }
};

PrekeysModule::PrekeysModule(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Task<Result<std::unique_ptr<PrekeysModule>>> PrekeysModule::create(Deps deps) {
    auto given = std::make_unique<Deps>(std::move(deps));
    auto watchers = std::make_unique<Watchers>(*given);
    CO_TRY(auto transparency,
           Transparency::create(given->transparency_files, given->database, given->workers,
                                given->clock, given->entropy, watchers->events, given->logger));
    CO_TRY_VOID(co_await transparency->open());
    Store store(given->database, given->config.store);
    CO_TRY(const auto restored, co_await store.announce_restore());
    if (restored) {
        given->logger.info("first start after a restore", {{"restore_epoch", *restored}});
        Event event;
        event.type = EventType::restore_epoch;
        event.at = given->clock.now();
        watchers->events.on_event(event);
    }
    auto parts =
        std::make_unique<Parts>(std::move(given), std::move(watchers), std::move(transparency));
    // Before anyone looks: a directory that seems empty after a restart alarms people.
    co_await parts->take_snapshot();
    co_return std::unique_ptr<PrekeysModule>(new PrekeysModule(std::move(parts)));
}

PrekeysModule::~PrekeysModule() = default;

const net::Router& PrekeysModule::router() const {
    return parts_->router;
}

void PrekeysModule::start() {
    if (!parts_->deps.config.limits.enabled) {
        parts_->deps.logger.warn("rate limits are off", {{"setting", "SHADE_DISABLE_RATE_LIMIT"},
                                                         {"advice", "for development only"}});
    }
    parts_->tasks.spawn("heartbeat", parts_->heartbeat());
    parts_->tasks.spawn("storage watch", parts_->watch_storage());
    parts_->tasks.spawn("forget expired", parts_->forget_expired());
    parts_->tasks.spawn("snapshot", parts_->refresh_snapshot());
    parts_->tasks.spawn("checkpoints", parts_->sign_checkpoints());
    parts_->tasks.spawn("stale cleanup", parts_->cleanup.run());
}

Task<void> PrekeysModule::stop(std::chrono::milliseconds deadline) {
    parts_->observer.feed().close();
    parts_->owner_events.close();
    co_await parts_->tasks.stop(deadline);
}

}  // namespace nave::prekeys
