// Meshes, members and invites as JSON objects: how the admin API and the command line show them.
// Never an owner's secret or a mesh's root key, but for a new invite, whose token holds the latter.
#pragma once

#include "base/json_writer.h"
#include "broker/admin.h"
#include "broker/audit_store.h"

#include <string>
#include <string_view>
#include <vector>

namespace nave::broker {

void append_mesh(std::string& out, const Mesh& mesh);
void append_member(std::string& out, const Member& member);
void append_invite(std::string& out, const Invite& invite);
void append_api_key(std::string& out, const ApiKey& key);
// With the token, which is shown this once.
void append_made_api_key(std::string& out, const MadeApiKey& made);
// With token and link.
void append_made_invite(std::string& out, const MadeInvite& made);

// A payload that is no JSON, which only somebody else can have put there, is shown as text.
void write_audit_record(json::ObjectWriter& writer, const AuditRecord& record);
void write_verdict(json::ObjectWriter& writer, const AuditVerdict& verdict);

// {"<name>":[...]}
template <class T>
[[nodiscard]] std::string list_json(std::string_view name, const std::vector<T>& items,
                                    void (*append_one)(std::string& out, const T& item)) {
    std::string list = "[";
    for (const T& item : items) {
        list.append(list.size() > 1 ? "," : "");
        append_one(list, item);
    }
    list.push_back(']');
    std::string text;
    json::ObjectWriter writer(text);
    writer.raw(name, list);
    writer.close();
    return text;
}

}  // namespace nave::broker
