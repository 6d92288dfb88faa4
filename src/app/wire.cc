// The only place that knows every service: a few adapting lines each.
#include "app/assets.h"
#include "app/process_settings.h"
#include "app/services.h"
#include "app/version.h"
#include "broker/api/context.h"
#include "broker/config.h"
#include "broker/migrations.h"
#include "broker/module.h"
#include "prekeys/config.h"
#include "prekeys/errors.h"
#include "prekeys/migrations.h"
#include "prekeys/module.h"
#include "prekeys/store.h"
#include "prekeys/transparency.h"

#include <algorithm>

namespace nave::app {
namespace {

Result<void> check_prekeys(const Settings& settings) {
    TRY_VOID(prekeys::read_config(settings));
    return ok();
}

storage::Address prekeys_storage(const Settings& settings) {
    prekeys::StorageChoice choice = prekeys::read_storage(settings, settings.text("NAVE_DATA_DIR"),
                                                          settings.secret("DATABASE_URL"));
    if (!choice.postgres_url.empty()) {
        return storage::PostgresAddress{std::move(choice.postgres_url)};
    }
    return storage::SqliteAddress{std::move(choice.sqlite_path)};
}

Task<Result<RunningService>> make_prekeys(const Surroundings& around, storage::Database& database) {
    const Settings& settings = around.settings;
    CO_TRY(prekeys::Config config, prekeys::read_config(settings));
    prekeys::Deps deps{
        around.loop,
        around.clock,
        around.entropy,
        around.health,
        around.metrics,
        around.workers,
        database,
        around.logger.child("prekeys", parse_log_level(settings.text("SHADE_LOG_LEVEL"))),
        std::move(config),
        prekeys::read_transparency_files(settings, settings.text("NAVE_DATA_DIR")),
        embedded_assets(),
        std::string(kVersion),
        around.commit};
    CO_TRY(auto module, co_await prekeys::PrekeysModule::create(std::move(deps)));
    const net::Router* router = &module->router();
    RunningService running{std::move(module), router};
    co_return running;
}

Task<Result<std::optional<std::string>>> examine_prekeys(const Settings& settings,
                                                         storage::Database& database) {
    return prekeys::Transparency::examine(
        prekeys::read_transparency_files(settings, settings.text("NAVE_DATA_DIR")), database);
}

storage::Address broker_storage(const Settings& settings) {
    broker::StorageChoice choice = broker::read_storage(settings, settings.text("NAVE_DATA_DIR"),
                                                        settings.secret("DATABASE_URL"));
    if (!choice.postgres_url.empty()) {
        return storage::PostgresAddress{std::move(choice.postgres_url)};
    }
    return storage::SqliteAddress{std::move(choice.sqlite_path)};
}

Task<Result<RunningService>> make_broker(const Surroundings& around, storage::Database& database) {
    const Settings& settings = around.settings;
    broker::Deps deps{
        around.loop,
        around.clock,
        around.entropy,
        around.health,
        around.metrics,
        around.workers,
        database,
        around.logger.child("broker", parse_log_level(settings.text("BROKER_LOG_LEVEL"))),
        broker::read_config(settings),
        embedded_assets(),
        std::string(kVersion),
        around.commit,
        around.bus,
        settings.has_value("REDIS_URL") && database.dialect() == storage::Dialect::postgres};
    CO_TRY(auto module, co_await broker::BrokerModule::create(std::move(deps)));
    const net::Router* router = &module->router();
    RunningService running{std::move(module), router};
    co_return running;
}

const ServiceEntry kServices[] = {
    {.name = "prekeys",
     .title = "directory of end-to-end-encryption prekeys",
     .home_port = 3900,
     .port_setting = "PORT",
     .log_setting = "SHADE_LOG_LEVEL",
     .metrics_token_setting = "SHADE_METRICS_TOKEN",
     .settings = &prekeys::settings,
     .check_settings = &check_prekeys,
     .storage = &prekeys_storage,
     .migrations = &prekeys::migrations,
     .tables = prekeys::kTables,
     .render_error = &prekeys::render_error,
     .make = &make_prekeys,
     .examine = &examine_prekeys,
     .after_restore = &prekeys::Store::after_restore,
     .restore_note = "one-time keys in the backup may have been handed out since: they will not be "
                     "issued, and clients are told to upload new ones"},
    {.name = "broker",
     .title = "mesh broker for end-to-end-encrypted envelopes",
     .home_port = 7900,
     .port_setting = "BROKER_PORT",
     .log_setting = "BROKER_LOG_LEVEL",
     .metrics_token_setting = "BROKER_METRICS_TOKEN",
     .settings = &broker::settings,
     .check_settings = nullptr,
     .storage = &broker_storage,
     .migrations = &broker::migrations,
     .tables = broker::kTables,
     .render_error = &broker::api::render_error,
     .make = &make_broker,
     .examine = nullptr,
     .after_restore = &broker::after_restore,
     .restore_note = "invites and API keys in the backup have ended; members that were revoked "
                     "since are members again, and envelopes may arrive a second time"},
};

}  // namespace

std::span<const ServiceEntry> services() {
    return kServices;
}

const ServiceEntry* find_service(std::string_view name) {
    const auto* const found = std::ranges::find(kServices, name, &ServiceEntry::name);
    return found == std::end(kServices) ? nullptr : found;
}

}  // namespace nave::app
