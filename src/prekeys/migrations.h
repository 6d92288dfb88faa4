// The service's schema history; scripts live in migrations/ and are embedded at build.
#pragma once

#include "storage/migrations.h"

#include <array>
#include <string_view>

namespace nave::prekeys {

[[nodiscard]] storage::MigrationSet migrations();

// Every table, in an order that a restore can fill.
inline constexpr std::array<std::string_view, 12> kTables{
    "shade_server_identities",     "shade_server_signed_prekeys", "shade_server_one_time_prekeys",
    "shade_server_former_prekeys", "shade_server_claims",         "shade_server_replay",
    "shade_server_tombstones",     "shade_server_state",          "shade_server_kt_leaves",
    "shade_server_kt_nodes",       "shade_server_kt_head",        "shade_server_kt_checkpoints",
};

}  // namespace nave::prekeys
