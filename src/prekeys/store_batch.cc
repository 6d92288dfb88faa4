// One-time keys on their way into stock: a few statements for each upload, however many keys.
#include "base/entropy.h"
#include "prekeys/errors.h"
#include "prekeys/store.h"
#include "prekeys/store_sql.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>

namespace nave::prekeys::sql {

using storage::Param;
using storage::Row;
using storage::Rows;
using storage::Transaction;

namespace {

// Rows per insert statement: one round trip carries many keys, and few statements are prepared.
constexpr std::array<std::size_t, 4> kChunks{64, 16, 4, 1};
constexpr std::size_t kColumns = 8;
// Ids per lookup; what is left over is filled up with an id that is there already.
constexpr std::size_t kLookup = 64;

std::string insert_text(std::size_t rows) {
    std::string text =
        "insert into shade_server_one_time_prekeys "
        "(address, kind, key_id, algorithm, public_key, signature, uploaded_at, reserved) values ";
    for (std::size_t row = 0; row < rows; ++row) {
        const std::size_t p = row * kColumns;
        fmt::format_to(std::back_inserter(text), "{}(${},${},${},${},${},${},${},${})",
                       row == 0 ? "" : ",", p + 1, p + 2, p + 3, p + 4, p + 5, p + 6, p + 7, p + 8);
    }
    text += " on conflict (address, kind, key_id) do nothing returning key_id";
    return text;
}

const std::string& insert_statement(std::size_t chunk) {
    static const std::array<std::string, kChunks.size()> texts{
        insert_text(kChunks[0]), insert_text(kChunks[1]), insert_text(kChunks[2]),
        insert_text(kChunks[3])};
    return texts.at(chunk);
}

const std::string& lookup_statement() {
    static const std::string text = [] {
        std::string made =
            "select key_id, issued_at, public_key, algorithm from shade_server_one_time_prekeys "
            "where address = $1 and kind = $2 and key_id in (";
        for (std::size_t i = 0; i < kLookup; ++i) {
            fmt::format_to(std::back_inserter(made), "{}${}", i == 0 ? "" : ",", i + 3);
        }
        return made + ")";
    }();
    return text;
}

// A one-time key of either kind, as a row.
struct KeyRow {
    std::int64_t kind;
    KeyId id;
    const std::string* algorithm;
    const Bytes* public_key;
    const Bytes* signature;     // null for EC
    std::int64_t reserved = 0;  // 1: only for identified callers
};

std::vector<KeyRow> rows_of(const std::vector<OneTimePreKey>& keys) {
    static const std::string kNone;
    std::vector<KeyRow> rows;
    rows.reserve(keys.size());
    for (const OneTimePreKey& key : keys) {
        rows.push_back({kCurve, key.id, &kNone, &key.public_key, nullptr});
    }
    return rows;
}

std::vector<KeyRow> rows_of(const std::vector<KemPreKey>& keys) {
    std::vector<KeyRow> rows;
    rows.reserve(keys.size());
    for (const KemPreKey& key : keys) {
        rows.push_back({kKem, key.id, &key.algorithm, &key.public_key, &key.signature});
    }
    return rows;
}

void shuffle(std::vector<KeyRow>& rows, std::uint64_t seed) {
    SeededEntropy entropy(seed);
    for (std::size_t i = rows.size(); i > 1; --i) {
        std::swap(rows[i - 1], rows[entropy.below(i)]);
    }
}

// One kind of an address's keys.
struct Shelf {
    const Address& address;
    std::int64_t kind;
    std::int64_t stock;  // before the upload, then after it
};

Result<Rows> insert_chunk(Transaction& tx, const Address& address, std::span<const KeyRow> rows,
                          std::size_t chunk, UnixMillis now) {
    std::vector<Param> params;
    params.reserve(rows.size() * kColumns);
    for (const KeyRow& row : rows) {
        params.emplace_back(address.text());
        params.emplace_back(row.kind);
        params.emplace_back(row.id);
        params.emplace_back(*row.algorithm);
        params.emplace_back(*row.public_key);
        // An EC key has none: bound as empty bytes, so that a prepared statement serves both.
        params.emplace_back(row.signature != nullptr ? ByteView(*row.signature) : ByteView());
        params.emplace_back(now);
        params.emplace_back(row.reserved);
    }
    return tx.query(insert_statement(chunk), std::span<const Param>(params));
}

// The ids that were new, sorted.
Result<std::vector<KeyId>> insert_all(Transaction& tx, const Address& address,
                                      std::span<const KeyRow> rows, UnixMillis now) {
    std::vector<KeyId> accepted;
    for (std::size_t chunk = 0; !rows.empty();) {
        const std::size_t size = kChunks.at(chunk);
        if (size > rows.size()) {
            ++chunk;
            continue;
        }
        TRY(const Rows inserted, insert_chunk(tx, address, rows.first(size), chunk, now));
        for (const Row& row : inserted) {
            accepted.push_back(row.integer(0));
        }
        rows = rows.subspan(size);
    }
    std::ranges::sort(accepted);
    return accepted;
}

// What is stored under ids that could not be inserted.
Result<std::unordered_map<KeyId, Row>> look_up(Transaction& tx, const Shelf& shelf,
                                               std::span<const KeyRow> keys) {
    std::unordered_map<KeyId, Row> found;
    while (!keys.empty()) {
        const auto part = keys.first(std::min(kLookup, keys.size()));
        std::vector<Param> params{shelf.address.text(), shelf.kind};
        for (std::size_t i = 0; i < kLookup; ++i) {
            params.emplace_back(part[std::min(i, part.size() - 1)].id);
        }
        TRY(auto rows, tx.query(lookup_statement(), std::span<const Param>(params)));
        for (Row& row : rows) {
            const KeyId id = row.integer(0);
            found.emplace(id, std::move(row));
        }
        keys = keys.subspan(part.size());
    }
    return found;
}

Result<void> classify(Transaction& tx, const Shelf& shelf, std::vector<KeyRow> rows,
                      UploadResults& results) {
    std::erase_if(rows, [&](const KeyRow& row) {
        return std::ranges::binary_search(results.accepted, row.id);
    });
    std::ranges::sort(rows, {}, &KeyRow::id);
    TRY(const auto stored, look_up(tx, shelf, rows));
    for (const KeyRow& key : rows) {
        const auto row = stored.find(key.id);
        if (row == stored.end() || !row->second.is_null(1)) {
            results.consumed.push_back(key.id);
        } else if (row->second.bytes(2) == *key.public_key &&
                   row->second.text(3) == *key.algorithm) {
            results.duplicate.push_back(key.id);
        } else {
            results.conflict.push_back(key.id);
        }
    }
    return ok();
}

// Of the stock as it is now, the last to be issued are for identified callers; the others are not.
Result<void> mark_reserve(Transaction& tx, const Shelf& shelf, std::int64_t reserve) {
    TRY_VOID(
        tx.execute("update shade_server_one_time_prekeys set reserved = 1 - reserved "
                   "where address = $1 and kind = $2 and issued_at is null and reserved <> "
                   "case when seq in (select seq from shade_server_one_time_prekeys "
                   "where address = $1 and kind = $2 and issued_at is null "
                   "order by seq desc limit $3) then 1 else 0 end",
                   {shelf.address.text(), shelf.kind, reserve}));
    return ok();
}

Result<UploadResults> store_kind(Transaction& tx, Shelf& shelf, std::vector<KeyRow> rows,
                                 UnixMillis now, std::uint64_t seed, const StorePolicy& policy) {
    const auto reserve = [&] { return shelf.stock * policy.reserve_percent / 100; };
    const bool was_empty = shelf.stock == 0;
    shuffle(rows, seed);
    // As if every key were new, and corrected below unless that was so and nothing else is there.
    const auto uploaded = static_cast<std::int64_t>(rows.size());
    shelf.stock += uploaded;
    for (std::int64_t i = std::max<std::int64_t>(0, uploaded - reserve()); i < uploaded; ++i) {
        rows[static_cast<std::size_t>(i)].reserved = 1;
    }
    UploadResults results;
    TRY(results.accepted, insert_all(tx, shelf.address, rows, now));
    const std::size_t refused = rows.size() - results.accepted.size();
    shelf.stock -= static_cast<std::int64_t>(refused);
    if (refused > 0) {
        TRY_VOID(classify(tx, shelf, std::move(rows), results));
    }
    // An upload that adds no key is no refill: by its measure a drained stock would need next to no
    // reserve.
    if (!results.accepted.empty() && (refused > 0 || !was_empty)) {
        TRY_VOID(mark_reserve(tx, shelf, reserve()));
    }
    return results;
}

Result<Stock> stock_of(Transaction& tx, const Address& address) {
    TRY(const auto rows, tx.query("select kind, count(*) from shade_server_one_time_prekeys "
                                  "where address = $1 and issued_at is null group by kind",
                                  {address.text()}));
    Stock stock;
    for (const Row& row : rows) {
        (row.integer(0) == kCurve ? stock.one_time : stock.kem_one_time) = row.integer(1);
    }
    return stock;
}

// The owner is told anew when a refilled stock goes down again.
Result<void> forget_told(Transaction& tx, const Address& address, bool curve, bool kem) {
    if (!curve && !kem) {
        return ok();
    }
    using Level = std::optional<std::int64_t>;
    TRY_VOID(tx.execute(
        "update shade_server_identities set "
        "one_time_told = coalesce($2, one_time_told), "
        "kem_told = coalesce($3, kem_told) where address = $1",
        {address.text(), curve ? Level(0) : std::nullopt, kem ? Level(0) : std::nullopt}));
    return ok();
}

}  // namespace

Result<UploadOutcome> store_batch(Transaction& tx, const Address& address, const KeyBatch& batch,
                                  UploadMode mode, Newness newness, UnixMillis now,
                                  std::uint64_t shuffle_seed, const StorePolicy& policy) {
    UploadOutcome outcome;
    if (newness == Newness::known && mode == UploadMode::replace) {
        TRY_VOID(
            tx.execute("delete from shade_server_one_time_prekeys "
                       "where address = $1 and issued_at is null",
                       {address.text()}));
    } else if (newness == Newness::known) {
        TRY(outcome.stock, stock_of(tx, address));
    }
    Shelf curve{address, kCurve, outcome.stock.one_time};
    Shelf kem{address, kKem, outcome.stock.kem_one_time};
    TRY(outcome.one_time,
        store_kind(tx, curve, rows_of(batch.one_time), now, shuffle_seed, policy));
    TRY(outcome.kem_one_time,
        store_kind(tx, kem, rows_of(batch.kem_one_time), now, shuffle_seed + 1, policy));
    outcome.stock = {curve.stock, kem.stock};
    if (curve.stock > policy.one_time_max || kem.stock > policy.kem_one_time_max) {
        return errors::limit_exceeded(
            fmt::format("At most {} one-time and {} KEM one-time keys are stored per address.",
                        policy.one_time_max, policy.kem_one_time_max));
    }
    if (newness == Newness::known) {
        const bool replaced = mode == UploadMode::replace;
        TRY_VOID(forget_told(tx, address, replaced || !outcome.one_time.accepted.empty(),
                             replaced || !outcome.kem_one_time.accepted.empty()));
    }
    return outcome;
}

}  // namespace nave::prekeys::sql
