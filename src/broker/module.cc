#include "broker/module.h"

#include "base/encoding.h"
#include "broker/api/context.h"
#include "broker/cluster.h"
#include "broker/ids.h"
#include "broker/mesh_watch.h"
#include "broker/observer.h"
#include "broker/scheduler.h"
#include "runtime/task_group.h"

namespace nave::broker {
namespace {

constexpr std::chrono::milliseconds kSweep{1'000};
constexpr std::chrono::milliseconds kMeshWatch{1'000};
constexpr std::chrono::milliseconds kHealthCheck{1'000};
constexpr std::chrono::milliseconds kOverdueClaims{10'000};
constexpr std::chrono::milliseconds kDepth{30'000};
constexpr std::chrono::milliseconds kObserverTick{1'000};
constexpr std::chrono::milliseconds kObserverAge{2'000};  // while somebody watches
constexpr std::chrono::milliseconds kObserverAgeAlone{30'000};
constexpr std::chrono::milliseconds kTrimPause{100};
constexpr std::chrono::milliseconds kTrimRound{60'000};
constexpr std::chrono::hours kAuditTrimRound{1};
constexpr UnixMillis kSessionKeyMs = UnixMillis{30} * 24 * 3600 * 1000;

}  // namespace

struct BrokerModule::Parts {
    Deps deps;
    TaskGroup tasks;
    ServiceMetrics metrics;
    Broker broker;
    std::unique_ptr<Cluster> cluster;  // null: the only node
    Scheduler scheduler;
    MeshWatch mesh_watch;
    Admin admin;
    HttpPeers http_peers;
    std::unique_ptr<Observer> observer;  // null: off
    api::Context context;
    net::Router router;
    int failures = 0;  // checks of the database in a row

    explicit Parts(Deps given)
        : deps(std::move(given)),
          tasks(deps.loop, deps.logger),
          metrics(deps.metrics, deps.version, deps.commit),
          broker(deps.loop, deps.config, deps.clock, deps.entropy, deps.workers, deps.database,
                 tasks, deps.logger, metrics),
          scheduler(deps.loop, broker),
          mesh_watch(broker),
          admin(deps.database, deps.clock, deps.entropy, &broker),
          http_peers(broker, deps.loop, deps.database),
          observer(make_observer()),
          context{
              broker,
              admin,
              http_peers,
              deps.health,
              deps.metrics,
              deps.workers,
              deps.database,
              deps.version,
              deps.commit,
              net::RateLimiter(deps.clock,
                               {.burst = static_cast<double>(deps.config.hook_rate_per_minute),
                                .refill_per_second =
                                    static_cast<double>(deps.config.hook_rate_per_minute) / 60.0}),
              observer.get(),
              observer == nullptr ? std::nullopt
                                  : std::optional<net::BearerGate>(
                                        std::in_place, deps.config.observer_token, deps.clock),
              deps.assets},
          router(&api::render_error) {
        if (deps.several_nodes) {
            cluster = std::make_unique<Cluster>(broker, deps.loop, deps.database, deps.bus,
                                                deps.config.queue.node);
            broker.cluster = cluster.get();
            broker.delivery.set_wake_elsewhere(
                [this](const Presence& presence) { cluster->wake(presence); });
        }
        api::add_socket_route(router, context);
        api::add_operator_routes(router, context);
        api::add_hook_routes(router, context);
        api::add_join_routes(router, context);
        api::add_message_routes(router, context);
        api::add_admin_routes(router, context);
        api::add_observer_routes(router, context);
    }

    std::unique_ptr<Observer> make_observer() {
        if (deps.config.observer_token.empty()) {
            return nullptr;
        }
        ByteArray<8> boot_id{};
        deps.entropy.fill(boot_id);
        return std::make_unique<Observer>(
            broker, deps.database,
            ServerIdentity{deps.version, deps.commit, hex(boot_id), deps.clock.now()});
    }

    Task<void> sweep() {
        for (;;) {
            co_await deps.loop.sleep(kSweep);
            broker.sweep();
            metrics.set_connected(broker.registry.connected());
        }
    }

    Task<void> watch_meshes() {
        bool failing = false;
        for (;;) {
            co_await deps.loop.sleep(kMeshWatch);
            const auto looked = co_await mesh_watch.look();
            if (!looked && !failing) {
                deps.logger.failure(LogLevel::warn, "cannot look for changed meshes",
                                    looked.error());
            }
            failing = !looked.has_value();
        }
    }

    Task<void> trim_audit() {
        for (;;) {
            std::string mesh_id;
            for (;;) {
                const auto trimmed = co_await broker.audits.trim(
                    mesh_id, deps.clock.now() - deps.config.audit_kept.count());
                if (!trimmed) {
                    deps.logger.failure(LogLevel::warn, "cannot trim the audit log",
                                        trimmed.error());
                }
                if (!trimmed || !*trimmed) {
                    break;
                }
                if ((*trimmed)->removed < AuditStore::kTrimBatch) {
                    mesh_id = (*trimmed)->mesh_id;
                }
                co_await deps.loop.sleep(kTrimPause);
            }
            co_await deps.loop.sleep(kAuditTrimRound);
        }
    }

    Task<void> watch_storage() {
        for (;;) {
            const bool healthy = !deps.database.trouble().has_value();
            deps.health.report(
                "broker.storage",
                healthy ? std::nullopt
                        : std::optional<std::string>("The storage backend cannot be used."));
            metrics.set_database_healthy(healthy);
            const auto trouble = deps.database.trouble();
            if (!trouble && failures > 0) {
                deps.logger.info("db healthy", {{"prior_failures", failures}});
                failures = 0;
            } else if (trouble) {
                failures += 1;
                if (failures == 1) {
                    deps.logger.warn("db ping failed",
                                     {{"consecutive_failures", failures}, {"error", *trouble}});
                }
            }
            co_await deps.loop.sleep(kHealthCheck);
        }
    }

    Task<void> count_queue() {
        for (;;) {
            const auto depth = co_await broker.queue.depth(deps.clock.now());
            if (depth) {
                metrics.set_queue_depth(*depth);
            } else {
                deps.logger.failure(LogLevel::warn, "queue depth refresh failed", depth.error());
            }
            auto backlogs = co_await broker.queue.backlogs(deps.config.delivery.queued_per_key_max);
            if (backlogs) {
                if (observer != nullptr) {
                    observer->on_backlogs(*backlogs);
                }
                broker.delivery.set_backlogs(std::move(*backlogs));
            }
            co_await deps.loop.sleep(kDepth);
        }
    }

    Task<void> observe() {
        for (;;) {
            co_await deps.loop.sleep(kObserverTick);
            observer->tick();
        }
    }

    Task<void> read_for_observer() {
        for (;;) {
            const bool is_watched = observer->feed().clients() > 0;
            // The state of the database is told by the storage watch; what was read stays.
            (void)co_await observer->refresh(is_watched ? kObserverAge : kObserverAgeAlone);
            co_await deps.loop.sleep(kObserverTick);
        }
    }

    Task<void> end_overdue_claims() {
        for (;;) {
            co_await deps.loop.sleep(kOverdueClaims);
            co_await broker.delivery.release_overdue();
        }
    }

    // Walks over the whole queue again and again, a batch at a time.
    Task<void> trim_queue() {
        Sequence after = 0;
        for (;;) {
            const auto next = co_await broker.queue.trim(after, deps.clock.now());
            if (!next) {
                deps.logger.failure(LogLevel::warn, "cannot trim the queue", next.error());
            }
            after = next.value_or(0);
            if (after == 0) {
                (void)co_await broker.meshes.forget_session_keys(deps.clock.now() - kSessionKeyMs);
            }
            co_await deps.loop.sleep(after == 0 ? kTrimRound : kTrimPause);
        }
    }
};

BrokerModule::BrokerModule(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Task<Result<std::unique_ptr<BrokerModule>>> BrokerModule::create(Deps deps) {
    if (deps.several_nodes) {
        deps.config.queue.node = new_id(deps.entropy);
    }
    auto parts = std::make_unique<Parts>(std::move(deps));
    if (parts->cluster != nullptr) {
        // What other nodes have under way is theirs.
        CO_TRY_VOID(co_await parts->cluster->begin());
        co_return std::unique_ptr<BrokerModule>(new BrokerModule(std::move(parts)));
    }
    CO_TRY(const std::int64_t requeued, co_await parts->broker.queue.requeue_unsettled());
    if (requeued > 0) {
        parts->deps.logger.info("envelopes put back into the queue", {{"count", requeued}});
    }
    co_return std::unique_ptr<BrokerModule>(new BrokerModule(std::move(parts)));
}

BrokerModule::~BrokerModule() = default;

const net::Router& BrokerModule::router() const {
    return parts_->router;
}

void BrokerModule::start() {
    const Config& config = parts_->deps.config;
    parts_->deps.logger.info("broker listening",
                             {{"version", parts_->deps.version},
                              {"gitSha", parts_->deps.commit},
                              {"ws_path", "/ws"},
                              {"ttl_seconds", config.status.ttl.count() / 1000},
                              {"hook_fresh_seconds", config.status.hook_fresh.count() / 1000},
                              {"max_connections_per_mesh", config.connections_per_mesh_max},
                              {"max_message_bytes", config.message_bytes_max},
                              {"hook_rate_limit_per_min", config.hook_rate_per_minute}});
    if (parts_->cluster != nullptr) {
        parts_->cluster->start();
    }
    parts_->tasks.spawn("sweep", parts_->sweep());
    parts_->tasks.spawn("schedules", parts_->scheduler.run());
    parts_->tasks.spawn("mesh watch", parts_->watch_meshes());
    parts_->tasks.spawn("storage watch", parts_->watch_storage());
    parts_->tasks.spawn("queue depth", parts_->count_queue());
    parts_->tasks.spawn("overdue claims", parts_->end_overdue_claims());
    parts_->tasks.spawn("event streams", parts_->http_peers.watch_streams());
    parts_->tasks.spawn("trim", parts_->trim_queue());
    if (config.audit_kept.count() > 0) {
        parts_->tasks.spawn("audit trim", parts_->trim_audit());
    }
    if (parts_->observer != nullptr) {
        parts_->tasks.spawn("observer", parts_->observe());
        parts_->tasks.spawn("observer reading", parts_->read_for_observer());
    }
}

Task<void> BrokerModule::stop(std::chrono::milliseconds deadline) {
    if (parts_->observer != nullptr) {
        parts_->observer->feed().close();
    }
    co_await parts_->broker.shut_down(deadline / 2);
    if (parts_->cluster != nullptr) {
        co_await parts_->cluster->stop();
    }
    co_await parts_->tasks.stop(deadline / 2);
}

}  // namespace nave::broker
