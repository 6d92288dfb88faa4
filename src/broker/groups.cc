#include "broker/groups.h"

#include "base/json_reader.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>

namespace nave::broker {
namespace {

bool can_be_seen(utf8proc_int32_t code_point) {
    switch (utf8proc_category(code_point)) {
        case UTF8PROC_CATEGORY_CN:
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_CO:
        case UTF8PROC_CATEGORY_ZL:
        case UTF8PROC_CATEGORY_ZP:
            return false;
        case UTF8PROC_CATEGORY_ZS:
            return code_point == ' ';
        default:
            return true;
    }
}

auto find_group(auto& groups, std::string_view name) {
    return std::ranges::find(groups, name, &Group::name);
}

std::unexpected<Error> invalid(std::string message) {
    return fail(Code::invalid, "invalid_argument", std::move(message));
}

static_assert(kNameBytesMax == 4 * kNameCharactersMax, "the widest character of UTF-8");

constexpr std::string_view kNameRule = "must be 1 to 64 visible characters";

}  // namespace

bool is_name(std::string_view text) {
    if (text.empty() || text.front() == ' ' || text.back() == ' ') {
        return false;
    }
    std::size_t characters = 0;
    while (!text.empty()) {
        utf8proc_int32_t code_point = 0;
        const auto read = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                           static_cast<utf8proc_ssize_t>(text.size()), &code_point);
        if (read <= 0 || !can_be_seen(code_point) || ++characters > kNameCharactersMax) {
            return false;
        }
        text.remove_prefix(static_cast<std::size_t>(read));
    }
    return true;
}

Result<void> join_group(Groups& groups, Group group) {
    if (!is_name(group.name)) {
        return invalid(fmt::format("A group's name {}.", kNameRule));
    }
    if (!group.role.empty() && !is_name(group.role)) {
        return invalid(fmt::format("A group's role {}.", kNameRule));
    }
    if (const auto at = find_group(groups, group.name); at != groups.end()) {
        at->role = std::move(group.role);
        return ok();
    }
    if (groups.size() >= kGroupsMax) {
        return invalid(fmt::format("A peer is in at most {} groups.", kGroupsMax));
    }
    groups.push_back(std::move(group));
    return ok();
}

bool leave_group(Groups& groups, std::string_view name) {
    const auto at = find_group(groups, name);
    if (at == groups.end()) {
        return false;
    }
    groups.erase(at);
    return true;
}

bool has_group(const Groups& groups, std::string_view name) {
    return find_group(groups, name) != groups.end();
}

Result<Groups> groups_from_json(const json::Value& list) {
    if (!list.is_array()) {
        return invalid("groups must be a list.");
    }
    const json::Array& entries = list.get_array();
    // Before anything is read: a list of a million repeats is refused as such.
    if (entries.size() > kGroupsMax) {
        return invalid(fmt::format("A peer is in at most {} groups.", kGroupsMax));
    }
    Groups groups;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (!entries[i].is_object()) {
            return invalid(fmt::format("groups[{}] must be an object.", i));
        }
        const json::Reader reader(entries[i].get_object(), fmt::format("groups[{}]", i));
        Group group;
        TRY(group.name, reader.text("name", kNameBytesMax));
        if (reader.has("role")) {
            TRY(group.role, reader.text("role", kNameBytesMax));
        }
        TRY_VOID(join_group(groups, std::move(group)));
    }
    return groups;
}

json::Array groups_to_json(const Groups& groups) {
    json::Array list;
    list.reserve(groups.size());
    for (const Group& group : groups) {
        json::Object entry;
        entry.emplace("name", group.name);
        if (!group.role.empty()) {
            entry.emplace("role", group.role);
        }
        list.emplace_back(std::move(entry));
    }
    return list;
}

Result<Groups> groups_from_text(std::string_view text) {
    TRY(const json::Value list, json::parse(text));
    return groups_from_json(list);
}

std::string groups_to_text(const Groups& groups) {
    return json::text(groups_to_json(groups));
}

}  // namespace nave::broker
