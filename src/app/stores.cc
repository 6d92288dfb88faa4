#include "app/stores.h"

namespace nave::app {

std::string address_key(const storage::Address& address) {
    if (const auto* file = std::get_if<storage::SqliteAddress>(&address)) {
        return "sqlite:" + file->path.string();
    }
    return "postgres:" + std::string(std::get<storage::PostgresAddress>(address).url.reveal());
}

storage::Options storage_options(const Settings& settings) {
    storage::Options options;
    options.connections = static_cast<std::size_t>(settings.integer("NAVE_DATABASE_CONNECTIONS"));
    options.deadline = std::chrono::seconds(settings.integer("NAVE_DATABASE_DEADLINE_SECONDS"));
    return options;
}

Result<Stores> Stores::open(Loop& loop, Logger& logger, const Settings& settings,
                            std::span<const ServiceEntry* const> chosen, storage::Options options) {
    Stores stores;
    for (const ServiceEntry* service : chosen) {
        storage::Address address = service->storage(settings);
        const std::string key = address_key(address);
        stores.address_of_.emplace(service, key);
        if (stores.by_address_.contains(key)) {
            continue;
        }
        TRY(auto database, storage::open(loop, logger, std::move(address), options));
        stores.by_address_.emplace(key, std::move(database));
    }
    return stores;
}

storage::Database& Stores::of(const ServiceEntry& service) {
    return *by_address_.at(address_of_.at(&service));
}

std::vector<std::pair<std::string, storage::Database*>> Stores::all() const {
    std::vector<std::pair<std::string, storage::Database*>> out;
    for (const auto& [key, database] : by_address_) {
        std::string names;
        for (const auto& [service, address] : address_of_) {
            if (address == key) {
                names.append(names.empty() ? "" : "+").append(service->name);
            }
        }
        out.emplace_back(std::move(names), database.get());
    }
    return out;
}

void Stores::close() {
    for (auto& [key, database] : by_address_) {
        database->close();
    }
}

}  // namespace nave::app
