// targetSpec: whom an envelope is for.
//
//   64 lower-case hex characters   the member or session with that key
//   *   or   @all                  everyone else in the mesh
//   @name                          the peers in that group, by exact name (groups.h)
//   #name                          the readers of that topic, by id or exact name
//
// A target is read once, into a value: nothing later takes a name for a pattern, a number or SQL.
// Display names are no targets; clients find the key in peers_list. Topics are understood here so
// that a sender can be told that there are none.
#pragma once

#include "base/result.h"
#include "broker/types.h"

#include <string>
#include <string_view>
#include <variant>

namespace nave::broker {

struct EveryoneTarget {
    friend bool operator==(const EveryoneTarget&, const EveryoneTarget&) = default;
};
struct GroupTarget {
    std::string name;
    friend bool operator==(const GroupTarget&, const GroupTarget&) = default;
};
struct TopicTarget {
    std::string name;
    friend bool operator==(const TopicTarget&, const TopicTarget&) = default;
};
using Target = std::variant<Key, EveryoneTarget, GroupTarget, TopicTarget>;

// Error: Code::invalid, id "invalid_argument", a message that says what would be right.
[[nodiscard]] Result<Target> parse_target(std::string_view text);
// The text that parses to this target; everyone is `*`.
[[nodiscard]] std::string target_text(const Target& target);
// To one key, rather than to many.
[[nodiscard]] bool is_direct(const Target& target);

}  // namespace nave::broker
