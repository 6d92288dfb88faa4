#include "broker/skill_store.h"

#include "broker/word_match.h"

namespace nave::broker {

using storage::Row;
using storage::Transaction;

namespace {

using Outcome = SkillStore::Outcome;

Result<bool> is_there(Transaction& tx, const std::string& mesh_id, const std::string& name) {
    TRY(const auto row,
        tx.query_one("select 1 from mesh_skill where mesh_id = $1 and name = $2", {mesh_id, name}));
    return row.has_value();
}

}  // namespace

Task<Result<Outcome>> SkillStore::share(std::string mesh_id, Skill skill, SkillAuthor author) {
    auto write = [mesh_id = std::move(mesh_id), skill = std::move(skill),
                  author = std::move(author)](Transaction& tx) -> Result<Outcome> {
        TRY(const std::int64_t stored,
            tx.execute("insert into mesh_skill (mesh_id, name, description, instructions, tags, "
                       "shared_by, shared_by_name, created_at, updated_at) "
                       "select $1, $2, $3, $4, $5, $6, $7, $8, $8 "
                       "where (select count(*) from mesh_skill where mesh_id = $1 and name <> $2) "
                       "< $9 on conflict (mesh_id, name) do update set "
                       "description = excluded.description, instructions = excluded.instructions, "
                       "tags = excluded.tags, shared_by = excluded.shared_by, "
                       "shared_by_name = excluded.shared_by_name, "
                       "updated_at = excluded.updated_at "
                       "where mesh_skill.shared_by = excluded.shared_by or $10 = 1",
                       {mesh_id, skill.name, skill.description, skill.instructions, skill.tags,
                        author.member_id, skill.shared_by_name, skill.updated_at, kSkillsMax,
                        std::int64_t{author.is_admin}}));
        if (stored == 1) {
            return Outcome::done;
        }
        TRY(const bool there, is_there(tx, mesh_id, skill.name));
        return there ? Outcome::forbidden : Outcome::full;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<Outcome>> SkillStore::remove(std::string mesh_id, std::string name,
                                         SkillAuthor author) {
    auto write = [mesh_id = std::move(mesh_id), name = std::move(name),
                  author = std::move(author)](Transaction& tx) -> Result<Outcome> {
        TRY(const std::int64_t removed,
            tx.execute("delete from mesh_skill where mesh_id = $1 and name = $2 "
                       "and (shared_by = $3 or $4 = 1)",
                       {mesh_id, name, author.member_id, std::int64_t{author.is_admin}}));
        if (removed == 1) {
            return Outcome::done;
        }
        TRY(const bool there, is_there(tx, mesh_id, name));
        return there ? Outcome::forbidden : Outcome::not_found;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<std::optional<Skill>>> SkillStore::get(std::string mesh_id, std::string name) {
    auto read = [mesh_id = std::move(mesh_id),
                 name = std::move(name)](Transaction& tx) -> Result<std::optional<Skill>> {
        TRY(const auto row,
            tx.query_one("select name, description, instructions, tags, shared_by_name, "
                         "created_at, updated_at from mesh_skill where mesh_id = $1 and name = $2",
                         {mesh_id, name}));
        if (!row) {
            return std::nullopt;
        }
        return Skill{row->text(0), row->text(1),    row->text(2),   row->text(3),
                     row->text(4), row->integer(5), row->integer(6)};
    };
    co_return co_await database_.read(std::move(read));
}

Task<Result<std::vector<Skill>>> SkillStore::list(std::string mesh_id, std::string query) {
    auto read = [mesh_id = std::move(mesh_id),
                 query = std::move(query)](Transaction& tx) -> Result<std::vector<Skill>> {
        std::vector<Skill> skills;
        TRY_VOID(
            tx.each("select name, description, tags, shared_by_name, created_at, updated_at "
                    "from mesh_skill where mesh_id = $1 order by name",
                    {mesh_id}, [&](const Row& row) -> Result<void> {
                        if (holds_words(query, {row.text(0), row.text(1), row.text(2)})) {
                            skills.push_back({row.text(0),
                                              row.text(1),
                                              {},
                                              row.text(2),
                                              row.text(3),
                                              row.integer(4),
                                              row.integer(5)});
                        }
                        return ok();
                    }));
        return skills;
    };
    co_return co_await database_.read(std::move(read));
}

}  // namespace nave::broker
