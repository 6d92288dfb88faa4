// Store: the directory's persistent state. Each call is one transaction, committed before it
// resumes, so that an answer given to a client survives kill -9.
//
// Implemented once in SQL for SQLite and PostgreSQL (store_*.cc). Errors: those of prekeys/errors
// for outcomes the protocol names, storage.* when the database fails.
#pragma once

#include "prekeys/kt/leaf.h"
#include "prekeys/types.h"
#include "prekeys/upload.h"
#include "storage/database.h"

#include <optional>
#include <string>
#include <vector>

namespace nave::prekeys {

// Limits a transaction enforces; from the settings.
struct StorePolicy {
    std::int64_t one_time_max = 200;
    std::int64_t kem_one_time_max = 100;
    std::int64_t addresses_per_identity_max = 16;
    std::int64_t reserve_percent = 20;  // of the stock after an upload, kept for identified callers
    std::int64_t low_threshold = 20;    // owners are told when their stock falls below it
    // From a signature's time on; longer than the widest skew that can be set, so that a server
    // whose skew was widened does not accept again what it has forgotten.
    std::int64_t replay_memory_ms = 3'660'000;
    std::int64_t tombstone_ms = 365LL * 24 * 3600 * 1000;
    bool touch_on_fetch = true;
};

// A verified signature, on its way into the replay table of the transaction it authorises.
struct AcceptedProof {
    UnixMillis signed_at = 0;
    Bytes signing_key;  // that made the signature; must still be the stored one
    std::vector<Bytes> replay_hashes;
};

struct StoredIdentity {
    IdentityKeys keys;
    std::optional<std::int64_t> registration_id;
};

struct UploadOutcome {
    UploadResults one_time;
    UploadResults kem_one_time;
    Stock stock;
};

struct EnrolOutcome {
    bool created = false;
    bool key_reused = false;  // the identity already has another address
    UploadOutcome upload;
    std::int64_t restore_epoch = 0;
};

struct RotationOutcome {
    KeyId signed_prekey_id = 0;
    std::optional<KeyId> last_resort_id;
};

// Everything public about an address, without consuming anything.
struct Profile {
    Address address;
    IdentityKeys keys;
    std::optional<std::int64_t> registration_id;
    SignedPreKey signed_prekey;
    std::optional<KemPreKey> last_resort;
    // Whether a stock ran out and the key went out in place of a one-time key. True until it is
    // replaced, because sessions started with it are only as safe as it is.
    bool signed_prekey_used_alone = false;
    bool last_resort_used_alone = false;
    [[nodiscard]] bool last_resort_used() const {
        return signed_prekey_used_alone || last_resort_used_alone;
    }
    Stock stock;
    // What the owner has been told of each stock since its last refill (store_claim.cc).
    std::int64_t one_time_told = 0;
    std::int64_t kem_told = 0;
    std::optional<UnixMillis> last_fetch_at;
};

struct CountOutcome {
    Stock stock;
    KeyId signed_prekey_id = 0;
    UnixMillis signed_prekey_created_at = 0;
    bool last_resort_used = false;
    std::int64_t restore_epoch = 0;
};

struct ClaimTarget {
    Address address;
    bool may_consume = true;          // false: over a budget, answer "withheld"
    std::optional<Bytes> claim_hash;  // idempotency: same hash, same bundle for ten minutes
};

struct ClaimedBundle {
    std::string json;       // the bundle as sent, without "kt"
    bool repeated = false;  // an idempotent claim answered from memory; nothing below is set
    Suite suite = Suite::x3dh_ed25519;
    OneTimeStatus one_time = OneTimeStatus::exhausted;
    KemStatus kem = KemStatus::none;
    Stock remaining;
    UnixMillis signed_prekey_created_at = 0;
    bool first_last_resort_use = false;  // lastResortUsed turned true
    // The first claim since a kind's last refill that left less than the low threshold, or none.
    bool first_low = false;
    bool first_exhausted = false;
};

// In request order; nullopt for an unknown address.
using ClaimOutcome = std::vector<std::optional<ClaimedBundle>>;

struct PurgedIdentity {
    Address address;
    IdentityKeys keys;
};

struct StoreTotals {
    std::array<std::int64_t, 5> identities_by_suite{};  // indexed by Suite
    std::int64_t one_time = 0;
    std::int64_t kem_one_time = 0;
    std::int64_t below_low_threshold = 0;
    std::int64_t exhausted = 0;
};

struct LowStockEntry {
    Address address;
    Suite suite = Suite::x3dh_ed25519;
    Stock stock;
    std::optional<UnixMillis> last_fetch_at;
    UnixMillis last_owner_activity_at = 0;
};

class Store {
  public:
    Store(storage::Database& database, StorePolicy policy) : database_(database), policy_(policy) {}

