#include "storage/postgres/statements.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace nave::storage::postgres {
namespace {

// pg_type.dat of the server; these never change.
constexpr unsigned kInferred = 0;
constexpr unsigned kBytea = 17;
constexpr unsigned kInt8 = 20;
constexpr unsigned kText = 25;

bool compatible(Param::Kind a, Param::Kind b) {
    return a == b || a == Param::Kind::null || b == Param::Kind::null;
}

}  // namespace

const PreparedStatement* PreparedStatements::find(std::string_view sql,
                                                  std::span<const Param> params) const {
    const auto [first, last] = statements_.equal_range({.at = sql.data(), .size = sql.size()});
    const auto fits = [](Param::Kind declared, const Param& param) {
        return param.kind() == declared || param.kind() == Param::Kind::null;
    };
    for (auto entry = first; entry != last; ++entry) {
        const PreparedStatement& statement = *entry->second;
        if (std::ranges::equal(statement.kinds, params, fits) && statement.sql == sql) {
            return &statement;
        }
    }
    return nullptr;
}

std::vector<Param::Kind> PreparedStatements::kinds_for(std::string_view sql,
                                                       std::span<const Param> params) const {
    std::vector<Param::Kind> kinds;
    for (const Param& param : params) {
        kinds.push_back(param.kind());
    }
    const auto [first, last] = statements_.equal_range({.at = sql.data(), .size = sql.size()});
    for (auto entry = first; entry != last; ++entry) {
        const PreparedStatement& known = *entry->second;
        if (known.sql != sql || !std::ranges::equal(known.kinds, kinds, compatible)) {
            continue;
        }
        for (std::size_t i = 0; i < kinds.size(); ++i) {
            kinds[i] = kinds[i] == Param::Kind::null ? known.kinds[i] : kinds[i];
        }
    }
    return kinds;
}

const PreparedStatement& PreparedStatements::add(std::string name, std::string_view sql,
                                                 std::vector<Param::Kind> kinds) {
    const Place place{.at = sql.data(), .size = sql.size()};
    for (auto [entry, last] = statements_.equal_range(place); entry != last;) {
        const PreparedStatement& known = *entry->second;
        const bool superseded =
            known.sql != sql || std::ranges::equal(known.kinds, kinds, compatible);
        entry = superseded ? statements_.erase(entry) : std::next(entry);
    }
    auto statement = std::make_unique<PreparedStatement>();
    statement->name = std::move(name);
    statement->sql = sql;
    statement->kinds = std::move(kinds);
    return *statements_.emplace(place, std::move(statement))->second;
}

void Encoder::encode(std::span<const Param> params) {
    values_.clear();
    lengths_.clear();
    formats_.assign(params.size(), 1);
    integers_.resize(params.size());
    for (std::size_t i = 0; i < params.size(); ++i) {
        const Param& param = params[i];
        const char* value = nullptr;
        std::size_t length = 0;
        switch (param.kind()) {
            case Param::Kind::null:
                break;
            case Param::Kind::integer: {
                auto bits = static_cast<std::uint64_t>(param.integer());
                for (std::size_t at = 8; at-- > 0; bits >>= 8U) {
                    integers_[i][at] = static_cast<char>(bits & 0xffU);
                }
                value = integers_[i].data();
                length = 8;
                break;
            }
            case Param::Kind::text:
                value = param.text().data();
                length = param.text().size();
                break;
            case Param::Kind::bytes:
                value = reinterpret_cast<const char*>(param.bytes().data());
                length = param.bytes().size();
                break;
        }
        // A null pointer would mean NULL, and an empty view may hold one.
        const bool empty = length == 0 && param.kind() != Param::Kind::null;
        values_.push_back(empty ? "" : value);
        lengths_.push_back(static_cast<int>(length));
    }
}

unsigned type_of(Param::Kind kind) {
    switch (kind) {
        case Param::Kind::null:
            return kInferred;
        case Param::Kind::integer:
            return kInt8;
        case Param::Kind::text:
            return kText;
        case Param::Kind::bytes:
            return kBytea;
    }
    return kInferred;
}

}  // namespace nave::storage::postgres
