// The service's schema history; scripts live in migrations/ and are embedded at build.
#pragma once

#include "storage/migrations.h"

#include <array>
#include <string_view>

namespace nave::broker {

[[nodiscard]] storage::MigrationSet migrations();

// Every table that a backup takes along, in an order that a restore can fill. Not the tables of
// who is connected at which node.
inline constexpr auto kTables = std::to_array<std::string_view>({
    "mesh_mesh",
    "mesh_member",
    "mesh_session_key",
    "mesh_invite",
    "mesh_live_list",
    "mesh_message",
    "mesh_delivery",
    "mesh_state",
    "mesh_memory",
    "mesh_api_key",
    "mesh_task",
    "mesh_skill",
    "mesh_context",
    "mesh_audit",
    "mesh_audit_head",
    "mesh_schedule",
});

// In the transaction of a restore, after the rows are in place.
[[nodiscard]] Result<void> after_restore(storage::Transaction& tx, UnixMillis now);

}  // namespace nave::broker
