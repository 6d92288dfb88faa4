#include "storage/test_database.h"

#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <support/postgres_server.h>
#include <unistd.h>

namespace nave::storage {
namespace {

using nave::fixture::PostgresServer;

// One server for all tests of the program that only need a database of their own on it.
const std::expected<std::unique_ptr<PostgresServer>, std::string>& shared_server() {
    static const auto server = PostgresServer::start();
    return server;
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "nave-storage-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error("mkdtemp failed");
    }
    path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string name_of(const testing::TestParamInfo<Store>& info) {
    switch (info.param) {
        case Store::memory:
            return "SqliteMemory";
        case Store::file:
            return "SqliteFile";
        case Store::postgres:
            return "Postgres";
    }
    return "Unknown";
}

void DatabaseTest::use(Store store, Options options) {
    switch (store) {
        case Store::memory:
            address_ = SqliteAddress{":memory:"};
            break;
        case Store::file:
            address_ = SqliteAddress{directory_ / "test.db"};
            break;
        case Store::postgres: {
            const auto& server = shared_server();
            if (!server) {
                std::cerr << "*** NOT TESTED ON POSTGRESQL: " << server.error() << '\n';
                ASSERT_FALSE(PostgresServer::required()) << server.error();
                GTEST_SKIP() << server.error();
            }
            address_ = PostgresAddress{Secret((*server)->create_database())};
            break;
        }
    }
    auto opened = open(loop_, logger_, *address_, options);
    ASSERT_TRUE(opened) << opened.error().message << " " << opened.error().detail;
    database_ = std::move(*opened);
}

std::unique_ptr<Database> DatabaseTest::another(Options options) {
    auto opened = open(loop_, logger_, *address_, options);
    EXPECT_TRUE(opened) << opened.error().message << " " << opened.error().detail;
    return opened ? std::move(*opened) : nullptr;
}

void DatabaseTest::script(std::string sql) {
    const Result<void> done =
        write([sql = std::move(sql)](Transaction& tx) { return tx.script(sql); });
    ASSERT_TRUE(done) << done.error().detail;
}

}  // namespace nave::storage
