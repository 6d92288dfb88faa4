// Connection: one SQLite connection with this project's settings; owned and used by one thread at
// a time.
#pragma once

#include "base/result.h"
#include "storage/sqlite/statement_cache.h"

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace nave::storage::sqlite {

enum class Role : std::uint8_t {
    writer,      // the only connection of this process that commits
    reader,      // read-only, one snapshot at a time
    checkpoint,  // copies the write-ahead log into the file
    exchange,    // a backup file: one plain file without a write-ahead log
};

class Connection {
  public:
    // Opens an existing file, or ":memory:" as writer.
    static Result<std::unique_ptr<Connection>> open(const std::string& path, Role role);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    [[nodiscard]] sqlite3* handle() const { return db_; }
    [[nodiscard]] StatementCache& statements() { return statements_; }

    // A statement of the store's own, such as BEGIN: cached, without parameters or rows.
    [[nodiscard]] Result<void> run(std::string_view sql);
    [[nodiscard]] bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

    // While set, SQL may not begin or end transactions nor attach files: closures run inside a
    // transaction that others may share.
    void confine(bool confined) { confined_ = confined; }

  private:
    explicit Connection(sqlite3* db) : db_(db), statements_(db) {}
    [[nodiscard]] Result<void> configure(Role role);
    static int authorize(void* self, int action, const char*, const char*, const char*,
                         const char*);

    sqlite3* const db_;
    StatementCache statements_;
    bool confined_ = false;
};

// Confines a connection for the length of one closure.
class Confinement {
  public:
    explicit Confinement(Connection& connection) : connection_(connection) {
        connection_.confine(true);
    }
    ~Confinement() { connection_.confine(false); }
    Confinement(const Confinement&) = delete;
    Confinement& operator=(const Confinement&) = delete;

  private:
    Connection& connection_;
};

}  // namespace nave::storage::sqlite
