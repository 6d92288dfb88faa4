#include "broker/memory_store.h"

#include "broker/memory_search.h"
#include "broker/test_store.h"
#include "storage/backup.h"

#include <fmt/format.h>

#include <algorithm>

namespace nave::broker {
namespace {

class MemoryStoreTest : public StoreTest {
  protected:
    Result<bool> remember(const std::string& mesh, const std::string& id,
                          const std::string& content) {
        Memory memory;
        memory.id = id;
        memory.content = content;
        memory.tags = R"(["a tag"])";
        memory.remembered_by = "member";
        memory.remembered_by_name = "Ada";
        memory.remembered_at = kTestNow;
        return run(MemoryStore(db()).remember(mesh, memory));
    }
    std::vector<std::string> recall(const std::string& mesh, const std::string& query) {
        const auto found = run(MemoryStore(db()).recall(mesh, query));
        EXPECT_TRUE(found) << found.error().detail;
        std::vector<std::string> ids;
        for (const Memory& memory : found.value_or(std::vector<Memory>())) {
            ids.push_back(memory.id);
        }
        return ids;
    }
};
BROKER_ON_EVERY_STORE(MemoryStoreTest);

using Ids = std::vector<std::string>;

TEST_P(MemoryStoreTest, IsFoundByItsWordsInAnyForm) {
    ASSERT_TRUE(remember("mesh", "1", "The deployment runs every Friday at noon").value());
    ASSERT_TRUE(remember("mesh", "2", "Databases are backed up nightly").value());
    EXPECT_EQ(recall("mesh", "deployments running"), Ids{"1"});
    EXPECT_EQ(recall("mesh", "BACKED database"), Ids{"2"});
    EXPECT_EQ(recall("mesh", "when is the deployment?"), Ids{"1"});
    EXPECT_EQ(recall("mesh", "deployment nightly"), Ids()) << "every word has to occur";
    EXPECT_EQ(recall("mesh", "what is the"), Ids()) << "nothing to search for";
    const auto found = run(MemoryStore(db()).recall("mesh", "noon")).value();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].content, "The deployment runs every Friday at noon");
    EXPECT_EQ(found[0].tags, R"(["a tag"])");
    EXPECT_EQ(found[0].remembered_by, "member");
    EXPECT_EQ(found[0].remembered_by_name, "Ada");
    EXPECT_EQ(found[0].remembered_at, kTestNow);
}

TEST_P(MemoryStoreTest, BestFirstThenYoungestFirst) {
    const std::string filler = " and much else that has nothing to do with it at all";
    ASSERT_TRUE(remember("mesh", "weak", "one parser" + filler + filler).value());
    ASSERT_TRUE(remember("mesh", "strong", "parser, parser, parser and parser").value());
    ASSERT_TRUE(remember("mesh", "weak too", "one parser" + filler + filler).value());
    EXPECT_EQ(recall("mesh", "parser"), (Ids{"strong", "weak too", "weak"}));
}

TEST_P(MemoryStoreTest, AtMostTwentyAreFound) {
    for (int i = 0; i < 25; ++i) {
        ASSERT_TRUE(remember("mesh", fmt::format("{}", i), "the same words again").value());
    }
    const Ids found = recall("mesh", "words");
    ASSERT_EQ(found.size(), 20U);
    EXPECT_EQ(found.front(), "24");
}

TEST_P(MemoryStoreTest, WhatIsForgottenIsGone) {
    ASSERT_TRUE(remember("mesh", "1", "alpha beta").value());
    ASSERT_TRUE(remember("mesh", "2", "alpha gamma").value());
    MemoryStore store(db());
    EXPECT_TRUE(run(store.forget("mesh", "1")).value());
    EXPECT_FALSE(run(store.forget("mesh", "1")).value());
    EXPECT_FALSE(run(store.forget("mesh", "unknown")).value());
    EXPECT_EQ(recall("mesh", "alpha"), Ids{"2"});
    EXPECT_EQ(recall("mesh", "beta"), Ids());
}

TEST_P(MemoryStoreTest, MeshesDoNotSeeEachOther) {
    ASSERT_TRUE(remember("meshA", "1", "a shared secret").value());
    ASSERT_TRUE(remember("mesha", "2", "a shared secret").value());
    EXPECT_EQ(recall("meshA", "secret"), Ids{"1"});
    EXPECT_EQ(recall("mesha", "secret"), Ids{"2"});
    EXPECT_EQ(recall("meshB", "secret"), Ids());
    EXPECT_FALSE(run(MemoryStore(db()).forget("meshB", "1")).value());
    EXPECT_EQ(recall("meshB", "mesha"), Ids()) << "the mesh's name is no word of the notes";
    EXPECT_EQ(recall("meshA", "meshA"), Ids());
}

