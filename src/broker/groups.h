// Groups of a presence: the names that `@name` reaches it by, each with an optional role.
//
// Names and roles are data. A name is 1 to 64 characters of UTF-8 (at most 256 bytes) that can be
// seen: letters, marks, digits, punctuation, symbols, and single-width spaces (U+0020) inside; no
// controls, no invisible or direction-changing characters, no other spaces, nothing private or
// unassigned. Quotes, slashes, `@`, `%` or SQL are as good as any letter. Two names are the same
// only when their bytes are: no case folding, no normalisation, no parents and children.
//
// `all` may be joined like any group, but `@all` reaches everyone (target.h).
// Errors: Code::invalid, id "invalid_argument".
#pragma once

#include "base/json.h"
#include "base/result.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace nave::broker {

inline constexpr std::size_t kGroupsMax = 64;
inline constexpr std::size_t kNameCharactersMax = 64;
inline constexpr std::size_t kNameBytesMax = 256;

struct Group {
    std::string name;
    std::string role;  // empty: none

    friend bool operator==(const Group&, const Group&) = default;
};

// In the order in which they were joined, no name twice.
using Groups = std::vector<Group>;

// The rule above; topics (target.h) and roles follow it too.
[[nodiscard]] bool is_name(std::string_view text);

// Adds the group, or replaces its role; without a role the former one is forgotten.
[[nodiscard]] Result<void> join_group(Groups& groups, Group group);
// False when it was not there.
bool leave_group(Groups& groups, std::string_view name);
[[nodiscard]] bool has_group(const Groups& groups, std::string_view name);

// [{"name":"...","role":"..."}]: the wire form and the stored form. Of equal names the last counts;
// a role that is null or empty is none; other members are ignored.
[[nodiscard]] Result<Groups> groups_from_json(const json::Value& list);
[[nodiscard]] json::Array groups_to_json(const Groups& groups);
[[nodiscard]] Result<Groups> groups_from_text(std::string_view text);
[[nodiscard]] std::string groups_to_text(const Groups& groups);

}  // namespace nave::broker
