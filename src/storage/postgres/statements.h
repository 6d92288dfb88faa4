// What a connection keeps about its prepared statements, and the binary form of parameters.
#pragma once

#include "storage/transaction.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nave::storage::postgres {

// One statement for one list of parameter kinds. A null fits any kind.
struct PreparedStatement {
    std::string name;
    std::string sql;
    std::vector<Param::Kind> kinds;
};

// Found by address and length of the text; the text is compared too, because an address may be used
// again for another text.
class PreparedStatements {
  public:
    [[nodiscard]] const PreparedStatement* find(std::string_view sql,
                                                std::span<const Param> params) const;
    // The kinds to prepare `sql` with: those of `params`, and where that is null, those that an
    // earlier use of the same text had. Otherwise each pattern of nulls would be a statement.
    [[nodiscard]] std::vector<Param::Kind> kinds_for(std::string_view sql,
                                                     std::span<const Param> params) const;
    // Replaces those of the same text that it also serves.
    const PreparedStatement& add(std::string name, std::string_view sql,
                                 std::vector<Param::Kind> kinds);
    void clear() {
        statements_.clear();
        names_ = 0;
    }
    [[nodiscard]] std::string next_name() { return "s" + std::to_string(++names_); }
    // Only generated SQL can bring so many together; each takes memory at the server.
    [[nodiscard]] bool full() const { return names_ >= kNamesMax; }

  private:
    static constexpr std::size_t kNamesMax = 512;
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
    std::unordered_multimap<Place, std::unique_ptr<PreparedStatement>, PlaceHash> statements_;
    std::size_t names_ = 0;
};

// Parameters as libpq takes them; borrows text and bytes, keeps its memory between uses.
class Encoder {
  public:
    void encode(std::span<const Param> params);
    [[nodiscard]] int count() const { return static_cast<int>(values_.size()); }
    [[nodiscard]] const char* const* values() const { return values_.data(); }
    [[nodiscard]] const int* lengths() const { return lengths_.data(); }
    [[nodiscard]] const int* formats() const { return formats_.data(); }

  private:
    std::vector<const char*> values_;
    std::vector<int> lengths_;
    std::vector<int> formats_;
    std::vector<std::array<char, 8>> integers_;
};

// OID of the type a parameter of this kind is declared with; 0 lets the server infer it.
[[nodiscard]] unsigned type_of(Param::Kind kind);

}  // namespace nave::storage::postgres
