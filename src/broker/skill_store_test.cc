#include "broker/skill_store.h"

#include "broker/context_store.h"
#include "broker/test_store.h"

#include <fmt/format.h>

namespace nave::broker {
namespace {

using Outcome = SkillStore::Outcome;
using Names = std::vector<std::string>;

class SkillStoreTest : public StoreTest {
  protected:
    Outcome share(const std::string& name, const std::string& member, bool is_admin = false,
                  const std::string& mesh = "mesh", const std::string& tags = "[]") {
        Skill skill{name, "about " + name, "do " + name, tags, "name of " + member, 0, ++time_};
        return run(SkillStore(db()).share(mesh, std::move(skill), {member, is_admin})).value();
    }
    Outcome remove(const std::string& name, const std::string& member, bool is_admin = false) {
        return run(SkillStore(db()).remove("mesh", name, {member, is_admin})).value();
    }
    std::optional<Skill> get(const std::string& name, const std::string& mesh = "mesh") {
        return run(SkillStore(db()).get(mesh, name)).value();
    }
    Names list(const std::string& query = {}) {
        Names names;
        for (const Skill& skill : run(SkillStore(db()).list("mesh", query)).value()) {
            EXPECT_TRUE(skill.instructions.empty());
            names.push_back(skill.name);
        }
        return names;
    }
    UnixMillis time_ = kTestNow;
};
BROKER_ON_EVERY_STORE(SkillStoreTest);

TEST_P(SkillStoreTest, OnlyItsAuthorOrAnAdminChangesASkill) {
    EXPECT_EQ(share("review", "ada"), Outcome::done);
    EXPECT_EQ(share("review", "eve"), Outcome::forbidden);
    EXPECT_EQ(get("review")->shared_by_name, "name of ada");
    EXPECT_EQ(share("review", "ada"), Outcome::done);
    const Skill skill = get("review").value();
    EXPECT_EQ(skill.description, "about review");
    EXPECT_EQ(skill.instructions, "do review");
    EXPECT_EQ(skill.created_at, kTestNow + 1);
    EXPECT_EQ(skill.updated_at, kTestNow + 3);
    EXPECT_EQ(remove("review", "eve"), Outcome::forbidden);
    EXPECT_EQ(share("review", "root", true), Outcome::done);
    EXPECT_EQ(get("review")->shared_by_name, "name of root");
    EXPECT_EQ(share("review", "ada"), Outcome::forbidden) << "it is the admin's now";
    EXPECT_EQ(remove("review", "other admin", true), Outcome::done);
    EXPECT_EQ(remove("review", "other admin", true), Outcome::not_found);
    EXPECT_FALSE(get("review"));
    EXPECT_EQ(share("review", "eve"), Outcome::done);
}

TEST_P(SkillStoreTest, ListsByNameWhatHoldsTheWords) {
    share("b", "ada", false, "mesh", R"(["Ops","deploy now"])");
    share("a", "ada");
    share("c", "ada", false, "other");
    EXPECT_EQ(list(), (Names{"a", "b"}));
    EXPECT_EQ(list("ABOUT a"), (Names{"a", "b"})) << "in any order, as part of a word too";
    EXPECT_EQ(list("ops deploy"), (Names{"b"}));
    EXPECT_EQ(list("%"), (Names{}));
    EXPECT_FALSE(get("c"));
    EXPECT_TRUE(get("c", "other"));
}

TEST_P(SkillStoreTest, AMeshHoldsOnlySoMany) {
    const bool sqlite = GetParam() != storage::Store::postgres;
    script(std::string(sqlite ? "with recursive n (i) as (select 1 union all select i + 1 from n "
                                "where i < 1000) "
                              : "") +
           "insert into mesh_skill (mesh_id, name, description, instructions, tags, shared_by, "
           "shared_by_name, created_at, updated_at) select 'mesh', 's' || i, '', '', '[]', 'ada', "
           "'', 0, 0 from " +
           (sqlite ? "n" : "generate_series(1, 1000) i"));
    EXPECT_EQ(share("more", "ada"), Outcome::full);
    EXPECT_EQ(share("s1", "ada"), Outcome::done) << "one that is there can be replaced";
    EXPECT_EQ(share("s1", "eve"), Outcome::forbidden);
    EXPECT_EQ(remove("s1", "ada"), Outcome::done);
    EXPECT_EQ(share("more", "ada"), Outcome::done);
}

class ContextStoreTest : public StoreTest {
  protected:
    void share(const std::string& member, const std::string& summary, UnixMillis at,
               const std::string& tags = "[]", const std::string& mesh = "mesh") {
        WorkingContext context{
            member, "name of " + member, summary, R"(["a.cc"])", R"(["it leaks"])", tags, at};
        ASSERT_TRUE(run(ContextStore(db()).share(mesh, std::move(context))));
    }
    Names find(const std::string& query) {
        return members(run(ContextStore(db()).find("mesh", query)).value());
    }
    static Names members(const std::vector<WorkingContext>& contexts) {
        Names names;
        for (const WorkingContext& context : contexts) {
            names.push_back(context.member_id);
        }
        return names;
    }
};
BROKER_ON_EVERY_STORE(ContextStoreTest);

TEST_P(ContextStoreTest, OnePerMemberFoundBySummaryAndTags) {
    share("ada", "Fixing the parser", kTestNow);
    share("bob", "Reading the lexer", kTestNow + 1, R"(["parser"])");
    share("eve", "parser", kTestNow + 2, "[]", "other");
    EXPECT_EQ(find("PARSER"), (Names{"bob", "ada"}));
    EXPECT_EQ(find("fixing parser"), (Names{"ada"}));
    EXPECT_EQ(find("leaks"), (Names{})) << "findings are not searched";
    share("ada", "Lunch", kTestNow + 3);
    EXPECT_EQ(find("parser"), (Names{"bob"}));
    const auto all = run(ContextStore(db()).list("mesh")).value();
    EXPECT_EQ(members(all), (Names{"ada", "bob"}));
    EXPECT_EQ(all[0].summary, "Lunch");
    EXPECT_EQ(all[0].files_read, "[]");
    const auto found = run(ContextStore(db()).find("mesh", "lunch")).value();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].files_read, R"(["a.cc"])");
    EXPECT_EQ(found[0].key_findings, R"(["it leaks"])");
    EXPECT_EQ(found[0].member_name, "name of ada");
    EXPECT_EQ(found[0].updated_at, kTestNow + 3);
}

TEST_P(ContextStoreTest, AtMostTwentyAreFound) {
    for (int i = 0; i < 25; i += 1) {
        share(fmt::format("m{:02}", i), "the same", kTestNow + i);
    }
    const Names found = find("same");
    EXPECT_EQ(found.size(), 20U);
    EXPECT_EQ(found.front(), "m24");
    EXPECT_EQ(run(ContextStore(db()).list("mesh")).value().size(), 25U);
}

}  // namespace
}  // namespace nave::broker
