#include "storage/instance_lock.h"

#include "storage/errors.h"
#include "storage/postgres/connection.h"
#include "storage/postgres/server_address.h"
#include "storage/sqlite/file.h"

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <optional>
#include <utility>

namespace nave::storage {

struct InstanceLock::Held {
    std::optional<sqlite::FileLock> file;
    std::optional<postgres::ServerAddress> server;  // outlives the connection
    std::unique_ptr<postgres::Connection> connection;
};

namespace {

Failure in_use(std::string_view what) {
    return fail(Code::conflict, "storage.in_use",
                fmt::format("A server is using {}; stop it first.", what));
}

}  // namespace

std::filesystem::path lock_file_of(const std::filesystem::path& database) {
    std::filesystem::path file = database;
    file += ".lock";
    return file;
}

Result<InstanceLock> InstanceLock::exclusive(const Address& address,
                                             std::chrono::milliseconds connect_timeout) {
    auto held = std::make_unique<Held>();
    if (const auto* sqlite = std::get_if<SqliteAddress>(&address)) {
        TRY(held->file,
            sqlite::FileLock::take(lock_file_of(sqlite->path), sqlite::FileLock::Mode::exclusive));
        if (!held->file) {
            return in_use(sqlite->path.string());
        }
        return InstanceLock(std::move(held));
    }
    Options options;
    options.connect_timeout = connect_timeout;
    const std::atomic<bool> never{false};
    TRY(held->server, postgres::ServerAddress::parse(std::get<PostgresAddress>(address).url));
    TRY(held->connection, postgres::Connection::connect(*held->server, options, never));
    TRY(const auto locked,
        held->connection->execute(postgres::Begin::none, "SELECT pg_try_advisory_lock($1)",
                                  std::array{Param(kInstanceLock)}));
    if (PQgetvalue(locked.get(), 0, 0)[0] == 0) {
        return in_use(held->server->shown());
    }
    return InstanceLock(std::move(held));
}

InstanceLock::InstanceLock(std::unique_ptr<Held> held) : held_(std::move(held)) {}
InstanceLock::InstanceLock(InstanceLock&& other) noexcept = default;
InstanceLock& InstanceLock::operator=(InstanceLock&& other) noexcept = default;
InstanceLock::~InstanceLock() = default;

}  // namespace nave::storage
