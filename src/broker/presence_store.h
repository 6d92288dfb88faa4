// PresenceStore: who is connected at which node, for several nodes on one database. One method is
// one transaction.
//
// A node is alive while its row is seen to change; the times of that are the database's, so that no
// node's clock decides. A presence belongs to one node and is changed by it alone, but for three
// things that any node may do: take it over because its peer has come back elsewhere, end it
// because its place is needed, and bury a dead node with all it had.
#pragma once

#include "base/result.h"
#include "broker/handshake.h"
#include "broker/presence.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nave::broker {

inline constexpr std::chrono::milliseconds kNodeDeadAfter{10'000};

struct PresenceRow {
    std::string id;
    std::string node;
    std::string mesh_id;
    std::string member_id;
    Key member_key{};
    std::optional<Key> session_key;
    Profile profile;
    StatusRecord status;
    UnixMillis connected_at = 0;
    std::optional<UnixMillis> lease_ends_at;
    std::int64_t version = 1;
    std::int64_t arrivals = 1;
};

[[nodiscard]] std::string profile_to_text(const Profile& profile);
[[nodiscard]] Result<Profile> profile_from_text(std::string_view text);

// What a replay of a hello is known by, and until when it could pass again.
struct HelloStamp {
    ReplayKey key{};
    UnixMillis until = 0;
};

struct ArrivalRequest {
    PresenceRow row;                  // as it is when the peer is new
    std::optional<HelloStamp> hello;  // that must not have come before
    std::size_t capacity = 0;         // of the mesh
};

struct ArrivalOutcome {
    enum class Kind : std::uint8_t { added, resumed, replayed, full, no_mesh };
    Kind kind = Kind::added;
    PresenceRow row;                 // added or resumed
    std::string former_node;         // resumed
    std::vector<PresenceRow> ended;  // that made room: the same session before, or a long leave
};

struct Beat {
    bool registered = false;          // false: others have buried this node
    bool others_degraded = false;     // some node cannot publish: it does not wake us
    std::vector<std::string> buried;  // nodes
};

struct Departure {
    std::string id;
    std::int64_t arrivals = 0;
};

struct ChangeOutcome {
    // In the order of the rows; nullopt: the presence is not this node's any more.
    std::vector<std::optional<std::int64_t>> versions;
    std::vector<std::string> deleted;
};

class PresenceStore {
  public:
    PresenceStore(storage::Database& database, std::string node)
        : database_(database), node_(std::move(node)) {}

    // Also after the node was buried, with the presences it has: returns those that are not its own
    // any more.
    Task<Result<std::vector<std::string>>> register_node(std::vector<PresenceRow> rows);
    // Every few seconds. Buries nodes that were not seen for kNodeDeadAfter, unless this one itself
    // was not alive so long.
    Task<Result<Beat>> beat(bool degraded, UnixMillis now);
    // The node stops: as if it were dead.
    Task<Result<void>> bury_self();

    // Replay, resumption, capacity and the new row in one step, one at a time per mesh.
    Task<Result<ArrivalOutcome>> arrive(ArrivalRequest request);
    // Status, profile and lease of presences of this node, and those that are over.
    Task<Result<ChangeOutcome>> change(std::vector<PresenceRow> rows, std::vector<Departure> gone);
    // Of all nodes; of one mesh, or of all when it is empty.
    Task<Result<std::vector<PresenceRow>>> all(std::string mesh_id);
    // Presences of this node for which something may be waiting.
    Task<Result<std::vector<std::string>>> with_work(UnixMillis now);

  private:
    storage::Database& database_;
    std::string node_;
};

}  // namespace nave::broker