    // ---- owner writes (store_upload.cc) ----
    // `shuffle_seed` decides the issue order within the batch.
    // `index` names the address in the transparency log, should it be new there.
    Task<Result<EnrolOutcome>> enrol(Registration upload, AcceptedProof proof,
                                     kt::AddressIndex index, UnixMillis now,
                                     std::uint64_t shuffle_seed);
    Task<Result<EnrolOutcome>> rotate_identity(Registration next, AcceptedProof proof,
                                               UnixMillis now, std::uint64_t shuffle_seed);
    Task<Result<UploadOutcome>> replenish(Replenishment upload, AcceptedProof proof, UnixMillis now,
                                          std::uint64_t shuffle_seed);
    Task<Result<RotationOutcome>> rotate_signed_prekey(SignedPreKeyRotation upload,
                                                       AcceptedProof proof, UnixMillis now);
    Task<Result<void>> remove(Address address, AcceptedProof proof, UnixMillis now);

    // ---- fetches (store_claim.cc) ----
    // `requester`: a verified proof of an identified caller, consumed with the first claim.
    struct Requester {
        Address address;
        AcceptedProof proof;
    };
    Task<Result<ClaimOutcome>> claim(std::vector<ClaimTarget> targets,
                                     std::optional<Requester> requester, UnixMillis now);

    // ---- reads (store_read.cc) ----
    Task<Result<std::optional<StoredIdentity>>> identity(Address address);
    Task<Result<std::optional<Profile>>> profile(Address address);
    // With a proof the call is signed and consumes it.
    Task<Result<CountOutcome>> count(Address address, std::optional<AcceptedProof> proof,
                                     UnixMillis now);
    // The restore epoch.
    Task<Result<std::int64_t>> consume_proof(Address address, AcceptedProof proof, UnixMillis now);
    Task<Result<StoreTotals>> totals(std::int64_t low_threshold);
    Task<Result<std::vector<LowStockEntry>>> lowest_stock(std::int64_t limit);

    // ---- upkeep (store_cleanup.cc) ----
    // Removes up to `limit` identities without activity since `cutoff`, leaving tombstones.
    Task<Result<std::vector<PurgedIdentity>>> purge_stale_identities(UnixMillis cutoff,
                                                                     std::int64_t limit,
                                                                     UnixMillis now);
    Task<Result<std::int64_t>> count_stale_identities(UnixMillis cutoff);
    // Every expired replay entry and claim, old issued key, retired signed prekey and old
    // tombstone, in as many transactions as it takes, between which others go on.
    Task<Result<void>> forget_expired(UnixMillis now);
    Task<Result<bool>> release_tombstone(Address address);

    // The restore epoch, once after each restore and to one caller.
    Task<Result<std::optional<std::int64_t>>> announce_restore();

    // Makes a just-restored state safe, inside the restore's transaction: stored one-time keys may
    // have been handed out after the backup, so all are burnt, and the epoch tells the clients.
    static Result<void> after_restore(storage::Transaction& tx, UnixMillis now);

    [[nodiscard]] const StorePolicy& policy() const { return policy_; }

  private:
    storage::Database& database_;
    StorePolicy policy_;
};

}  // namespace nave::prekeys
