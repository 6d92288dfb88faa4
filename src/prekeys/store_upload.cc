#include "crypto/hash.h"
#include "prekeys/errors.h"
#include "prekeys/kt_log.h"
#include "prekeys/store.h"
#include "prekeys/store_sql.h"

#include <fmt/format.h>

#include <cstring>

namespace nave::prekeys {

using storage::Row;
using storage::Transaction;

namespace sql {
namespace {

Result<void> serve(Transaction& tx, const Address& address, std::int64_t kind,
                   const std::string& algorithm, KeyId id, const Bytes& public_key,
                   const Bytes& signature, UnixMillis created_at, UnixMillis now, Newness newness) {
    std::optional<Row> current;
    if (newness == Newness::known) {
        TRY(current,
            tx.query_one("select key_id, public_key, algorithm from shade_server_signed_prekeys "
                         "where address = $1 and kind = $2 and retired_at is null",
                         {address.text(), kind}));
    }
    if (current && current->integer(0) == id) {
        // One KEM key under another label is another key: the label is signed and decides its use.
        if (current->bytes(1) != public_key || current->text(2) != algorithm) {
            return errors::contradicting_field(
                kind == kCurve ? "signedPreKey.keyId" : "kemLastResortPreKey.keyId",
                "is in use by another key; a new key needs a new id");
        }
        TRY_VOID(
            tx.execute("update shade_server_signed_prekeys set signature = $3, "
                       "created_at = $4 where address = $1 and kind = $2 "
                       "and retired_at is null",
                       {address.text(), kind, signature, created_at}));
        return ok();
    }
    if (current) {
        TRY_VOID(
            tx.execute("update shade_server_signed_prekeys set retired_at = $3 "
                       "where address = $1 and kind = $2 and retired_at is null",
                       {address.text(), kind, now}));
    }
    TRY_VOID(tx.execute(
        "insert into shade_server_signed_prekeys (address, kind, key_id, algorithm, public_key, "
        "signature, created_at, uploaded_at) values ($1, $2, $3, $4, $5, $6, $7, $8) "
        "on conflict (address, kind, key_id) do update set "
        // A former key that is served again is as used as it was.
        "used_alone_at = case "
        "when shade_server_signed_prekeys.public_key = excluded.public_key "
        "and shade_server_signed_prekeys.algorithm = excluded.algorithm "
        "then shade_server_signed_prekeys.used_alone_at end, "
        "algorithm = excluded.algorithm, public_key = excluded.public_key, "
        "signature = excluded.signature, created_at = excluded.created_at, "
        "uploaded_at = excluded.uploaded_at, retired_at = null",
        {address.text(), kind, id, algorithm, public_key, signature, created_at, now}));
    return ok();
}

}  // namespace

Result<void> serve_signed_prekey(Transaction& tx, const Address& address, const SignedPreKey& key,
                                 UnixMillis now, Newness newness) {
    static const std::string kNone;
    return serve(tx, address, kCurve, kNone, key.id, key.public_key, key.signature, key.created_at,
                 now, newness);
}

Result<void> serve_last_resort(Transaction& tx, const Address& address, const KemPreKey& key,
                               UnixMillis now, Newness newness) {
    return serve(tx, address, kKem, key.algorithm, key.id, key.public_key, key.signature, now, now,
                 newness);
}

Result<void> change_issuer(Transaction& tx, const Address& address, ByteView former_key_hash,
                           ByteView next_key_hash) {
    TRY_VOID(
        tx.execute("insert into shade_server_former_prekeys "
                   "(address, signing_key_hash, kind, key_id, issued_at) "
                   "select address, $2, kind, key_id, issued_at from shade_server_one_time_prekeys "
                   "where address = $1 and issued_at is not null",
                   {address.text(), former_key_hash}));
    TRY_VOID(tx.execute("delete from shade_server_one_time_prekeys where address = $1",
                        {address.text()}));
    return restore_issued(tx, address, next_key_hash);
}

Result<void> restore_issued(Transaction& tx, const Address& address, ByteView key_hash) {
    // Without bytes: an upload of such an id is `consumed`, whatever it holds.
    TRY(const std::int64_t restored,
        tx.execute("insert into shade_server_one_time_prekeys "
                   "(address, kind, key_id, public_key, uploaded_at, issued_at) "
                   "select address, kind, key_id, $3, issued_at, issued_at from "
                   "shade_server_former_prekeys "
                   "where address = $1 and signing_key_hash = $2",
                   {address.text(), key_hash, ByteView()}));
    if (restored > 0) {
        TRY_VOID(
            tx.execute("delete from shade_server_former_prekeys "
                       "where address = $1 and signing_key_hash = $2",
                       {address.text(), key_hash}));
    }
    return ok();
}

Result<void> erase_identity(Transaction& tx, const Address& address, const IdentityKeys& keys,
                            kt::EventKind kind, UnixMillis now) {
    TRY_VOID(
        tx.execute("delete from shade_server_identities where address = $1", {address.text()}));
    TRY_VOID(
        tx.execute("delete from shade_server_signed_prekeys where address = $1", {address.text()}));
    TRY_VOID(
        tx.execute("delete from shade_server_one_time_prekeys "
                   "where address = $1 and issued_at is null",
                   {address.text()}));
    const auto key_hash = crypto::sha256(keys.signing_key);
    TRY_VOID(
        tx.execute("insert into shade_server_tombstones (address, signing_key_hash, at, reason) "
                   "values ($1, $2, $3, $4) on conflict (address) do update set "
                   "signing_key_hash = excluded.signing_key_hash, at = excluded.at, "
                   "reason = excluded.reason, released = 0",
                   {address.text(), ByteView(key_hash), now, kt::event_name(kind)}));
    TRY_VOID(log_event(tx, kind, address, keys, std::nullopt, now));
    return erase_openings(tx, address);
}

}  // namespace sql

namespace {

// A name that was removed returns at once to the same key, to another only after quarantine.
// The hash of the key that had it, if one is remembered.
Result<std::optional<Bytes>> pass_tombstone(Transaction& tx, const Registration& upload,
                                            ByteView key_hash, UnixMillis now,
                                            const StorePolicy& policy) {
    TRY(const auto row,
        tx.query_one("select signing_key_hash, at, released from shade_server_tombstones "
                     "where address = $1",
                     {upload.address.text()}));
    if (!row) {
        return std::nullopt;
    }
    const bool closed = row->integer(2) == 0 && row->integer(1) + policy.tombstone_ms > now;
    if (closed && !equal(row->bytes(0), key_hash)) {
        return errors::tombstoned();
    }
    TRY_VOID(tx.execute("delete from shade_server_tombstones where address = $1",
                        {upload.address.text()}));
    return row->bytes(0);
}

// Whether the identity already has another address. Error SHADE_LIMIT_EXCEEDED for one too many.
Result<bool> admit_address(Transaction& tx, const Address& address, const Bytes& signing_key,
                           const StorePolicy& policy) {
    if (tx.dialect() == storage::Dialect::postgres) {
        // Registrations of one key count each other only when they come one after the other.
        const auto digest = crypto::sha256(signing_key);
        std::int64_t lock = 0;
        std::memcpy(&lock, digest.data(), sizeof lock);
        TRY_VOID(tx.query("select 1 from (select pg_advisory_xact_lock($1)) as locked", {lock}));
    }
    TRY(const auto used, tx.query_one("select count(*) from shade_server_identities "
                                      "where signing_key = $1 and address <> $2",
                                      {signing_key, address.text()}));
    if (used->integer(0) >= policy.addresses_per_identity_max) {
        return errors::limit_exceeded(fmt::format("One identity may have at most {} addresses.",
                                                  policy.addresses_per_identity_max));
    }
    return used->integer(0) > 0;
}

struct Inserted {
    bool made = false;        // false: another transaction was faster
    bool key_reused = false;  // the identity already had an address
};

Result<Inserted> insert_identity(Transaction& tx, const Registration& upload, UnixMillis signed_at,
                                 UnixMillis now, const StorePolicy& policy) {
    const IdentityKeys& keys = upload.identity;
    const auto key_hash = crypto::sha256(keys.signing_key);
    TRY(const auto former, pass_tombstone(tx, upload, key_hash, now, policy));
    TRY(const bool key_reused, admit_address(tx, upload.address, keys.signing_key, policy));
    TRY(const std::int64_t made,
        tx.execute("insert into shade_server_identities (address, suite, signing_key, dh_key, "
                   "dh_signature, registration_id, state_signed_at, created_at, last_activity_at, "
                   "last_owner_activity_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $8) "
                   "on conflict (address) do nothing",
                   {upload.address.text(), static_cast<std::int64_t>(keys.suite), keys.signing_key,
                    keys.dh_key, keys.dh_signature, upload.registration_id, signed_at, now}));
    if (made == 1 && !former) {
        // The address holds no keys, but this identity may have issued some here before another
        // one had it.
        TRY_VOID(sql::restore_issued(tx, upload.address, key_hash));
    } else if (made == 1 && !equal(*former, key_hash)) {
        TRY_VOID(sql::change_issuer(tx, upload.address, *former, key_hash));
    }
    return Inserted{made == 1, key_reused};
}

// Moves the stored state forward; an equal or older signature is a rollback.
Result<void> advance_state(Transaction& tx, const Address& address, UnixMillis signed_at,
                           UnixMillis now) {
    TRY(const std::int64_t moved,
        tx.execute("update shade_server_identities set state_signed_at = $2, "
                   "last_activity_at = $3, last_owner_activity_at = $3 "
                   "where address = $1 and state_signed_at < $2",
                   {address.text(), signed_at, now}));
    if (moved == 0) {
        return errors::stale_write();
    }
    return ok();
}

Result<void> update_identity(Transaction& tx, const Registration& upload,
                             const StoredIdentity& stored, UnixMillis signed_at, UnixMillis now) {
    if (!stored.keys.same_keys(upload.identity)) {
        return errors::identity_conflict();
    }
    TRY_VOID(advance_state(tx, upload.address, signed_at, now));
    // A signature or registration id left out keeps what was stored.
    const auto& dh_signature =
        upload.identity.dh_signature ? upload.identity.dh_signature : stored.keys.dh_signature;
    const auto& registration_id =
        upload.registration_id ? upload.registration_id : stored.registration_id;
    TRY_VOID(
        tx.execute("update shade_server_identities set dh_signature = $2, "
                   "registration_id = $3 where address = $1",
                   {upload.address.text(), dh_signature, registration_id}));
    return ok();
}

Result<EnrolOutcome> store_keys(Transaction& tx, const Registration& upload, sql::Newness newness,
                                UnixMillis now, std::uint64_t seed, const StorePolicy& policy) {
    EnrolOutcome outcome;
    TRY_VOID(sql::serve_signed_prekey(tx, upload.address, upload.signed_prekey, now, newness));
    if (upload.last_resort) {
        TRY_VOID(sql::serve_last_resort(tx, upload.address, *upload.last_resort, now, newness));
    }
    TRY(outcome.upload, sql::store_batch(tx, upload.address, upload.batch, upload.mode, newness,
                                         now, seed, policy));
    TRY(outcome.restore_epoch, sql::restore_epoch(tx));
    return outcome;
}

Result<EnrolOutcome> enrol_in(Transaction& tx, const Registration& upload,
                              const AcceptedProof& proof, const kt::AddressIndex& index,
                              UnixMillis now, std::uint64_t seed, const StorePolicy& policy) {
    TRY_VOID(sql::await_turn(tx, upload.address, sql::Turn::owner));
    TRY_VOID(sql::consume(tx, proof, policy));
    TRY(auto stored, sql::find_identity(tx, upload.address, sql::RowLock::exclusive));
    Inserted inserted;
    if (!stored) {
        TRY(inserted, insert_identity(tx, upload, proof.signed_at, now, policy));
        if (!inserted.made) {
            TRY(stored, sql::find_identity(tx, upload.address, sql::RowLock::exclusive));
        }
    }
    if (stored) {
        TRY_VOID(update_identity(tx, upload, *stored, proof.signed_at, now));
    }
    TRY(EnrolOutcome outcome,
        store_keys(tx, upload, inserted.made ? sql::Newness::made_here : sql::Newness::known, now,
                   seed, policy));
    // Last, because the log's head is what all writers share.
    if (inserted.made) {
        TRY_VOID(sql::log_event(tx, kt::EventKind::register_identity, upload.address,
                                upload.identity, index, now));
    } else if (upload.identity.dh_signature &&
               upload.identity.dh_signature != stored->keys.dh_signature) {
        TRY_VOID(sql::log_event(tx, kt::EventKind::register_identity, upload.address,
                                upload.identity, std::nullopt, now));
    }
    outcome.created = inserted.made;
    outcome.key_reused = inserted.made && inserted.key_reused;
    return outcome;
}

Result<EnrolOutcome> rotate_in(Transaction& tx, Registration next, const AcceptedProof& proof,
                               UnixMillis now, std::uint64_t seed, const StorePolicy& policy) {
    TRY_VOID(sql::await_turn(tx, next.address, sql::Turn::owner));
    TRY(const StoredIdentity stored, sql::require_signer(tx, next.address, proof));
    TRY_VOID(sql::consume(tx, proof, policy));
    TRY_VOID(advance_state(tx, next.address, proof.signed_at, now));
    TRY(const bool key_reused, admit_address(tx, next.address, next.identity.signing_key, policy));
    const auto& registration_id =
        next.registration_id ? next.registration_id : stored.registration_id;
    TRY_VOID(
        tx.execute("update shade_server_identities set signing_key = $2, dh_key = $3, "
                   "dh_signature = $4, registration_id = $5 where address = $1",
                   {next.address.text(), next.identity.signing_key, next.identity.dh_key,
                    next.identity.dh_signature, registration_id}));
    const auto former_hash = crypto::sha256(stored.keys.signing_key);
    const auto next_hash = crypto::sha256(next.identity.signing_key);
    TRY_VOID(sql::change_issuer(tx, next.address, former_hash, next_hash));
    TRY_VOID(tx.execute("delete from shade_server_signed_prekeys where address = $1",
                        {next.address.text()}));
    next.mode = UploadMode::replace;
    TRY(EnrolOutcome outcome, store_keys(tx, next, sql::Newness::known, now, seed, policy));
    TRY_VOID(sql::log_event(tx, kt::EventKind::rotate_identity, next.address, next.identity,
                            std::nullopt, now));
    outcome.key_reused = key_reused;
    return outcome;
}

}  // namespace

Task<Result<EnrolOutcome>> Store::enrol(Registration upload, AcceptedProof proof,
                                        kt::AddressIndex index, UnixMillis now,
                                        std::uint64_t shuffle_seed) {
    auto write = [upload = std::move(upload), proof = std::move(proof), index, now, shuffle_seed,
                  policy = policy_](Transaction& tx) {
        return enrol_in(tx, upload, proof, index, now, shuffle_seed, policy);
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<EnrolOutcome>> Store::rotate_identity(Registration next, AcceptedProof proof,
                                                  UnixMillis now, std::uint64_t shuffle_seed) {
    auto write = [next = std::move(next), proof = std::move(proof), now, shuffle_seed,
                  policy = policy_](Transaction& tx) {
        return rotate_in(tx, next, proof, now, shuffle_seed, policy);
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<UploadOutcome>> Store::replenish(Replenishment upload, AcceptedProof proof,
                                             UnixMillis now, std::uint64_t shuffle_seed) {
    auto write = [upload = std::move(upload), proof = std::move(proof), now, shuffle_seed,
                  policy = policy_](Transaction& tx) -> Result<UploadOutcome> {
        TRY_VOID(sql::await_turn(tx, upload.address, sql::Turn::owner));
        TRY_VOID(sql::require_signer(tx, upload.address, proof));
        TRY_VOID(sql::consume(tx, proof, policy));
        TRY_VOID(
            tx.execute("update shade_server_identities set last_activity_at = $2, "
                       "last_owner_activity_at = $2 where address = $1",
                       {upload.address.text(), now}));
        if (upload.last_resort) {
            TRY_VOID(sql::serve_last_resort(tx, upload.address, *upload.last_resort, now));
        }
        return sql::store_batch(tx, upload.address, upload.batch, UploadMode::merge,
                                sql::Newness::known, now, shuffle_seed, policy);
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<RotationOutcome>> Store::rotate_signed_prekey(SignedPreKeyRotation upload,
                                                          AcceptedProof proof, UnixMillis now) {
    auto write = [upload = std::move(upload), proof = std::move(proof), now,
                  policy = policy_](Transaction& tx) -> Result<RotationOutcome> {
        TRY_VOID(sql::await_turn(tx, upload.address, sql::Turn::owner));
        TRY_VOID(sql::require_signer(tx, upload.address, proof));
        TRY_VOID(sql::consume(tx, proof, policy));
        TRY_VOID(advance_state(tx, upload.address, proof.signed_at, now));
        TRY_VOID(sql::serve_signed_prekey(tx, upload.address, upload.signed_prekey, now));
        if (upload.last_resort) {
            TRY_VOID(sql::serve_last_resort(tx, upload.address, *upload.last_resort, now));
        }
        TRY(const auto profile, sql::find_profile(tx, upload.address, sql::WithStock::no));
        RotationOutcome outcome{upload.signed_prekey.id, std::nullopt};
        if (profile && profile->last_resort) {
            outcome.last_resort_id = profile->last_resort->id;
        }
        return outcome;
    };
    co_return co_await database_.write(std::move(write));
}

Task<Result<void>> Store::remove(Address address, AcceptedProof proof, UnixMillis now) {
    auto write = [address = std::move(address), proof = std::move(proof), now,
                  policy = policy_](Transaction& tx) -> Result<void> {
        TRY_VOID(sql::await_turn(tx, address, sql::Turn::owner));
        TRY(const StoredIdentity stored, sql::require_signer(tx, address, proof));
        TRY_VOID(sql::consume(tx, proof, policy));
        return sql::erase_identity(tx, address, stored.keys, kt::EventKind::delete_identity, now);
    };
    co_return co_await database_.write(std::move(write));
}

}  // namespace nave::prekeys
