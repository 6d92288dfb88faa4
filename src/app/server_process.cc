#include "app/server_process.h"

#include "app/descriptors.h"
#include "app/exit_codes.h"
#include "app/front.h"
#include "app/process_metrics.h"
#include "app/process_settings.h"
#include "app/stores.h"
#include "app/version.h"
#include "base/check.h"
#include "base/entropy.h"
#include "bus/local/local_bus.h"
#include "bus/redis/redis_bus.h"
#include "net/server.h"
#include "runtime/task_group.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <unistd.h>

namespace nave::app {
namespace {

constexpr std::uint16_t kTogetherPort = 8080;
constexpr std::size_t kWorkQueueMax = 20'000;
// A start does not wait longer for Redis: without it services work, more slowly between nodes.
constexpr std::chrono::milliseconds kRedisPatience{3'000};

// Why start-up ended, and the exit status for it.
struct StartFailure {
    int exit_code;
    Error error;
};

class ServerProcess {
  public:
    ServerProcess(const ServeOptions& options, const Settings& settings)
        : options_(options),
          settings_(settings),
          health_(clock_),
          logger_("nave", process_level(options, settings), log_format(settings), stderr_sink()),
          workers_(loop_, static_cast<std::size_t>(settings.integer("NAVE_WORKERS")),
                   kWorkQueueMax),
          bus_(make_bus()),
          signals_(loop_.context(), SIGTERM, SIGINT),
          around_{loop_,    clock_, entropy_, health_,   metrics_,
                  workers_, *bus_,  logger_,  settings_, commit_of(settings)} {}

    int run() {
        health_.step("start-server");
        auto bound = bind();
        if (!bound) {
            return report({kExitServer, std::move(bound).error()});
        }
        server_ = std::move(*bound);
        front_.emplace(health_, metrics_, options_.services, settings_, options_.alone);
        if (!options_.alone) {
            server_->mount("", front_->starting_root());
        }
        for (std::size_t i = 0; i < options_.services.size(); ++i) {
            server_->mount(prefix_of(i), front_->starting_services()[i]);
        }
        server_->start();
        logger_.info("listening", {{"address", server_->address()}, {"pid", ::getpid()}});
        wait_for_signals();
        boost::asio::co_spawn(loop_.executor(), live(), [this](std::exception_ptr thrown) {
            if (thrown) {
                std::rethrow_exception(thrown);
            }
            loop_.stop();
        });
        loop_.run();
        return exit_code_;
    }

  private:
    using Timer =
        boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                          boost::asio::wait_traits<std::chrono::steady_clock>,
                                          LoopExecutor>;

    [[nodiscard]] std::string prefix_of(std::size_t service) const {
        return options_.alone ? "" : fmt::format("/{}", options_.services[service]->name);
    }

    std::unique_ptr<bus::Bus> make_bus() {
        if (!settings_.has_value("REDIS_URL")) {
            return std::make_unique<bus::LocalBus>(loop_);
        }
        auto address = bus::RedisAddress::parse(settings_.secret("REDIS_URL"));
        CHECK(address.has_value(), "load_settings() validated it");
        bus::RedisOptions options;
        options.prefix = settings_.text("NAVE_BUS_PREFIX");
        auto made =
            std::make_unique<bus::RedisBus>(loop_, clock_, entropy_, health_, logger_.child("bus"),
                                            std::move(*address), std::move(options));
        redis_ = made.get();
        return made;
    }

    static LogLevel process_level(const ServeOptions& options, const Settings& settings) {
        // Standing alone, the service's level is the process's unless that was set itself.
        if (options.alone && !settings.is_set("NAVE_LOG_LEVEL")) {
            return parse_log_level(settings.text(options.services.front()->log_setting));
        }
        return parse_log_level(settings.text("NAVE_LOG_LEVEL"));
    }

    Result<std::unique_ptr<net::HttpServer>> bind() {
        TRY(auto proxies, net::TrustedProxies::parse(settings_.text("SHADE_TRUSTED_PROXIES")));
        net::ServerLimits limits;
        limits.connections_max = connections_max();
        limits.connections_per_client_max =
            static_cast<std::size_t>(settings_.integer("NAVE_MAX_CONNECTIONS_PER_CLIENT"));
        limits.body_bytes_max =
            static_cast<std::size_t>(settings_.integer("NAVE_MAX_BODY_MEMORY_MIB")) << 20;
        return net::HttpServer::bind(loop_, clock_, entropy_, logger_,
                                     listen_address(options_, settings_), std::move(proxies),
                                     limits);
    }

    std::size_t connections_max() {
        const auto wanted = static_cast<std::size_t>(settings_.integer("NAVE_MAX_CONNECTIONS"));
        const std::size_t limit = raise_descriptor_limit();
        const std::size_t fitting = connections_within(
            limit, wanted, reserved_descriptors(settings_, options_.services.size()));
        if (fitting < wanted) {
            logger_.warn("fewer connections than set: the descriptor limit is low",
                         {{"setting", "NAVE_MAX_CONNECTIONS"},
                          {"connections", fitting},
                          {"descriptors", limit}});
        }
        return fitting;
    }

    void wait_for_signals() {
        signals_.async_wait([this](boost::system::error_code ec, int signal) {
            if (ec) {
                return;
            }
            if (stop_requested_) {
                logger_.warn("second signal, exiting at once", {{"signal", signal}});
                ::_exit(kExitSecondSignal);
            }
            logger_.info("shutdown signal", {{"signal", signal}});
            stop_requested_ = true;
            if (wake_) {
                wake_->cancel();
            }
            wait_for_signals();
        });
    }

    int report(const StartFailure& failure) {
        logger_.failure(LogLevel::error, "start failed", failure.error,
                        {{"step", health_.current_step()}});
        std::fputs(fmt::format("nave: {}\n", failure.error.message).c_str(), stderr);
        return failure.exit_code;
    }

    // The whole life after the port is bound.
    Task<void> live() {
        std::optional<StartFailure> failure = co_await start();
        if (failure) {
            exit_code_ = report(*failure);
        } else if (!stop_requested_) {
            co_await until_signal();
        }
        co_await shut_down(!failure);
    }

    Task<std::optional<StartFailure>> start() {
        if (auto opened = co_await open_stores(); !opened) {
            co_return StartFailure{kExitStorage, std::move(opened).error()};
        }
        health_.step("run-migrations");
        for (const ServiceEntry* service : options_.services) {
            if (auto migrated = co_await migrate(*service); !migrated) {
                co_return StartFailure{kExitMigrations, std::move(migrated).error()};
            }
        }
        if (redis_ != nullptr) {
            health_.step("connect-redis");
            co_await redis_->start(kRedisPatience);
        }
        health_.step("init-subsystems");
        for (const ServiceEntry* service : options_.services) {
            auto made = co_await service->make(around_, stores_->of(*service));
            if (!made) {
                co_return StartFailure{kExitSubsystems, std::move(made).error()};
            }
            running_.push_back(std::move(*made));
        }
        process_metrics_.emplace(metrics_, *server_, *bus_, stores_->all());
        for (std::size_t i = 0; i < running_.size(); ++i) {
            running_[i].module->start();
            server_->mount(prefix_of(i), *running_[i].router);
        }
        if (!options_.alone) {
            server_->mount("", front_->router());
        }
        health_.serving();
        logger_.info(
            "ready",
            {{"address", server_->address()}, {"version", kVersion}, {"commit", around_.commit}});
        co_return std::nullopt;
    }

    Task<Result<void>> open_stores() {
        storage::Options options = storage_options(settings_);
        options.serving = true;
        bool any_postgres = false;
        for (const ServiceEntry* service : options_.services) {
            any_postgres |=
                std::holds_alternative<storage::PostgresAddress>(service->storage(settings_));
        }
        health_.step(any_postgres ? "connect-postgres" : "open-storage");
        auto open = [this, options]() -> Result<std::shared_ptr<Stores>> {
            TRY(Stores stores, Stores::open(loop_, logger_, settings_, options_.services, options));
            return std::make_shared<Stores>(std::move(stores));
        };
        CO_TRY(stores_, co_await workers_.run(std::move(open)));
        for (const auto& [name, database] : stores_->all()) {
            logger_.info("storage open", {{"services", name}, {"storage", database->describe()}});
        }
        co_return ok();
    }

    Task<Result<void>> migrate(const ServiceEntry& service) {
        storage::Database& database = stores_->of(service);
        if (settings_.text("NAVE_MIGRATE") == "manual") {
            CO_TRY(const auto pending,
                   co_await storage::pending_migrations(database, service.migrations()));
            if (!pending.empty()) {
                co_return fail(Code::conflict, "app.migrations_pending",
                               fmt::format("the schema of {} is {} migration(s) behind and "
                                           "NAVE_MIGRATE is manual; run: nave migrate {}",
                                           service.name, pending.size(), service.name));
            }
            co_return ok();
        }
        CO_TRY(const auto applied,
               co_await storage::migrate(database, service.migrations(), clock_));
        for (const auto& migration : applied) {
            logger_.info("migration applied", {{"service", migration.module},
                                               {"version", migration.version},
                                               {"name", migration.name}});
        }
        co_return ok();
    }

    Task<void> until_signal() {
        wake_ = std::make_unique<Timer>(loop_.executor(), Timer::time_point::max());
        auto token = boost::asio::as_tuple(boost::asio::use_awaitable_t<LoopExecutor>());
        co_await wake_->async_wait(token);
    }

    Task<void> shut_down(bool was_serving) {
        health_.stopping();
        const auto budget = std::chrono::seconds(settings_.integer("NAVE_SHUTDOWN_SECONDS"));
        const SteadyTime deadline = clock_.steady() + budget;
        const auto left = [&] {
            return std::max(
                std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock_.steady()),
                std::chrono::milliseconds(1));
        };
        server_->stop_accepting();
        const bool drained = co_await server_->drain(left());
        if (!drained) {
            logger_.warn("requests were cut at the deadline");
        }
        for (auto running = running_.rbegin(); running != running_.rend(); ++running) {
            co_await running->module->stop(left());
        }
        process_metrics_.reset();
        running_.clear();
        if (redis_ != nullptr) {
            co_await redis_->stop(left());
        }
        if (stores_) {
            stores_->close();
        }
        signals_.cancel();
        if (was_serving) {
            logger_.info("shutdown complete", {{"drained", drained}});
        }
    }

    const ServeOptions& options_;
    const Settings& settings_;
    SystemClock clock_;
    SystemEntropy entropy_;
    Loop loop_;
    Health health_;
    Logger logger_;
    Metrics metrics_;
    WorkerPool workers_;
    bus::RedisBus* redis_ = nullptr;  // the bus, when it is one; make_bus() sets it
    std::unique_ptr<bus::Bus> bus_;
    boost::asio::signal_set signals_;
    Surroundings around_;
    std::unique_ptr<net::HttpServer> server_;
    std::optional<Front> front_;
    std::shared_ptr<Stores> stores_;
    std::vector<RunningService> running_;
    std::optional<ProcessMetrics> process_metrics_;
    std::unique_ptr<Timer> wake_;
    bool stop_requested_ = false;
    int exit_code_ = kExitOk;
};

}  // namespace

std::string commit_of(const Settings& settings) {
    const std::string set = settings.text("GIT_SHA");
    return set.empty() ? std::string(kBuiltFrom) : set;
}

std::string listen_address(const ServeOptions& options, const Settings& settings) {
    if (settings.has_value("NAVE_LISTEN")) {
        return settings.text("NAVE_LISTEN");
    }
    if (!options.alone) {
        return fmt::format(":{}", kTogetherPort);
    }
    const ServiceEntry& service = *options.services.front();
    if (settings.has_value(service.port_setting)) {
        return fmt::format(":{}", settings.integer(service.port_setting));
    }
    return fmt::format(":{}", service.home_port);
}

int serve(const ServeOptions& options, const Settings& settings) {
    // A client that goes away must not end the process.
    ::signal(SIGPIPE, SIG_IGN);
    ServerProcess process(options, settings);
    return process.run();
}

}  // namespace nave::app
