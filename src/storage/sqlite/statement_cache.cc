#include "storage/sqlite/statement_cache.h"

#include "base/check.h"
#include "storage/sqlite/errors.h"

#include <algorithm>
#include <charconv>

namespace nave::storage::sqlite {
namespace {

// Far above the statements of all services together; reached only by generated SQL.
constexpr std::size_t kStatementsMax = 512;

bool blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n;") == text.npos;
}

}  // namespace

Result<std::unique_ptr<Statement>> Statement::prepare(sqlite3* db, std::string_view sql) {
    sqlite3_stmt* handle = nullptr;
    const char* tail = nullptr;
    const int code = sqlite3_prepare_v3(db, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &handle, &tail);
    if (code != SQLITE_OK) {
        return failure(db, code, sql);
    }
    std::unique_ptr<Statement> statement(new Statement(sql, handle));
    if (handle == nullptr || !blank(sql.substr(static_cast<std::size_t>(tail - sql.data())))) {
        return failed("not exactly one statement: " + std::string(sql));
    }
    const int count = sqlite3_bind_parameter_count(handle);
    for (int i = 1; i <= count; ++i) {
        const char* name = sqlite3_bind_parameter_name(handle, i);
        const std::string_view text = name == nullptr ? std::string_view() : name;
        std::size_t number = 0;
        const auto parsed = std::from_chars(text.data() + std::min<std::size_t>(1, text.size()),
                                            text.data() + text.size(), number);
        if (!text.starts_with('$') || parsed.ptr != text.data() + text.size() || number == 0) {
            return failed("parameters are written $1, $2...: " + std::string(sql));
        }
        statement->parameter_.push_back(number - 1);
        statement->parameter_count_ = std::max(statement->parameter_count_, number);
    }
    return statement;
}

Statement::~Statement() {
    sqlite3_finalize(handle_);
}

int Statement::bind(std::span<const Param> params) {
    CHECK(params.size() == parameter_count_, sql_.c_str());
    for (std::size_t i = 0; i < parameter_.size(); ++i) {
        const Param& param = params[parameter_[i]];
        const int at = static_cast<int>(i) + 1;
        int code = SQLITE_OK;
        switch (param.kind()) {
            case Param::Kind::null:
                code = sqlite3_bind_null(handle_, at);
                break;
            case Param::Kind::integer:
                code = sqlite3_bind_int64(handle_, at, param.integer());
                break;
            case Param::Kind::text: {
                const std::string_view text = param.text();
                // A null pointer would bind NULL, and an empty view may hold one.
                code = sqlite3_bind_text64(handle_, at, text.empty() ? "" : text.data(),
                                           text.size(), SQLITE_STATIC, SQLITE_UTF8);
                break;
            }
            case Param::Kind::bytes: {
                const ByteView bytes = param.bytes();
                code = bytes.empty() ? sqlite3_bind_zeroblob(handle_, at, 0)
                                     : sqlite3_bind_blob64(handle_, at, bytes.data(), bytes.size(),
                                                           SQLITE_STATIC);
                break;
            }
        }
        if (code != SQLITE_OK) {
            return code;
        }
    }
    return SQLITE_OK;
}

Result<Row> Statement::row() const {
    const int count = sqlite3_data_count(handle_);
    std::vector<Cell> cells;
    cells.reserve(static_cast<std::size_t>(count));
    for (int column = 0; column < count; ++column) {
        const int type = sqlite3_column_type(handle_, column);
        const auto size = [&] {
            return static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
        };
        switch (type) {
            case SQLITE_NULL:
                cells.emplace_back(nullptr);
                break;
            case SQLITE_INTEGER:
                cells.emplace_back(sqlite3_column_int64(handle_, column));
                break;
            case SQLITE_TEXT: {
                const auto* text =
                    reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
                cells.emplace_back(std::in_place_type<std::string>, text, size());
                break;
            }
            case SQLITE_BLOB: {
                const auto* bytes =
                    static_cast<const std::uint8_t*>(sqlite3_column_blob(handle_, column));
                cells.emplace_back(std::in_place_type<Bytes>, bytes, bytes + size());
                break;
            }
            default:
                return failed("column " + std::to_string(column) + " is REAL, cast it: " + sql_);
        }
    }
    return Row(std::move(cells));
}

void Statement::reset() {
    sqlite3_reset(handle_);
}

Result<StatementLease> StatementCache::lease(std::string_view sql) {
    const Place place{.at = sql.data(), .size = sql.size()};
    const auto found = statements_.find(place);
    if (found != statements_.end() && found->second->sql() == sql) {
        if (!found->second->busy) {
            return StatementLease(*found->second);
        }
        TRY(auto second, Statement::prepare(db_, sql));
        return StatementLease(std::move(second));
    }
    TRY(auto statement, Statement::prepare(db_, sql));
    if (statements_.size() >= kStatementsMax) {
        std::erase_if(statements_, [](const auto& entry) { return !entry.second->busy; });
    }
    auto& kept = statements_[place];
    if (kept && kept->busy) {
        return StatementLease(std::move(statement));
    }
    kept = std::move(statement);
    return StatementLease(*kept);
}

}  // namespace nave::storage::sqlite
