// PostgresServer: a private PostgreSQL server for tests (scripts/private-postgres) that can be
// stopped, crashed and frozen. It stops and its data goes when the object or the process ends,
// however the process ends.
//
// Blocking; one thread at a time.
#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <string>

namespace nave::fixture {

class PostgresServer {
  public:
    // fsync=off by default: only the loss of the machine would show the difference.
    enum class Durability { process_crash, machine_crash };

    // The error says why there is none; see required().
    static std::expected<std::unique_ptr<PostgresServer>, std::string> start(
        Durability durability = Durability::process_crash);
    ~PostgresServer();
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;

    // NAVE_REQUIRE_SERVICES=1: a test without its server must fail rather than be skipped.
    [[nodiscard]] static bool required();

    // "postgres://nave:<password>@127.0.0.1:port/<database>"; any password is accepted.
    [[nodiscard]] std::string url(const std::string& database = "postgres",
                                  const std::string& password = "") const;
    // A new, empty database, and its URL.
    [[nodiscard]] std::string create_database();

    void stop();   // as an operator does
    void crash();  // every process killed; start_again() recovers
    void start_again();
    // Freezes every process of the server: connections are accepted, nothing answers.
    void freeze();
    void thaw();

  private:
    PostgresServer(std::filesystem::path directory, std::string url, Durability durability);
    [[nodiscard]] std::string command(const std::string& verb) const;
    void signal_all(int signal) const;
    void guard();

    const std::filesystem::path directory_;
    const std::string url_;
    const Durability durability_;
    int guard_pipe_ = -1;
    int guard_pid_ = -1;
    int databases_ = 0;
};

}  // namespace nave::fixture
