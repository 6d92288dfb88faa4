#include "storage/sqlite/connection.h"

#include "storage/sqlite/errors.h"

#include <chrono>
#include <mutex>
#include <thread>

namespace nave::storage::sqlite {
namespace {

// How long a writer waits for another process, and a checkpoint for readers and the writer. The
// second bounds how long a checkpoint that restarts the log can hold up commits.
constexpr std::chrono::milliseconds kWriterPatience{5'000};
constexpr std::chrono::milliseconds kCheckpointPatience{250};

// Common to all: no double-quoted strings as literals, nothing that could damage the file through
// SQL, and no functions with side effects from a schema that somebody else may have written.
constexpr std::string_view kSettings =
    "PRAGMA trusted_schema=OFF;"
    "PRAGMA cell_size_check=ON;"
    "PRAGMA foreign_keys=ON;"
    "PRAGMA temp_store=MEMORY;"
    // A mapped file turns an input/output error into SIGBUS, which would take the whole process
    // down; the page cache below serves the same reads.
    "PRAGMA mmap_size=0;";

// 64 MiB of pages: the writer touches random leaves of several indexes per transaction, and a
// miss is a read from the file while every caller waits. secure_delete=FAST overwrites deleted
// content where that costs no extra input/output. The log file is cut back to 64 MiB after a burst.
constexpr std::string_view kWriterSettings =
    "PRAGMA synchronous=FULL;"
    "PRAGMA wal_autocheckpoint=0;"
    "PRAGMA journal_size_limit=67108864;"
    "PRAGMA secure_delete=FAST;"
    "PRAGMA cache_size=-65536;";

constexpr std::string_view kReaderSettings =
    "PRAGMA query_only=ON;"
    "PRAGMA cache_size=-16384;";

// Checkpoints write the file in the order of the log; synchronous as for the writer, because the
// log is only reused after the file is on the disk.
constexpr std::string_view kCheckpointSettings =
    "PRAGMA synchronous=FULL;"
    "PRAGMA wal_autocheckpoint=0;"
    "PRAGMA journal_size_limit=67108864;";

// The file counts only once it is complete, synced and renamed; until then it needs no journal.
constexpr std::string_view kExchangeSettings =
    "PRAGMA journal_mode=MEMORY;"
    "PRAGMA synchronous=OFF;";

std::string_view settings_of(Role role) {
    switch (role) {
        case Role::writer:
            return kWriterSettings;
        case Role::reader:
            return kReaderSettings;
        case Role::checkpoint:
            return kCheckpointSettings;
        case Role::exchange:
            return kExchangeSettings;
    }
    return {};
}

// SQLite's own handler backs off to 100 ms; what holds the lock here is a checkpoint that is done
// in a few milliseconds, and callers wait meanwhile.
int wait_for_lock(void*, int tries) {
    constexpr std::chrono::microseconds kStep{500};
    if (tries * kStep >= kWriterPatience) {
        return 0;
    }
    std::this_thread::sleep_for(kStep);
    return 1;
}

// Statistics take a process-wide lock at each allocation; nobody reads them.
void configure_library() {
    static std::once_flag once;
    std::call_once(once, [] { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); });
}

}  // namespace

Result<std::unique_ptr<Connection>> Connection::open(const std::string& path, Role role) {
    configure_library();
    sqlite3* db = nullptr;
    const int access = role == Role::reader ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    const int code = sqlite3_open_v2(path.c_str(), &db, access | SQLITE_OPEN_NOMUTEX, nullptr);
    std::unique_ptr<Connection> connection(new Connection(db));
    if (code != SQLITE_OK) {
        return failure(db, code, "open");
    }
    TRY_VOID(connection->configure(role));
    return connection;
}

Connection::~Connection() {
    statements_.clear();
    sqlite3_close_v2(db_);
}

Result<void> Connection::configure(Role role) {
    sqlite3_extended_result_codes(db_, 1);
    if (role == Role::checkpoint) {
        sqlite3_busy_timeout(db_, static_cast<int>(kCheckpointPatience.count()));
    } else {
        sqlite3_busy_handler(db_, wait_for_lock, nullptr);
    }
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
    sqlite3_db_config(db_, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
    sqlite3_set_authorizer(db_, authorize, this);
    for (const std::string_view script : {kSettings, settings_of(role)}) {
        // Both are literals, so zero-terminated.
        const int code = sqlite3_exec(db_, script.data(), nullptr, nullptr, nullptr);
        if (code != SQLITE_OK) {
            return failure(db_, code, script);
        }
    }
    return ok();
}

int Connection::authorize(void* self, int action, const char*, const char*, const char*,
                          const char*) {
    if (!static_cast<const Connection*>(self)->confined_) {
        return SQLITE_OK;
    }
    switch (action) {
        case SQLITE_TRANSACTION:
        case SQLITE_SAVEPOINT:
        case SQLITE_ATTACH:
        case SQLITE_DETACH:
            return SQLITE_DENY;
        default:
            return SQLITE_OK;
    }
}

Result<void> Connection::run(std::string_view sql) {
    TRY(const StatementLease statement, statements_.lease(sql));
    const int code = sqlite3_step(statement->handle());
    if (code != SQLITE_DONE && code != SQLITE_ROW) {
        return failure(db_, code, sql);
    }
    return ok();
}

}  // namespace nave::storage::sqlite
