#include "storage/open.h"

#include "storage/postgres/database.h"
#include "storage/sqlite/database.h"

namespace nave::storage {

Result<std::unique_ptr<Database>> open(Loop& loop, Logger& logger, Address address,
                                       Options options) {
    if (const auto* file = std::get_if<SqliteAddress>(&address)) {
        return sqlite::SqliteDatabase::open(loop, logger, *file, options);
    }
    return postgres::PostgresDatabase::open(loop, logger, std::get<PostgresAddress>(address),
                                            options);
}

}  // namespace nave::storage
