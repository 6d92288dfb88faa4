#include "broker/target.h"

#include "broker/groups.h"
#include "broker/hex_key.h"

namespace nave::broker {
namespace {

std::unexpected<Error> invalid(std::string message) {
    return fail(Code::invalid, "invalid_argument", std::move(message));
}

template <class Named>
Result<Target> named(std::string_view name, std::string_view what) {
    if (!is_name(name)) {
        return invalid(std::string(what) + " in targetSpec must be 1 to 64 visible characters.");
    }
    return Target(Named{std::string(name)});
}

struct TextOf {
    std::string operator()(const Key& key) const { return hex_key(key); }
    std::string operator()(const EveryoneTarget&) const { return "*"; }
    std::string operator()(const GroupTarget& target) const { return "@" + target.name; }
    std::string operator()(const TopicTarget& target) const { return "#" + target.name; }
};

}  // namespace

Result<Target> parse_target(std::string_view text) {
    if (text.empty()) {
        return invalid("targetSpec is empty.");
    }
    if (text == "*" || text == "@all") {
        return Target(EveryoneTarget{});
    }
    if (text.front() == '@') {
        return named<GroupTarget>(text.substr(1), "The group");
    }
    if (text.front() == '#') {
        return named<TopicTarget>(text.substr(1), "The topic");
    }
    if (const auto key = parse_hex_key(text)) {
        return Target(*key);
    }
    if (lower_hex_key(text)) {
        return invalid("A key in targetSpec must be in lower case.");
    }
    return invalid(
        "targetSpec must be a key of 64 hex characters, * or @all, @group, or #topic; "
        "names of peers are not resolved, list_peers has their keys.");
}

std::string target_text(const Target& target) {
    return std::visit(TextOf(), target);
}

bool is_direct(const Target& target) {
    return std::holds_alternative<Key>(target);
}

}  // namespace nave::broker
