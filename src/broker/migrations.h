// The service's schema history; scripts live in migrations/ and are embedded at build.
#pragma once

#include "storage/migrations.h"

#include <array>
#include <string_view>

namespace nave::broker {

[[nodiscard]] storage::MigrationSet migrations();

// Every table, in an order that a restore can fill.
inline constexpr std::array<std::string_view, 7> kTables{
    "mesh_mesh",    "mesh_member",   "mesh_session_key", "mesh_invite",
    "mesh_message", "mesh_delivery", "mesh_state",
};

}  // namespace nave::broker