TEST_P(MemoryStoreTest, QueriesAreWordsAndNeverSyntax) {
    ASSERT_TRUE(remember("other", "secret", "plain other words").value());
    ASSERT_TRUE(remember("mesh", "1", "plain words near here, content and more").value());
    for (const std::string query : {"\"",
                                    "\"\"",
                                    "'",
                                    "words\" OR mesh_id : \"other",
                                    "words OR",
                                    "NOT words",
                                    "(words",
                                    "words)",
                                    "wor*",
                                    "^words",
                                    "words NEAR(",
                                    "NEAR(plain words, 1)",
                                    "content : words",
                                    "mesh_id : other",
                                    "- words",
                                    "words + plain {",
                                    "words; drop table mesh_memory",
                                    "%",
                                    "\\",
                                    ":*",
                                    "words & plain |",
                                    "!words",
                                    "<->",
                                    "words <2> plain",
                                    "\xef\xbc\x82words",
                                    "...---...",
                                    "\xf0\x9f\x9a\x80",
                                    "$1",
                                    "?1",
                                    "and or not near"}) {
        for (const std::string& id : recall("mesh", query)) {
            EXPECT_EQ(id, "1") << query;
        }
    }
    EXPECT_EQ(recall("mesh", "\"words\" (plain) *"), Ids{"1"});
    EXPECT_EQ(recall("mesh", "wor*"), Ids()) << "no prefixes";
    EXPECT_EQ(recall("mesh", "content: words!"), Ids{"1"}) << "a word like any other";
    std::string many;
    for (int i = 0; i < 500; ++i) {
        many += "words ";
    }
    EXPECT_EQ(recall("mesh", many), Ids{"1"});
    EXPECT_EQ(recall("mesh", std::string(1'024, 'x')), Ids());
}

TEST_P(MemoryStoreTest, OtherLanguagesAreWordsToo) {
    ASSERT_TRUE(remember("mesh", "1",
                         "\xc3\x9c"
                         "bergabe am Montag")
                    .value());
    ASSERT_TRUE(
        remember("mesh", "2", "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 42").value());
    EXPECT_EQ(recall("mesh",
                     "\xc3\x9c"
                     "bergabe"),
              Ids{"1"});
    EXPECT_EQ(recall("mesh", "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82"), Ids{"2"});
    EXPECT_EQ(recall("mesh", "42"), Ids{"2"});
}

TEST_P(MemoryStoreTest, AMeshHoldsOnlySoMany) {
    const bool sqlite = GetParam() != storage::Store::postgres;
    script(sqlite
               ? "with recursive n (i) as (select 1 union all select i + 1 from n where "
                 "i < 9999) insert into mesh_memory (id, mesh_id, content, tags, remembered_by, "
                 "remembered_by_name, remembered_at) select 'm' || i, 'mesh', 'x', '[]', '', "
                 "'', 0 from n; insert into mesh_memory_text (mesh_memory_text) values ('rebuild')"
               : "insert into mesh_memory (id, mesh_id, content, tags, remembered_by, "
                 "remembered_by_name, remembered_at) select 'm' || i, 'mesh', 'x', '[]', '', "
                 "'', 0 from generate_series(1, 9999) i");
    EXPECT_TRUE(remember("mesh", "last", "fits").value());
    EXPECT_FALSE(remember("mesh", "more", "too many").value());
    EXPECT_EQ(recall("mesh", "many"), Ids());
    EXPECT_TRUE(remember("other", "elsewhere", "fits").value());
    ASSERT_TRUE(run(MemoryStore(db()).forget("mesh", "m1")).value());
    EXPECT_TRUE(remember("mesh", "more", "fits again").value());
}

TEST_P(MemoryStoreTest, ABackupBringsTheWordsBack) {
    ASSERT_TRUE(remember("mesh", "kept", "worth keeping").value());
    const std::vector<storage::ModuleTables> contents{{"broker", {"mesh_memory"}}};
    const auto file = directory_ / "backup.db";
    const auto saved = run(storage::backup(db(), contents, file, {kTestNow, "test"}));
    ASSERT_TRUE(saved) << saved.error().message << saved.error().detail;
    ASSERT_TRUE(run(MemoryStore(db()).forget("mesh", "kept")).value());
    ASSERT_TRUE(remember("mesh", "later", "worth nothing").value());
    const auto restored = run(storage::restore(db(), file, contents, &rebuild_words));
    ASSERT_TRUE(restored) << restored.error().message << restored.error().detail;
    EXPECT_EQ(recall("mesh", "worth"), Ids{"kept"});
    EXPECT_EQ(recall("mesh", "nothing"), Ids());
    ASSERT_TRUE(remember("mesh", "again", "worth more").value());
    EXPECT_EQ(recall("mesh", "worth").size(), 2U);
}

TEST(MemorySearch, TermsOfSqliteAreQuotedWords) {
    const auto term = [](std::string_view query) {
        return search_term(storage::Dialect::sqlite, "m1", query);
    };
    EXPECT_EQ(term("Deploy-key \"x\""),
              "mesh_id : \"m1\" AND content : \"Deploy\" AND content : \"key\" "
              "AND content : \"x\"");
    EXPECT_EQ(term("The AND or"), "");
    EXPECT_EQ(term(""), "");
    EXPECT_EQ(term("\xff\xfe \x80"), "");
    EXPECT_EQ(search_term(storage::Dialect::postgres, "m1", "as it is"), "as it is");
}

}  // namespace
}  // namespace nave::broker
