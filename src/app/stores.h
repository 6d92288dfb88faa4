// Opening the databases the chosen services use. Services with one address share one Database.
#pragma once

#include "app/services.h"
#include "storage/database.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nave::app {

class Stores {
  public:
    // Blocking (contacts servers, creates files): call off the loop.
    [[nodiscard]] static Result<Stores> open(Loop& loop, Logger& logger, const Settings& settings,
                                             std::span<const ServiceEntry* const> chosen,
                                             storage::Options options);

    [[nodiscard]] storage::Database& of(const ServiceEntry& service);
    // Every open database once, with a short name for logs and metrics.
    [[nodiscard]] std::vector<std::pair<std::string, storage::Database*>> all() const;
    void close();

  private:
    std::map<std::string, std::unique_ptr<storage::Database>> by_address_;
    std::map<const ServiceEntry*, std::string> address_of_;
};

[[nodiscard]] storage::Options storage_options(const Settings& settings);
// A key under which equal addresses meet; holds the URL with its password, so never shown.
[[nodiscard]] std::string address_key(const storage::Address& address);

}  // namespace nave::app
