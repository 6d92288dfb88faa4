#include "broker/memory_search.h"

#include "base/text.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

namespace nave::broker {
namespace {

constexpr std::size_t kWordsMax = 32;

// Words too common to tell one English text from another; PostgreSQL's dictionary leaves such words
// out by itself. Sorted.
constexpr std::array<std::string_view, 119> kCommonWords{
    "a",       "about", "above",   "after", "again",  "against", "all",     "am",     "an",
    "and",     "any",   "are",     "as",    "at",     "be",      "because", "been",   "before",
    "being",   "below", "between", "both",  "but",    "by",      "can",     "did",    "do",
    "does",    "doing", "don",     "down",  "during", "each",    "few",     "for",    "from",
    "further", "had",   "has",     "have",  "having", "he",      "her",     "here",   "hers",
    "him",     "his",   "how",     "i",     "if",     "in",      "into",    "is",     "it",
    "its",     "just",  "me",      "more",  "most",   "my",      "no",      "nor",    "not",
    "now",     "of",    "off",     "on",    "once",   "only",    "or",      "other",  "our",
    "ours",    "out",   "over",    "own",   "s",      "same",    "she",     "should", "so",
    "some",    "such",  "t",       "than",  "that",   "the",     "their",   "theirs", "them",
    "then",    "there", "these",   "they",  "this",   "those",   "through", "to",     "too",
    "under",   "until", "up",      "very",  "was",    "we",      "were",    "what",   "when",
    "where",   "which", "while",   "who",   "whom",   "why",     "will",    "with",   "you",
    "your",    "yours",
};
static_assert(std::ranges::is_sorted(kCommonWords));

// What FTS5's tokenizer makes words of: letters, numbers and the marks on them.
bool is_word_character(utf8proc_int32_t code_point) {
    switch (utf8proc_category(code_point)) {
        case UTF8PROC_CATEGORY_LU:
        case UTF8PROC_CATEGORY_LL:
        case UTF8PROC_CATEGORY_LT:
        case UTF8PROC_CATEGORY_LM:
        case UTF8PROC_CATEGORY_LO:
        case UTF8PROC_CATEGORY_MN:
        case UTF8PROC_CATEGORY_MC:
        case UTF8PROC_CATEGORY_ND:
        case UTF8PROC_CATEGORY_NL:
        case UTF8PROC_CATEGORY_NO:
            return true;
        default:
            return false;
    }
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    std::string word;
    const auto end_word = [&] {
        if (!word.empty() && words.size() < kWordsMax &&
            !std::ranges::binary_search(kCommonWords, lower(word))) {
            words.push_back(word);
        }
        word.clear();
    };
    while (!text.empty()) {
        utf8proc_int32_t code_point = 0;
        const auto read = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                           static_cast<utf8proc_ssize_t>(text.size()), &code_point);
        const std::size_t size = read > 0 ? static_cast<std::size_t>(read) : 1;
        if (read > 0 && is_word_character(code_point)) {
            word.append(text.substr(0, size));
        } else {
            end_word();
        }
        text.remove_prefix(size);
    }
    end_word();
    return words;
}

}  // namespace

std::string search_term(storage::Dialect dialect, std::string_view mesh_id,
                        std::string_view query) {
    if (dialect == storage::Dialect::postgres) {
        return std::string(query);  // plainto_tsquery() takes it for words
    }
    std::string term;
    for (const std::string& word : words_of(query)) {
        // A quoted word is a string to FTS5, and no quote is part of a word.
        term += fmt::format(" AND content : \"{}\"", word);
    }
    return term.empty() ? term : fmt::format("mesh_id : \"{}\"{}", mesh_id, term);
}

std::string_view search_sql(storage::Dialect dialect) {
    // The weights of bm25() leave the mesh out of the rank.
    static constexpr std::string_view kSqlite =
        "select m.id, m.content, m.tags, m.remembered_by, m.remembered_by_name, m.remembered_at "
        "from mesh_memory_text join mesh_memory m on m.seq = mesh_memory_text.rowid "
        "where mesh_memory_text match $2 and m.mesh_id = $1 "
        "order by bm25(mesh_memory_text, 0.0, 1.0), m.seq desc limit $3";
    static constexpr std::string_view kPostgres =
        "select m.id, m.content, m.tags, m.remembered_by, m.remembered_by_name, m.remembered_at "
        "from mesh_memory m, plainto_tsquery('english', $2) query "
        "where m.words @@ query and m.mesh_id = $1 "
        "order by ts_rank(m.words, query) desc, m.seq desc limit $3";
    return dialect == storage::Dialect::sqlite ? kSqlite : kPostgres;
}

Result<void> add_words(storage::Transaction& tx, std::int64_t seq, const std::string& mesh_id,
                       const std::string& content) {
    if (tx.dialect() == storage::Dialect::sqlite) {
        TRY_VOID(
            tx.execute("insert into mesh_memory_text (rowid, mesh_id, content) values ($1, $2, $3)",
                       {seq, mesh_id, content}));
    }
    return ok();
}

Result<void> remove_words(storage::Transaction& tx, std::int64_t seq, const std::string& mesh_id,
                          const std::string& content) {
    if (tx.dialect() == storage::Dialect::sqlite) {
        TRY_VOID(
            tx.execute("insert into mesh_memory_text (mesh_memory_text, rowid, mesh_id, content) "
                       "values ('delete', $1, $2, $3)",
                       {seq, mesh_id, content}));
    }
    return ok();
}

Result<void> rebuild_words(storage::Transaction& tx) {
    if (tx.dialect() == storage::Dialect::sqlite) {
        TRY_VOID(tx.execute("insert into mesh_memory_text (mesh_memory_text) values ('rebuild')"));
    }
    return ok();
}

}  // namespace nave::broker
