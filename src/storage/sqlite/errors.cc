#include "storage/sqlite/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

namespace nave::storage::sqlite {
namespace {

constexpr std::size_t kSqlShown = 300;

// The codes of files and disks, in words an operator can act on.
struct Ailment {
    int code;
    std::string_view id;
    std::string_view message;
};
constexpr std::array<Ailment, 7> kAilments{{
    {SQLITE_FULL, "storage.full", "The disk of the database is full."},
    {SQLITE_IOERR, "storage.io_error", "The disk of the database reported an error."},
    {SQLITE_CORRUPT, "storage.damaged", "The database file is damaged; restore a backup."},
    {SQLITE_NOTADB, "storage.not_a_database", "The file is not a SQLite database."},
    {SQLITE_READONLY, "storage.permission", "The database file or its directory is read-only."},
    {SQLITE_CANTOPEN, "storage.permission", "The database file cannot be opened."},
    {SQLITE_PERM, "storage.permission", "The database file may not be written."},
}};

}  // namespace

Failure failure(sqlite3* db, int code, std::string_view doing, std::source_location where) {
    const int primary = code & 0xff;
    std::string detail =
        fmt::format("sqlite {}: {}; in: {}", code, sqlite3_errmsg(db), doing.substr(0, kSqlShown));
    switch (primary) {
        case SQLITE_CONSTRAINT:
            return conflict(std::move(detail), where);
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return busy("another process holds the write lock; " + detail, where);
        case SQLITE_INTERRUPT:
            return timed_out(std::move(detail), where);
        default:
            break;
    }
    const auto* ailment = std::ranges::find(kAilments, primary, &Ailment::code);
    if (ailment != kAilments.end()) {
        return fail(Code::unavailable, std::string(ailment->id), std::string(ailment->message),
                    std::move(detail), where);
    }
    return failed(std::move(detail), where);
}

bool is_trouble(const Error& error) {
    return error.id == "storage.busy" ||
           std::ranges::find(kAilments, error.id, &Ailment::id) != kAilments.end();
}

}  // namespace nave::storage::sqlite
