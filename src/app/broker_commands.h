// `nave broker ...`: meshes, invites, members and API keys, as an operator handles them from the
// command line. Works on the database, beside a running server or without one; a running server
// notices within about a second.
#pragma once

#include "runtime/settings.h"

#include <cstdint>
#include <string>

namespace nave::app {

// What the arguments of these commands were; each command reads its own.
struct BrokerOptions {
    std::string mesh;  // name of a new one, else id or slug
    std::string id;    // of a member, invite or API key
    std::string role = "member";
    std::int64_t uses = 1;
    std::int64_t hours = 168;
    std::string url;  // empty: BROKER_PUBLIC_URL, else this machine's port
    std::string member_id;
    std::string label;
    std::string may;        // send, receive or both
    std::int64_t days = 0;  // 0: until revoked
    bool as_json = false;
};

[[nodiscard]] int mesh_create_command(const Settings& settings, const BrokerOptions& options);
[[nodiscard]] int mesh_list_command(const Settings& settings, const BrokerOptions& options);
[[nodiscard]] int mesh_archive_command(const Settings& settings, const BrokerOptions& options);
// The token and its link go to stdout, and nowhere else.
[[nodiscard]] int invite_create_command(const Settings& settings, const BrokerOptions& options);
[[nodiscard]] int invite_list_command(const Settings& settings, const BrokerOptions& options);
[[nodiscard]] int invite_revoke_command(const Settings& settings, const BrokerOptions& options);
[[nodiscard]] int audit_verify_command(const Settings& settings, const BrokerOptions& options);
// One JSON object per line, the oldest record first.
[[nodiscard]] int audit_export_command(const Settings& settings, const BrokerOptions& options);
[[nodiscard]] int member_list_command(const Settings& settings, const BrokerOptions& options);
[[nodiscard]] int member_revoke_command(const Settings& settings, const BrokerOptions& options);
[[nodiscard]] int member_restore_command(const Settings& settings, const BrokerOptions& options);
// The token goes to stdout, and nowhere else.
[[nodiscard]] int key_create_command(const Settings& settings, const BrokerOptions& options);
[[nodiscard]] int key_list_command(const Settings& settings, const BrokerOptions& options);
[[nodiscard]] int key_revoke_command(const Settings& settings, const BrokerOptions& options);

}  // namespace nave::app
