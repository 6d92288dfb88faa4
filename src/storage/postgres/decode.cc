#include "storage/postgres/decode.h"

#include "base/text.h"
#include "storage/errors.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

namespace nave::storage::postgres {
namespace {

// pg_type.dat of the server; these never change.
enum TypeOid : unsigned {
    kBool = 16,
    kBytea = 17,
    kName = 19,
    kInt8 = 20,
    kInt2 = 21,
    kInt4 = 23,
    kText = 25,
    kUnknown = 705,
    kBpchar = 1042,
    kVarchar = 1043,
};

// Big-endian two's complement of `size` bytes; 1 for a boolean.
std::int64_t integer_of(const char* value, std::size_t size, bool is_signed) {
    std::uint64_t bits = is_signed && (static_cast<unsigned char>(value[0]) & 0x80U) != 0
                             ? ~std::uint64_t{0}
                             : std::uint64_t{0};
    for (std::size_t i = 0; i < size; ++i) {
        bits = bits << 8U | static_cast<unsigned char>(value[i]);
    }
    return static_cast<std::int64_t>(bits);
}

}  // namespace

Result<Row> decode_row(const PGresult* result, int row) {
    const int count = PQnfields(result);
    std::vector<Cell> cells;
    cells.reserve(static_cast<std::size_t>(count));
    for (int column = 0; column < count; ++column) {
        if (PQgetisnull(result, row, column) != 0) {
            cells.emplace_back(nullptr);
            continue;
        }
        const char* value = PQgetvalue(result, row, column);
        const auto size = static_cast<std::size_t>(PQgetlength(result, row, column));
        switch (PQftype(result, column)) {
            case kInt2:
            case kInt4:
            case kInt8:
                cells.emplace_back(integer_of(value, size, true));
                break;
            case kBool:
                cells.emplace_back(integer_of(value, size, false));
                break;
            case kText:
            case kVarchar:
            case kBpchar:
            case kName:
            case kUnknown:
                cells.emplace_back(std::in_place_type<std::string>, value, size);
                break;
            case kBytea: {
                const auto* bytes = reinterpret_cast<const std::uint8_t*>(value);
                cells.emplace_back(std::in_place_type<Bytes>, bytes, bytes + size);
                break;
            }
            default:
                return failed(fmt::format("column {} has type OID {}: cast it in the SQL",
                                          PQfname(result, column), PQftype(result, column)));
        }
    }
    return Row(std::move(cells));
}

std::int64_t changed_rows(PGresult* result) {
    // cmdTuples also counts the rows of a SELECT.
    if (std::string_view(PQcmdStatus(result)).starts_with("SELECT")) {
        return 0;
    }
    return parse_int(PQcmdTuples(result)).value_or(0);
}

}  // namespace nave::storage::postgres
