// SQL pieces that several store_*.cc files share. Private to the store.
#pragma once

#include "prekeys/store.h"
#include "storage/transaction.h"

#include <optional>

namespace nave::prekeys::sql {

inline constexpr std::int64_t kCurve = 0;  // `kind` of EC keys
inline constexpr std::int64_t kKem = 1;    // `kind` of KEM keys

// Enters the proof into the replay table. Error SHADE_REPLAY when it was there.
[[nodiscard]] Result<void> consume(storage::Transaction& tx, const AcceptedProof& proof,
                                   const StorePolicy& policy);
// Whether other writers of the identity wait until this transaction ends. Every write on an
// owner's behalf asks for it: its keys must not land under an identity that was rotated or removed
// meanwhile. SQLite has one writer, and so no need.
enum class RowLock : std::uint8_t { none, exclusive };
// The identity that must exist and must still be the one whose key made the proof.
// Errors SHADE_NOT_FOUND, SHADE_BAD_REQUEST_SIGNATURE.
[[nodiscard]] Result<StoredIdentity> require_signer(storage::Transaction& tx,
                                                    const Address& address,
                                                    const AcceptedProof& proof,
                                                    RowLock lock = RowLock::exclusive);
[[nodiscard]] Result<std::optional<StoredIdentity>> find_identity(storage::Transaction& tx,
                                                                  const Address& address,
                                                                  RowLock lock = RowLock::none);
// Without stock both counts are 0: they cost as much as there are keys.
enum class WithStock : std::uint8_t { no, yes };
[[nodiscard]] Result<std::optional<Profile>> find_profile(storage::Transaction& tx,
                                                          const Address& address,
                                                          WithStock with_stock = WithStock::yes);
[[nodiscard]] Result<std::int64_t> restore_epoch(storage::Transaction& tx);

// Taken first by every transaction that touches an address's prekeys, so that none waits for rows
// of another that waits for it: claims together, an owner's upload, rotation or removal alone.
// Waits in turn, so that a stream of claims cannot hold up the owner. SQLite has one writer, and so
// no need.
enum class Turn : std::uint8_t { claim, owner };
[[nodiscard]] Result<void> await_turn(storage::Transaction& tx, const Address& address, Turn turn);
// The owner's turn if it is free at once, for a transaction that holds other locks already.
[[nodiscard]] Result<bool> try_owner_turn(storage::Transaction& tx, const Address& address);
// Whether an address can hold keys already. Made in this transaction it holds none, which saves
// looking for them.
enum class Newness : std::uint8_t { known, made_here };
// Stores a batch and says what became of each key; shuffles the issue order and marks what of the
// stock is kept for identified callers (store_batch.cc).
[[nodiscard]] Result<UploadOutcome> store_batch(storage::Transaction& tx, const Address& address,
                                                const KeyBatch& batch, UploadMode mode,
                                                Newness newness, UnixMillis now,
                                                std::uint64_t shuffle_seed,
                                                const StorePolicy& policy);
// Key ids belong to an identity. When an address passes from one to another, the issued ids of the
// former are put aside, its stock is dropped, and what the next once issued here comes back.
[[nodiscard]] Result<void> change_issuer(storage::Transaction& tx, const Address& address,
                                         ByteView former_key_hash, ByteView next_key_hash);
// The last part alone, for an address that holds no key of anybody.
[[nodiscard]] Result<void> restore_issued(storage::Transaction& tx, const Address& address,
                                          ByteView key_hash);
// Makes the key the one that is served; the one before is kept, retired, for thirty days.
[[nodiscard]] Result<void> serve_signed_prekey(storage::Transaction& tx, const Address& address,
                                               const SignedPreKey& key, UnixMillis now,
                                               Newness newness = Newness::known);
[[nodiscard]] Result<void> serve_last_resort(storage::Transaction& tx, const Address& address,
                                             const KemPreKey& key, UnixMillis now,
                                             Newness newness = Newness::known);
// Removes an identity and every key that was not handed out; leaves a tombstone and a log entry of
// that kind (delete_identity or purge).
[[nodiscard]] Result<void> erase_identity(storage::Transaction& tx, const Address& address,
                                          const IdentityKeys& keys, kt::EventKind kind,
                                          UnixMillis now);
// Suite, keys and DH signature from four columns starting at `column`.
[[nodiscard]] IdentityKeys identity_keys(const storage::Row& row, std::size_t column);

}  // namespace nave::prekeys::sql
