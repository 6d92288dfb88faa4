#include "storage/open.h"

#include "storage/sqlite/database.h"

namespace nave::storage {

Result<std::unique_ptr<Database>> open(Loop& loop, Logger& logger, Address address,
                                       Options options) {
    if (const auto* file = std::get_if<SqliteAddress>(&address)) {
        return sqlite::SqliteDatabase::open(loop, logger, *file, options);
    }
    return fail(Code::invalid, "storage.bad_url", "This build has no PostgreSQL store.");
}

}  // namespace nave::storage
