#include "broker/audit_store.h"

#include "base/check.h"
#include "broker/errors.h"
#include "broker/running.h"

#include <map>
#include <string_view>
#include <utility>

namespace nave::broker {

using storage::Param;
using storage::Row;
using storage::Transaction;

namespace {

constexpr std::int64_t kVerifyPage = 1'000;

#define AUDIT_COLUMNS "id, mesh_id, type, actor_member_id, payload, prev_hash, hash, created_at"

AuditRecord read_record(const Row& row) {
    return {row.integer(0), row.text(1), row.text(2), row.is_null(3) ? std::string() : row.text(3),
            row.text(4),    row.text(5), row.text(6), row.integer(7)};
}

template <class... Params>
Result<std::vector<AuditRecord>> read_records(Transaction& tx, std::string_view sql,
                                              Params&&... params) {
    std::vector<AuditRecord> records;
    TRY_VOID(tx.each(sql, {std::forward<Params>(params)...}, [&](const Row& row) -> Result<void> {
        records.push_back(read_record(row));
        return ok();
    }));
    return records;
}

Result<std::vector<AuditRecord>> records_following(Transaction& tx, const std::string& mesh_id,
                                                   std::int64_t after, std::int64_t limit) {
    return read_records(tx,
                        "select " AUDIT_COLUMNS
                        " from mesh_audit "
                        "where mesh_id = $1 and id > $2 order by id limit $3",
                        mesh_id, after, limit);
}

struct Head {
    std::string hash{kAuditGenesis};
    std::int64_t length = 0;
    std::string start_hash{kAuditGenesis};
    std::int64_t trimmed = 0;
};

// The chain's end, locked until the transaction ends.
Result<Head> lock_head(Transaction& tx, const std::string& mesh_id) {
    TRY(const auto row,
        tx.query_one("insert into mesh_audit_head (mesh_id, hash, length, start_hash) "
                     "values ($1, $2, 0, $2) on conflict (mesh_id) do update "
                     "set length = mesh_audit_head.length "
                     "returning hash, length, start_hash, trimmed",
                     {mesh_id, kAuditGenesis}));
    CHECK(row.has_value(), "an upsert returns its row");
    return Head{row->text(0), row->integer(1), row->text(2), row->integer(3)};
}

Result<Head> read_head(Transaction& tx, const std::string& mesh_id) {
    TRY(const auto row,
        tx.query_one("select hash, length, start_hash, trimmed from mesh_audit_head "
                     "where mesh_id = $1",
                     {mesh_id}));
    return row ? Head{row->text(0), row->integer(1), row->text(2), row->integer(3)} : Head();
}

Result<void> append_to_mesh(Transaction& tx, const std::string& mesh_id,
                            std::span<const AuditEntry* const> entries) {
    TRY(Head head, lock_head(tx, mesh_id));
    for (const AuditEntry* entry : entries) {
        const AuditRecord record =
            next_record(head.hash, mesh_id, entry->actor_member_id, entry->event, entry->at);
        const Param actor =
            record.actor_member_id.empty() ? Param(nullptr) : Param(record.actor_member_id);
        TRY_VOID(
            tx.execute("insert into mesh_audit (mesh_id, type, actor_member_id, payload, "
                       "prev_hash, hash, created_at) values ($1, $2, $3, $4, $5, $6, $7)",
                       {mesh_id, record.type, actor, record.payload, record.prev_hash, record.hash,
                        record.created_at}));
        head.hash = record.hash;
        head.length += 1;
    }
    TRY_VOID(tx.execute("update mesh_audit_head set hash = $2, length = $3 where mesh_id = $1",
                        {mesh_id, head.hash, head.length}));
    return ok();
}

// How far a verification has got.
struct Progress {
    std::int64_t last_id = 0;
    AuditVerdict verdict;
    bool done = false;
};

// The end is compared in the transaction that reads the last page: the chain may have grown since
// the pages before.
Result<void> verify_page(Transaction& tx, const std::string& mesh_id, Progress& progress) {
    AuditVerdict& verdict = progress.verdict;
    TRY(const Head head, read_head(tx, mesh_id));
    // Trimming has overtaken the verification: what was to be read next is gone.
    if (head.trimmed > verdict.trimmed + verdict.records) {
        progress = Progress();
    }
    if (progress.last_id == 0) {
        verdict.trimmed = head.trimmed;
        verdict.head = head.start_hash;
    }
    TRY(const auto records, records_following(tx, mesh_id, progress.last_id, kVerifyPage));
    for (const AuditRecord& record : records) {
        auto next = verify_records({&record, 1}, verdict.head);
        if (!next) {
            verdict.broken = next.error();
            progress.done = true;
            return ok();
        }
        verdict.head = std::move(*next);
        verdict.records += 1;
        progress.last_id = record.id;
    }
    progress.done = static_cast<std::int64_t>(records.size()) < kVerifyPage;
    const bool complete =
        verdict.head == head.hash && verdict.trimmed + verdict.records == head.length;
    if (progress.done && !complete) {
        verdict.broken = AuditBreak{progress.last_id, AuditFault::missing_end};
    }
    return ok();
}

Result<std::optional<AuditTrim>> trim_next_mesh(Transaction& tx, const std::string& after_mesh_id,
                                                UnixMillis before) {
    TRY(const auto row, tx.query_one("select mesh_id from mesh_audit_head where mesh_id > $1 "
                                     "order by mesh_id limit 1",
                                     {after_mesh_id}));
    if (!row) {
        return std::nullopt;
    }
    AuditTrim trim{row->text(0), 0};
    TRY(Head head, lock_head(tx, trim.mesh_id));
    TRY(const auto records, records_following(tx, trim.mesh_id, 0, AuditStore::kTrimBatch));
    std::int64_t last_id = 0;
    for (const AuditRecord& record : records) {
        if (record.created_at >= before) {
            break;
        }
        last_id = record.id;
        head.start_hash = record.hash;
        trim.removed += 1;
    }
    if (trim.removed > 0) {
        TRY_VOID(tx.execute("delete from mesh_audit where mesh_id = $1 and id <= $2",
                            {trim.mesh_id, last_id}));
        TRY_VOID(
            tx.execute("update mesh_audit_head set start_hash = $2, trimmed = $3 "
                       "where mesh_id = $1",
                       {trim.mesh_id, head.start_hash, head.trimmed + trim.removed}));
    }
    return trim;
}

}  // namespace

Result<void> append_audit(Transaction& tx, std::span<const AuditEntry> entries) {
    std::map<std::string, std::vector<const AuditEntry*>> by_mesh;
    for (const AuditEntry& entry : entries) {
        by_mesh[entry.mesh_id].push_back(&entry);
    }
    for (const auto& [mesh_id, of_mesh] : by_mesh) {
        TRY_VOID(append_to_mesh(tx, mesh_id, of_mesh));
    }
    return ok();
}

Task<Result<void>> AuditStore::append(std::vector<AuditEntry> entries) {
    auto write = [entries = std::move(entries)](Transaction& tx) {
        return append_audit(tx, entries);
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::vector<AuditRecord>>> AuditStore::latest(std::string mesh_id,
                                                          std::optional<std::int64_t> before,
                                                          std::int64_t limit) {
    constexpr std::int64_t kEnd = 9'007'199'254'740'992;
    auto read = [mesh_id = std::move(mesh_id), before = before.value_or(kEnd),
                 limit](Transaction& tx) {
        return read_records(tx,
                            "select " AUDIT_COLUMNS
                            " from mesh_audit "
                            "where mesh_id = $1 and id < $2 order by id desc limit $3",
                            mesh_id, before, limit);
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::vector<AuditRecord>>> AuditStore::following(std::string mesh_id,
                                                             std::int64_t after,
                                                             std::int64_t limit) {
    auto read = [mesh_id = std::move(mesh_id), after, limit](Transaction& tx) {
        return records_following(tx, mesh_id, after, limit);
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<AuditVerdict>> AuditStore::verify(std::string mesh_id) {
    if (verifies_) {
        co_return errors::busy("An audit log is being verified already; try again.");
    }
    const Running running(verifies_);
    Progress progress;
    while (!progress.done) {
        auto read = [mesh_id, progress](Transaction& tx) -> Result<Progress> {
            Progress next = progress;
            TRY_VOID(verify_page(tx, mesh_id, next));
            return next;
        };
        CO_TRY(progress, co_await database_.read(std::move(read)));
    }
    co_return std::move(progress.verdict);
}

Task<Result<std::optional<AuditTrim>>> AuditStore::trim(std::string after_mesh_id,
                                                        UnixMillis before) {
    auto write = [after_mesh_id = std::move(after_mesh_id), before](Transaction& tx) {
        return trim_next_mesh(tx, after_mesh_id, before);
    };
    co_return co_await database_.write(std::move(write));
}

}  // namespace nave::broker
