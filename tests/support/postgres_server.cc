#include "postgres_server.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace nave::fixture {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kScript = NAVE_SOURCE_DIR "/scripts/private-postgres";

// What the command printed, and whether it succeeded.
std::pair<std::string, bool> output_of(const std::string& command) {
    std::string output;
    FILE* pipe = ::popen(command.c_str(), "re");
    if (pipe == nullptr) {
        return {"popen failed", false};
    }
    std::array<char, 512> buffer{};
    while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) {
        output += buffer.data();
    }
    const bool succeeded = ::pclose(pipe) == 0;
    while (output.ends_with('\n')) {
        output.pop_back();
    }
    return {output, succeeded};
}

fs::path make_directory() {
    std::string pattern = fs::temp_directory_path() / "nave-postgres-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::runtime_error("mkdtemp failed");
    }
    return pattern;
}

void run_sql(const std::string& url, const std::string& sql) {
    PGconn* connection = PQconnectdb(url.c_str());
    PGresult* result = PQexec(connection, sql.c_str());
    const bool succeeded = PQresultStatus(result) == PGRES_COMMAND_OK;
    const std::string error = PQerrorMessage(connection);
    PQclear(result);
    PQfinish(connection);
    if (!succeeded) {
        throw std::runtime_error(sql + ": " + error);
    }
}

}  // namespace

std::expected<std::unique_ptr<PostgresServer>, std::string> PostgresServer::start(
    Durability durability) {
    const fs::path directory = make_directory();
    std::unique_ptr<PostgresServer> server(new PostgresServer(directory, {}, durability));
    auto [output, succeeded] = output_of(server->command("start") + " 2>&1");
    if (!succeeded) {
        std::error_code ignored;
        fs::remove_all(directory, ignored);
        return std::unexpected(output);
    }
    server.reset(new PostgresServer(directory, output, durability));
    server->guard();
    return server;
}

PostgresServer::PostgresServer(fs::path directory, std::string url, Durability durability)
    : directory_(std::move(directory)), url_(std::move(url)), durability_(durability) {}

PostgresServer::~PostgresServer() {
    if (guard_pid_ < 0) {
        return;
    }
    signal_all(SIGCONT);
    ::close(guard_pipe_);
    ::waitpid(guard_pid_, nullptr, 0);
}

bool PostgresServer::required() {
    const char* value = std::getenv("NAVE_REQUIRE_SERVICES");
    return value != nullptr && std::string_view(value) == "1";
}

// A shell that waits for the end of this process and then removes the server.
void PostgresServer::guard() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw std::runtime_error("pipe failed");
    }
    const std::string script = command("crash") + " >/dev/null 2>&1";
    const std::string text = fmt::format("read -r _; {}; rm -rf '{}'", script, directory_.string());
    guard_pid_ = ::fork();
    if (guard_pid_ == 0) {
        ::setsid();
        ::dup2(ends[0], STDIN_FILENO);
        ::execl("/bin/sh", "sh", "-c", text.c_str(), nullptr);
        ::_exit(127);
    }
    ::close(ends[0]);
    guard_pipe_ = ends[1];
}

std::string PostgresServer::command(const std::string& verb) const {
    return fmt::format("NAVE_POSTGRES_FSYNC={} '{}' {} '{}'",
                       durability_ == Durability::machine_crash ? "on" : "off", kScript, verb,
                       directory_.string());
}

std::string PostgresServer::url(const std::string& database, const std::string& password) const {
    std::string url = url_.substr(0, url_.rfind('/') + 1) + database;
    if (!password.empty()) {
        url.insert(url.find('@'), ":" + password);
    }
    return url;
}

std::string PostgresServer::create_database() {
    const std::string name = fmt::format("test_{}", ++databases_);
    run_sql(url(), "CREATE DATABASE " + name);
    return url(name);
}

void PostgresServer::stop() {
    static_cast<void>(output_of(command("stop")));
}

void PostgresServer::crash() {
    static_cast<void>(output_of(command("crash")));
}

void PostgresServer::start_again() {
    const auto [output, succeeded] = output_of(command("start") + " 2>&1");
    if (!succeeded) {
        throw std::runtime_error("PostgreSQL did not start again: " + output);
    }
}

void PostgresServer::freeze() {
    signal_all(SIGSTOP);
}

void PostgresServer::thaw() {
    signal_all(SIGCONT);
}

void PostgresServer::signal_all(int signal) const {
    pid_t postmaster = 0;
    std::ifstream(directory_ / "data" / "postmaster.pid") >> postmaster;
    if (postmaster <= 0) {
        return;
    }
    // The parent first, so that no child is born in between.
    ::kill(postmaster, signal);
    std::ifstream children(fmt::format("/proc/{}/task/{}/children", postmaster, postmaster));
    pid_t child = 0;
    while (children >> child) {
        ::kill(child, signal);
    }
}

}  // namespace nave::fixture
