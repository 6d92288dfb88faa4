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

void DatabaseTest::require(Store store) {
    if (store == Store::postgres && !shared_server()) {
        std::cerr << "*** NOT TESTED ON POSTGRESQL: " << shared_server().error() << '\n';
        ASSERT_FALSE(PostgresServer::required()) << shared_server().error();
        GTEST_SKIP() << shared_server().error();
    }
}

void DatabaseTest::use(Store store, Options options) {
    require(store);
    if (IsSkipped() || HasFatalFailure()) {
        return;
    }
    address_ = make_address(store, "test");
    database_ = another(options);
    ASSERT_TRUE(database_);
}

Address DatabaseTest::make_address(Store store, const std::string& name) {
    switch (store) {
        case Store::memory:
            return SqliteAddress{":memory:"};
        case Store::file:
            return SqliteAddress{directory_ / (name + ".db")};
        case Store::postgres:
            return PostgresAddress{Secret(shared_server().value()->create_database())};
    }
    return SqliteAddress{":memory:"};
}

std::unique_ptr<Database> DatabaseTest::fresh(Store store, const std::string& name,
                                              Options options) {
    auto opened = open(loop_, logger_, make_address(store, name), options);
    EXPECT_TRUE(opened) << opened.error().message << " " << opened.error().detail;
    return opened ? std::move(*opened) : nullptr;
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
