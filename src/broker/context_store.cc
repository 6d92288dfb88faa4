#include "broker/context_store.h"

#include "broker/word_match.h"

namespace nave::broker {

using storage::Row;
using storage::Transaction;

namespace {

Result<void> each_context(Transaction& tx, const std::string& mesh_id, std::int64_t count_max,
                          const storage::RowVisitor& visit) {
    return tx.each(
        "select member_id, member_name, summary, tags, updated_at from mesh_context "
        "where mesh_id = $1 order by updated_at desc, member_id limit $2",
        {mesh_id, count_max}, visit);
}

WorkingContext read_short(const Row& row) {
    WorkingContext context;
    context.member_id = row.text(0);
    context.member_name = row.text(1);
    context.summary = row.text(2);
    context.tags = row.text(3);
    context.updated_at = row.integer(4);
    return context;
}

}  // namespace

Task<Result<void>> ContextStore::share(std::string mesh_id, WorkingContext context) {
    auto write = [mesh_id = std::move(mesh_id),
                  context = std::move(context)](Transaction& tx) -> Result<void> {
        TRY_VOID(tx.execute(
            "insert into mesh_context (mesh_id, member_id, member_name, summary, "
            "files_read, key_findings, tags, updated_at) "
            "values ($1, $2, $3, $4, $5, $6, $7, $8) "
            "on conflict (mesh_id, member_id) do update set "
            "member_name = excluded.member_name, summary = excluded.summary, "
            "files_read = excluded.files_read, key_findings = excluded.key_findings, "
            "tags = excluded.tags, updated_at = excluded.updated_at",
            {mesh_id, context.member_id, context.member_name, context.summary, context.files_read,
             context.key_findings, context.tags, context.updated_at}));
        return ok();
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::vector<WorkingContext>>> ContextStore::find(std::string mesh_id,
                                                             std::string query) {
    auto read = [mesh_id = std::move(mesh_id),
                 query = std::move(query)](Transaction& tx) -> Result<std::vector<WorkingContext>> {
        std::vector<WorkingContext> found;
        constexpr std::int64_t kAll = 1'000'000;
        TRY_VOID(each_context(tx, mesh_id, kAll, [&](const Row& row) -> Result<void> {
            if (found.size() < kResultsMax && holds_words(query, {row.text(2), row.text(3)})) {
                found.push_back(read_short(row));
            }
            return ok();
        }));
        for (WorkingContext& context : found) {
            TRY(const auto row, tx.query_one("select files_read, key_findings from mesh_context "
                                             "where mesh_id = $1 and member_id = $2",
                                             {mesh_id, context.member_id}));
            if (row) {
                context.files_read = row->text(0);
                context.key_findings = row->text(1);
            }
        }
        return found;
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::vector<WorkingContext>>> ContextStore::list(std::string mesh_id) {
    auto read = [mesh_id =
                     std::move(mesh_id)](Transaction& tx) -> Result<std::vector<WorkingContext>> {
        std::vector<WorkingContext> contexts;
        TRY_VOID(each_context(tx, mesh_id, kListMax, [&](const Row& row) -> Result<void> {
            contexts.push_back(read_short(row));
            return ok();
        }));
        return contexts;
    };
    co_return co_await database_.read(std::move(read));
}

}  // namespace nave::broker
