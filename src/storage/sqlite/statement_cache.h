// StatementCache: prepared statements of one SQLite connection, found by address and length of
// their text. The text is compared too, because an address may be used again for another text.
// One thread, the connection's.
#pragma once

#include "base/result.h"
#include "storage/transaction.h"

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace nave::storage::sqlite {

class Statement {
  public:
    // `sql` must hold exactly one statement whose parameters are named $1, $2...
    static Result<std::unique_ptr<Statement>> prepare(sqlite3* db, std::string_view sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    [[nodiscard]] sqlite3_stmt* handle() const { return handle_; }
    [[nodiscard]] const std::string& sql() const { return sql_; }
    [[nodiscard]] bool reads_only() const { return sqlite3_stmt_readonly(handle_) != 0; }

    // Text and bytes are borrowed until reset(). SQLite's result code.
    [[nodiscard]] int bind(std::span<const Param> params);
    [[nodiscard]] Result<Row> row() const;
    void reset();

    bool busy = false;  // being stepped: a visitor may run the same text again

  private:
    Statement(std::string_view sql, sqlite3_stmt* handle) : sql_(sql), handle_(handle) {}

    const std::string sql_;
    sqlite3_stmt* const handle_;
    std::vector<std::size_t> parameter_;  // SQLite's parameter i + 1 takes params[parameter_[i]]
    std::size_t parameter_count_ = 0;
};

// Use of a statement for one execution; afterwards it is reset and borrows nothing.
class StatementLease {
  public:
    explicit StatementLease(Statement& cached) : statement_(&cached) { cached.busy = true; }
    explicit StatementLease(std::unique_ptr<Statement> own)
        : own_(std::move(own)), statement_(own_.get()) {}
    StatementLease(StatementLease&& other) noexcept
        : own_(std::move(other.own_)), statement_(std::exchange(other.statement_, nullptr)) {}
    StatementLease& operator=(StatementLease&&) = delete;
    ~StatementLease() {
        if (statement_ != nullptr) {
            statement_->reset();
            statement_->busy = false;
        }
    }
    [[nodiscard]] Statement& operator*() const { return *statement_; }
    [[nodiscard]] Statement* operator->() const { return statement_; }

  private:
    std::unique_ptr<Statement> own_;
    Statement* statement_;
};

class StatementCache {
  public:
    explicit StatementCache(sqlite3* db) : db_(db) {}
    [[nodiscard]] Result<StatementLease> lease(std::string_view sql);
    void clear() { statements_.clear(); }

  private:
    struct Place {
        const char* at;
        std::size_t size;
        bool operator==(const Place&) const = default;
    };
    struct PlaceHash {
        std::size_t operator()(const Place& place) const {
            return std::hash<const void*>{}(place.at) ^ (place.size << 4U);
        }
    };
    sqlite3* const db_;
    std::unordered_map<Place, std::unique_ptr<Statement>, PlaceHash> statements_;
};

}  // namespace nave::storage::sqlite
