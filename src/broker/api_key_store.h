// ApiKeyStore: bearer keys by which a member sends and receives over plain HTTP. A key acts as its
// member, under the member's own Ed25519 key. Only hashes of the tokens are kept.
#pragma once

#include "base/result.h"
#include "broker/types.h"
#include "runtime/task.h"
#include "storage/database.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace nave::broker {

struct ApiKey {
    std::string id;
    std::string mesh_id;
    std::string member_id;
    std::string label;
    bool may_send = false;
    bool may_receive = false;
    UnixMillis created_at = 0;
    std::optional<UnixMillis> expires_at;
    std::optional<UnixMillis> revoked_at;
};

// SHA-256 of a token.
using TokenHash = ByteArray<32>;

class ApiKeyStore {
  public:
    explicit ApiKeyStore(storage::Database& database) : database_(database) {}

    // Error "not_found" when the mesh has no such member, or it was removed.
    Task<Result<void>> create(ApiKey key, TokenHash token);
    // Those that may be used: not revoked, not expired, of a mesh that is not archived and a member
    // that was not removed.
    Task<Result<std::optional<ApiKey>>> find(TokenHash token, UnixMillis now);
    // All of a mesh, by time.
    Task<Result<std::vector<ApiKey>>> list(std::string mesh_id);
    // Nullopt when the mesh has no such key. A second time changes nothing.
    Task<Result<std::optional<ApiKey>>> revoke(std::string mesh_id, std::string id, UnixMillis now);

    // Keys revoked since the backup must not come back: all of them end.
    [[nodiscard]] static Result<void> after_restore(storage::Transaction& tx, UnixMillis now);

  private:
    storage::Database& database_;
};

}  // namespace nave::broker
