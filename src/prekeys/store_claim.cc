#include "prekeys/errors.h"
#include "prekeys/store.h"
#include "prekeys/store_sql.h"
#include "prekeys/wire.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

namespace nave::prekeys {

using storage::Dialect;
using storage::Transaction;

namespace {

constexpr UnixMillis kClaimMemoryMs = 10 * 60 * 1000;
// A fetch is noted at most once a minute: the columns serve stale cleanup, which counts days, and
// a write per fetch would serialise all fetches of one target.
constexpr UnixMillis kTouchEveryMs = 60 * 1000;

// Takes the oldest key of a kind out of stock; $1 address, $2 kind, $3 now. SKIP LOCKED lets
// PostgreSQL serve parallel claims of one target without waiting; it may say "none" while the last
// rows are locked, which only degrades. What is left is counted behind the key that was taken:
// those before it are on their way out, so claims that meet count as if they came one after the
// other.
std::string pop_text(Dialect dialect, bool identified) {
    return std::string(
               "update shade_server_one_time_prekeys set issued_at = $3 where seq = "
               "(select seq from shade_server_one_time_prekeys "
               "where address = $1 and kind = $2 and issued_at is null ") +
           (identified ? "" : "and reserved = 0 ") + "order by seq limit 1" +
           std::string(storage::for_update_skip_locked(dialect)) +
           ") and issued_at is null returning key_id, public_key, algorithm, signature, "
           "(select count(*) from shade_server_one_time_prekeys o "
           "where o.address = $1 and o.kind = $2 and o.issued_at is null "
           "and o.seq > shade_server_one_time_prekeys.seq)";
}

const std::string& pop_statement(Dialect dialect, bool identified) {
    static const std::array<std::string, 4> texts{
        pop_text(Dialect::sqlite, false), pop_text(Dialect::sqlite, true),
        pop_text(Dialect::postgres, false), pop_text(Dialect::postgres, true)};
    return texts.at((dialect == Dialect::sqlite ? 0U : 2U) + (identified ? 1U : 0U));
}

// What a claim found in the stock of one kind.
struct Taken {
    std::optional<KemPreKey> key;
    std::int64_t remaining = 0;
    bool withheld = false;  // there are keys, but none for this caller
    [[nodiscard]] bool ran_out() const { return !key && !withheld; }
};

Result<Taken> take(Transaction& tx, const ClaimTarget& target, std::int64_t kind, bool identified,
                   UnixMillis now) {
    if (target.may_consume) {
        TRY(auto row, tx.query_one(pop_statement(tx.dialect(), identified),
                                   {target.address.text(), kind, now}));
        if (row) {
            return Taken{KemPreKey{row->integer(0), row->text(2), row->bytes(1), row->bytes(3)},
                         row->integer(4)};
        }
    }
    TRY(const auto left, tx.query_one("select count(*), count(case when reserved = 1 then 1 end) "
                                      "from shade_server_one_time_prekeys "
                                      "where address = $1 and kind = $2 and issued_at is null",
                                      {target.address.text(), kind}));
    const std::int64_t stock = left->integer(0);
    const std::int64_t reserved = left->integer(1);
    const bool withheld = target.may_consume ? !identified && reserved > 0 : stock > 0;
    return Taken{std::nullopt, stock, withheld};
}

// What the owner is told of a kind, once for each refill: bits of one_time_told and kem_told.
constexpr std::int64_t kToldLow = 1;
constexpr std::int64_t kToldExhausted = 2;

// Whether this claim is the first to say so. Claims that meet decide it by the identity's row.
Result<bool> tell_once(Transaction& tx, const Address& address, std::int64_t kind,
                       std::int64_t what) {
    TRY(const std::int64_t told,
        tx.execute(kind == sql::kCurve
                       ? "update shade_server_identities set one_time_told = one_time_told + $2 "
                         "where address = $1 and (one_time_told & $2) = 0"
                       : "update shade_server_identities set kem_told = kem_told + $2 "
                         "where address = $1 and (kem_told & $2) = 0",
                   {address.text(), what}));
    return told == 1;
}

// Notes in `bundle` what the owner has to hear of a stock that went down.
Result<void> watch_stock(Transaction& tx, const Address& address, std::int64_t kind,
                         std::int64_t told, const Taken& taken, std::int64_t low_threshold,
                         ClaimedBundle& bundle) {
    if (!taken.key) {
        return ok();
    }
    // Below one key is none: that is told as exhausted.
    if (low_threshold > 1 && taken.remaining < low_threshold && (told & kToldLow) == 0) {
        TRY(const bool first, tell_once(tx, address, kind, kToldLow));
        bundle.first_low |= first;
    }
    if (taken.remaining == 0 && (told & kToldExhausted) == 0) {
        TRY(const bool first, tell_once(tx, address, kind, kToldExhausted));
        bundle.first_exhausted |= first;
    }
    return ok();
}

// The key goes out in place of a one-time key. Whether it does so for the first time.
Result<bool> note_use_alone(Transaction& tx, const Address& address, std::int64_t kind, KeyId id,
                            UnixMillis now) {
    TRY(const std::int64_t noted,
        tx.execute("update shade_server_signed_prekeys set used_alone_at = $4 "
                   "where address = $1 and kind = $2 and key_id = $3 and used_alone_at is null",
                   {address.text(), kind, id, now}));
    return noted == 1;
}

Result<void> note_fetch(Transaction& tx, const Profile& profile, UnixMillis now,
                        const StorePolicy& policy) {
    if (profile.last_fetch_at && *profile.last_fetch_at > now - kTouchEveryMs) {
        return ok();
    }
    // Whether a fetch keeps an identity from being stale is the operator's choice.
    TRY_VOID(tx.execute(policy.touch_on_fetch
                            ? "update shade_server_identities set last_fetch_at = $2, "
                              "last_activity_at = $2 where address = $1"
                            : "update shade_server_identities set last_fetch_at = $2 "
                              "where address = $1",
                        {profile.address.text(), now}));
    return ok();
}

// Takes the claim's place in the table, still without a bundle, so that the same claim sent again
// meanwhile waits for this one. False when it is there already.
Result<bool> open_claim(Transaction& tx, const Profile& profile, const Bytes& claim_hash,
                        UnixMillis now) {
    TRY(const std::int64_t opened,
        tx.execute("insert into shade_server_claims (claim_hash, signing_key, bundle, expires_at) "
                   "values ($1, $2, '', $3) on conflict (claim_hash) do update set "
                   "signing_key = excluded.signing_key, bundle = excluded.bundle, "
                   "expires_at = excluded.expires_at "
                   "where shade_server_claims.expires_at <= $4 "
                   "or shade_server_claims.signing_key <> excluded.signing_key",
                   {claim_hash, profile.keys.signing_key, now + kClaimMemoryMs, now}));
    return opened == 1;
}

Result<std::optional<ClaimedBundle>> repeated_claim(Transaction& tx, const Profile& profile,
                                                    const Bytes& claim_hash, UnixMillis now) {
    TRY(const bool opened, open_claim(tx, profile, claim_hash, now));
    if (opened) {
        return std::nullopt;
    }
    TRY(const auto row,
        tx.query_one("select bundle from shade_server_claims where claim_hash = $1", {claim_hash}));
    if (!row) {
        return errors::storage("The claim was forgotten meanwhile; try again.");
    }
    ClaimedBundle bundle;
    bundle.json = row->text(0);
    bundle.repeated = true;
    bundle.suite = profile.keys.suite;
    bundle.signed_prekey_created_at = profile.signed_prekey.created_at;
    return bundle;
}

Result<std::optional<ClaimedBundle>> claim_one(Transaction& tx, const ClaimTarget& target,
                                               bool identified, UnixMillis now,
                                               const StorePolicy& policy) {
    if (target.may_consume) {
        // Also holds the identity still: the one-time key must be of the identity that was read.
        TRY_VOID(sql::await_turn(tx, target.address, sql::Turn::claim));
    }
    TRY(const auto profile, sql::find_profile(tx, target.address, sql::WithStock::no));
    if (!profile) {
        return std::nullopt;
    }
    if (target.claim_hash) {
        TRY(auto repeated, repeated_claim(tx, *profile, *target.claim_hash, now));
        if (repeated) {
            return repeated;
        }
    }
    ClaimedBundle bundle;
    bundle.suite = profile->keys.suite;
    bundle.signed_prekey_created_at = profile->signed_prekey.created_at;
    TRY(Taken curve, take(tx, target, sql::kCurve, identified, now));
    bundle.one_time = curve.key        ? OneTimeStatus::issued
                      : curve.withheld ? OneTimeStatus::withheld
                                       : OneTimeStatus::exhausted;
    Taken kem;
    const bool has_kem = uses_kem(profile->keys.suite);
    if (has_kem) {
        TRY(kem, take(tx, target, sql::kKem, identified, now));
    }
    bundle.remaining = {curve.remaining, kem.remaining};

    BundleKeys keys;
    OneTimePreKey one_time;
    if (curve.key) {
        one_time = {curve.key->id, std::move(curve.key->public_key)};
        keys.one_time = &one_time;
    }
    if (kem.key) {
        keys.kem = &*kem.key;
        bundle.kem = KemStatus::one_time;
    } else if (profile->last_resort) {
        keys.kem = &*profile->last_resort;
        keys.kem_is_last_resort = true;
        bundle.kem = KemStatus::last_resort;
    }
    // Budgets and the reserve do not count: the owner cannot help them with another upload.
    bool noted = false;
    if (curve.ran_out() && !profile->signed_prekey_used_alone) {
        TRY(noted, note_use_alone(tx, target.address, sql::kCurve, profile->signed_prekey.id, now));
    }
    if (has_kem && kem.ran_out() && profile->last_resort && !profile->last_resort_used_alone) {
        TRY(const bool kem_noted,
            note_use_alone(tx, target.address, sql::kKem, profile->last_resort->id, now));
        noted |= kem_noted;
    }
    bundle.first_last_resort_use = noted && !profile->last_resort_used();
    TRY_VOID(watch_stock(tx, target.address, sql::kCurve, profile->one_time_told, curve,
                         policy.low_threshold, bundle));
    TRY_VOID(watch_stock(tx, target.address, sql::kKem, profile->kem_told, kem,
                         policy.low_threshold, bundle));
    TRY_VOID(note_fetch(tx, *profile, now, policy));
    bundle.json = bundle_json(*profile, keys, bundle.one_time, now);
    if (target.claim_hash) {
        TRY_VOID(tx.execute("update shade_server_claims set bundle = $2 where claim_hash = $1",
                            {*target.claim_hash, bundle.json}));
    }
    return bundle;
}

// Transactions that lock the same things must do so in the same order, or they block each other
// until the database ends one of them.
std::vector<std::size_t> locking_order(const std::vector<ClaimTarget>& targets) {
    std::vector<std::size_t> order(targets.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, {}, [&](std::size_t i) {
        const ClaimTarget& target = targets[i];
        return std::tuple<const std::string&, const std::optional<Bytes>&, std::size_t>(
            target.address.text(), target.claim_hash, i);
    });
    return order;
}

}  // namespace

Task<Result<ClaimOutcome>> Store::claim(std::vector<ClaimTarget> targets,
                                        std::optional<Requester> requester, UnixMillis now) {
    auto write = [targets = std::move(targets), requester = std::move(requester), now,
                  policy = policy_](Transaction& tx) -> Result<ClaimOutcome> {
        if (requester) {
            // Not locked: two callers may each be a target of the other.
            TRY_VOID(
                sql::require_signer(tx, requester->address, requester->proof, sql::RowLock::none));
            TRY_VOID(sql::consume(tx, requester->proof, policy));
        }
        ClaimOutcome outcome(targets.size());
        for (const std::size_t i : locking_order(targets)) {
            TRY(outcome[i], claim_one(tx, targets[i], requester.has_value(), now, policy));
        }
        return outcome;
    };
    co_return co_await database_.write(std::move(write));
}

}  // namespace nave::prekeys
