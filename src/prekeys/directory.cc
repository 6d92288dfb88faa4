#include "prekeys/directory.h"

#include "crypto/hash.h"
#include "prekeys/errors.h"
#include "prekeys/signatures.h"

#include <fmt/format.h>

namespace nave::prekeys {
namespace {

// One suspicion per target and hour: the feed should say that it happens, not how often.
constexpr net::Rate kSuspicionPerTarget{.burst = 1, .refill_per_second = 1.0 / 3600};

std::uint64_t random_seed(Entropy& entropy) {
    return entropy.below(UINT64_MAX);
}

Bytes claim_hash(const Address& address, ByteView claim_id) {
    Bytes scoped;
    append(scoped, address.text());
    scoped.push_back(0);
    append(scoped, claim_id);
    return to_bytes(crypto::sha256(scoped));
}

// What POST /v1/keys/check compares: every long-lived key a fetcher would get.
ByteArray<32> state_digest(const Profile& profile) {
    Bytes state = profile.keys.signing_key;
    append(state, profile.keys.dh_key);
    append_be(state, static_cast<std::uint64_t>(profile.signed_prekey.id));
    append(state, profile.signed_prekey.public_key);
    if (profile.last_resort) {
        append_be(state, static_cast<std::uint64_t>(profile.last_resort->id));
        append(state, profile.last_resort->public_key);
    }
    return crypto::sha256(state);
}

AcceptedProof accepted(const RequestProof& proof, const IdentityKeys& keys) {
    return {proof.signed_at, keys.signing_key, replay_hashes(proof)};
}

}  // namespace

struct Directory::Buckets {
    net::RateLimiter register_per_ip;
    net::RateLimiter fetch_per_ip;
    net::RateLimiter replenish;
    net::RateLimiter suspicion;

    Buckets(const Clock& clock, const Limits& limits)
        : register_per_ip(clock, limits.register_per_ip),
          fetch_per_ip(clock, limits.fetch_per_ip),
          replenish(clock, limits.replenish_per_identity),
          suspicion(clock, kSuspicionPerTarget) {}
};

Directory::Directory(const Config& config, Store& store, WorkerPool& workers, const Clock& clock,
                     Entropy& entropy, EventSink& events, Indexer index_of)
    : config_(config),
      store_(store),
      workers_(workers),
      clock_(clock),
      entropy_(entropy),
      events_(events),
      index_of_(std::move(index_of)),
      buckets_(std::make_unique<Buckets>(clock, config.limits)),
      attempts_(clock, config.limits),
      key_budgets_(clock, config.limits) {}

Directory::~Directory() = default;

void Directory::emit(EventType type, const Address& address, const Caller& caller) {
    Event event;
    event.type = type;
    event.at = clock_.now();
    event.address = address;
    event.client_key = caller.client_key;
    events_.on_event(event);
}

Result<void> Directory::limit(net::RateLimiter& limiter, std::string_view key,
                              std::string_view name, const Caller& caller, double tokens) {
    if (!config_.limits.enabled) {
        return ok();
    }
    const auto verdict = limiter.take(key, tokens);
    if (verdict.allowed) {
        return ok();
    }
    Event event;
    event.type = EventType::rate_limited;
    event.at = clock_.now();
    event.client_key = caller.client_key;
    event.limit = name;
    events_.on_event(event);
    auto error = errors::rate_limited();
    error.error().retry_after = verdict.retry_after;
    return error;
}

Error Directory::noted(Error error, const std::optional<Address>& address, const Caller& caller) {
    Event event;
    event.at = clock_.now();
    event.address = address;
    event.client_key = caller.client_key;
    if (error.id == "SHADE_REPLAY") {
        event.type = EventType::replay_rejected;
    } else if (error.id == "SHADE_IDENTITY_CONFLICT") {
        event.type = EventType::identity_conflict;
    } else if (error.code == Code::unauthenticated) {
        event.type = EventType::auth_failed;
        event.limit = error.id == "SHADE_TIMESTAMP_SKEW"          ? "SHADE_TIMESTAMP_SKEW"
                      : error.id == "SHADE_BAD_REQUEST_SIGNATURE" ? "SHADE_BAD_REQUEST_SIGNATURE"
                                                                  : "SHADE_UNAUTHORIZED";
    } else {
        return error;
    }
    events_.on_event(event);
    return error;
}

Task<Result<SignedIdentity>> Directory::authenticate(Address subject,
                                                     std::optional<RequestProof> proof,
                                                     Caller caller) {
    CO_TRY(Attempt attempt, attempts_.begin(caller.client_key));
    if (!proof) {
        co_return std::unexpected(noted(errors::unauthorized().error(), subject, caller));
    }
    if (auto fresh = check_skew(*proof, clock_.now(), config_.skew_ms); !fresh) {
        co_return std::unexpected(noted(std::move(fresh).error(), subject, caller));
    }
    CO_TRY_VOID(check_subject(*proof, subject));
    CO_TRY(auto stored, co_await store_.identity(subject));
    if (!stored) {
        attempt.failed();  // or strangers could ask without limit which addresses exist
        co_return errors::not_found("No identity is registered at this address.");
    }
    auto verify = [proof = *proof, keys = stored->keys]() -> Result<bool> {
        return verify_proof(proof, keys);
    };
    CO_TRY(const bool genuine, co_await workers_.run(std::move(verify)));
    if (!genuine) {
        attempt.failed();
        co_return std::unexpected(noted(errors::bad_request_signature().error(), subject, caller));
    }
    AcceptedProof proof_accepted = accepted(*proof, stored->keys);
    co_return SignedIdentity{std::move(*stored), std::move(proof_accepted)};
}

Task<Result<EnrolOutcome>> Directory::enrol(Registration upload, std::optional<RequestProof> proof,
                                            Caller caller) {
    const Address address = upload.address;
    CO_TRY_VOID(limit(buckets_->register_per_ip, caller.client_key, "register", caller));
    CO_TRY(Attempt attempt, attempts_.begin(caller.client_key));
    if (!proof) {
        co_return std::unexpected(noted(errors::unauthorized().error(), address, caller));
    }
    if (auto fresh = check_skew(*proof, clock_.now(), config_.skew_ms); !fresh) {
        co_return std::unexpected(noted(std::move(fresh).error(), address, caller));
    }
    CO_TRY_VOID(check_subject(*proof, address));
    AcceptedProof proof_accepted = accepted(*proof, upload.identity);
    struct Verified {
        Registration upload;
        kt::AddressIndex index;
    };
    // The request proof, every key signature and the log's name in one hand-over.
    auto verify = [proof = std::move(*proof), upload = std::move(upload),
                   index_of = index_of_]() mutable -> Result<Verified> {
        TRY_VOID(check_identity_key(upload.identity));
        if (!verify_proof(proof, upload.identity)) {
            return errors::bad_request_signature();
        }
        TRY_VOID(verify_registration(upload));
        const kt::AddressIndex index = index_of(upload.address);
        return Verified{std::move(upload), index};
    };
    auto verified = co_await workers_.run(std::move(verify));
    if (!verified) {
        if (verified.error().code != Code::unavailable) {
            attempt.failed();
        }
        co_return std::unexpected(noted(std::move(verified).error(), address, caller));
    }
    const Suite suite = verified->upload.identity.suite;
    auto outcome = co_await store_.enrol(std::move(verified->upload), std::move(proof_accepted),
                                         verified->index, clock_.now(), random_seed(entropy_));
    if (!outcome) {
        co_return std::unexpected(noted(std::move(outcome).error(), address, caller));
    }
    Event event;
    event.type = EventType::registered;
    event.at = clock_.now();
    event.address = address;
    event.suite = suite;
    event.remaining = outcome->upload.stock;
    event.client_key = caller.client_key;
    event.count = static_cast<std::int64_t>(outcome->upload.one_time.accepted.size());
    events_.on_event(event);
    if (outcome->key_reused) {
        emit(EventType::identity_key_reused, address, caller);
    }
    co_return outcome;
}

Task<Result<UploadOutcome>> Directory::replenish(Replenishment upload, SignedIdentity signer,
                                                 Caller caller) {
    const Address address = upload.address;
    // Counted only for genuine signatures: otherwise a stranger could use up an owner's budget.
    CO_TRY_VOID(limit(buckets_->replenish, address.text(), "replenish", caller));
    auto verify = [upload = std::move(upload),
                   keys = signer.identity.keys]() mutable -> Result<Replenishment> {
        std::vector<KemPreKey> kem = upload.batch.kem_one_time;
        if (upload.last_resort) {
            kem.push_back(*upload.last_resort);
        }
        TRY_VOID(verify_kem_keys(keys, kem));
        return std::move(upload);
    };
    CO_TRY(Replenishment verified, co_await workers_.run(std::move(verify)));
    auto outcome = co_await store_.replenish(std::move(verified), std::move(signer.proof),
                                             clock_.now(), random_seed(entropy_));
    if (!outcome) {
        co_return std::unexpected(noted(std::move(outcome).error(), address, caller));
    }
    Event event;
    event.type = EventType::replenished;
    event.at = clock_.now();
    event.address = address;
    event.suite = signer.identity.keys.suite;
    event.remaining = outcome->stock;
    event.client_key = caller.client_key;
    event.count = static_cast<std::int64_t>(outcome->one_time.accepted.size() +
                                            outcome->kem_one_time.accepted.size());
    events_.on_event(event);
    co_return outcome;
}

Task<Result<RotationOutcome>> Directory::rotate_signed_prekey(SignedPreKeyRotation upload,
                                                              SignedIdentity signer,
                                                              Caller caller) {
    const Address address = upload.address;
    CO_TRY_VOID(limit(buckets_->replenish, address.text(), "replenish", caller));
    auto verify = [upload = std::move(upload),
                   keys = signer.identity.keys]() mutable -> Result<SignedPreKeyRotation> {
        TRY_VOID(verify_signed_prekey(keys, upload.signed_prekey));
        if (upload.last_resort) {
            TRY_VOID(verify_kem_keys(keys, {*upload.last_resort}));
        }
        return std::move(upload);
    };
    CO_TRY(SignedPreKeyRotation verified, co_await workers_.run(std::move(verify)));
    auto outcome = co_await store_.rotate_signed_prekey(std::move(verified),
                                                        std::move(signer.proof), clock_.now());
    if (!outcome) {
        co_return std::unexpected(noted(std::move(outcome).error(), address, caller));
    }
    emit(EventType::signed_prekey_rotated, address, caller);
    co_return outcome;
}

Task<Result<EnrolOutcome>> Directory::rotate_identity(IdentityRotation rotation,
                                                      SignedIdentity signer, Caller caller) {
    const Address address = rotation.next.address;
    CO_TRY_VOID(limit(buckets_->replenish, address.text(), "replenish", caller));
    if (rotation.next.identity.signing_key == signer.identity.keys.signing_key) {
        co_return errors::invalid_field("newIdentity", "is the identity that is already stored");
    }
    auto verify = [rotation = std::move(rotation), old_key = signer.identity.keys.signing_key,
                   signed_at = signer.proof.signed_at]() mutable -> Result<Registration> {
        const Registration& next = rotation.next;
        TRY_VOID(check_identity_key(next.identity));
        const Bytes message =
            identity_rotation_message(next.address, old_key, next.identity.signing_key, signed_at);
        if (!verify_signature(next.identity.suite, next.identity.signing_key, message,
                              rotation.proof)) {
            return errors::with_details(errors::invalid_signature("The new key's proof is wrong."),
                                        R"({"keyIds":["proof"]})");
        }
        TRY_VOID(verify_registration(next));
        return std::move(rotation.next);
    };
    CO_TRY(Registration verified, co_await workers_.run(std::move(verify)));
    auto outcome = co_await store_.rotate_identity(std::move(verified), std::move(signer.proof),
                                                   clock_.now(), random_seed(entropy_));
    if (!outcome) {
        co_return std::unexpected(noted(std::move(outcome).error(), address, caller));
    }
    emit(EventType::identity_rotated, address, caller);
    if (outcome->key_reused) {
        emit(EventType::identity_key_reused, address, caller);
    }
    co_return outcome;
}

Task<Result<void>> Directory::remove(Address address, SignedIdentity signer, Caller caller) {
    auto removed = co_await store_.remove(address, std::move(signer.proof), clock_.now());
    if (!removed) {
        co_return std::unexpected(noted(std::move(removed).error(), address, caller));
    }
    emit(EventType::deleted, address, caller);
    co_return ok();
}

void Directory::withheld(std::string_view limit_name, const Address& target, const Caller& caller) {
    Event event;
    event.type = EventType::key_withheld;
    event.at = clock_.now();
    event.address = target;
    event.client_key = caller.client_key;
    event.limit = limit_name;
    events_.on_event(event);
}

bool Directory::may_consume(const Address& target, const KeyPayer& payer, const Caller& caller) {
    const auto used_up = key_budgets_.take(target, payer);
    if (!used_up) {
        return true;
    }
    withheld(*used_up, target, caller);
    if (*used_up == "target" && buckets_->suspicion.take(target.text()).allowed) {
        emit(EventType::depletion_suspected, target, caller);
    }
    return false;
}

void Directory::after_claim(const ClaimItem& item, const std::optional<ClaimedBundle>& bundle,
                            const KeyPayer& payer, bool paid, const Caller& caller) {
    const bool used_a_key =
        bundle && !bundle->repeated &&
        (bundle->one_time == OneTimeStatus::issued || bundle->kem == KemStatus::one_time);
    if (paid && !used_a_key) {
        key_budgets_.give_back(item.address, payer);
    }
    if (!bundle || bundle->repeated) {
        return;
    }
    Event event;
    event.type = EventType::fetched;
    event.at = clock_.now();
    event.address = item.address;
    event.suite = bundle->suite;
    event.one_time = bundle->one_time;
    event.signed_prekey_age_ms =
        std::max<std::int64_t>(0, event.at - bundle->signed_prekey_created_at);
    event.kem = bundle->kem;
    event.remaining = bundle->remaining;
    event.client_key = caller.client_key;
    events_.on_event(event);
    // Of either kind: a pqxdh client lives on two stocks.
    if (bundle->first_low) {
        event.type = EventType::prekeys_low;
        events_.on_event(event);
    }
    if (bundle->first_exhausted) {
        event.type = EventType::prekeys_exhausted;
        events_.on_event(event);
    }
    if (bundle->first_last_resort_use) {
        event.type = EventType::last_resort_used;
        events_.on_event(event);
    }
}

Task<Result<std::optional<Store::Requester>>> Directory::identify(std::optional<RequestProof> proof,
                                                                  Caller caller) {
    if (!proof) {
        co_return std::nullopt;
    }
    if (!proof->address) {
        co_return errors::unauthorized("Callers identify themselves with the Shade-* headers.");
    }
    const Address address = *proof->address;
    auto signer = co_await authenticate(address, std::move(proof), caller);
    if (!signer && signer.error().code == Code::not_found) {
        co_return errors::unauthorized("The caller itself is not registered here.");
    }
    if (!signer) {
        co_return std::unexpected(std::move(signer).error());
    }
    Store::Requester requester{address, std::move(signer->proof)};
    co_return std::move(requester);
}

Task<Result<void>> Directory::admit_reader(std::optional<RequestProof> proof, Caller caller) {
    CO_TRY_VOID(admit_fetch(caller));
    CO_TRY(auto requester, co_await identify(std::move(proof), caller));
    if (requester) {
        auto used = co_await store_.consume_proof(requester->address, std::move(requester->proof),
                                                  clock_.now());
        if (!used) {
            co_return std::unexpected(noted(std::move(used).error(), std::nullopt, caller));
        }
    }
    co_return ok();
}

Task<Result<ClaimOutcome>> Directory::claim(std::vector<ClaimItem> items,
                                            std::optional<RequestProof> proof, Caller caller) {
    CO_TRY_VOID(limit(buckets_->fetch_per_ip, caller.client_key, "fetch", caller,
                      static_cast<double>(items.size())));
    CO_TRY(auto requester, co_await identify(std::move(proof), caller));
    KeyPayer payer{caller.client_key, std::nullopt};
    if (requester) {
        payer.requester = requester->address;
    }
    std::vector<ClaimTarget> targets;
    targets.reserve(items.size());
    for (const ClaimItem& item : items) {
        ClaimTarget target{item.address, may_consume(item.address, payer, caller), {}};
        if (item.claim_id) {
            target.claim_hash = claim_hash(item.address, *item.claim_id);
        }
        targets.push_back(std::move(target));
    }
    std::vector<bool> paid;
    for (const ClaimTarget& target : targets) {
        paid.push_back(target.may_consume);
    }
    auto outcome = co_await store_.claim(std::move(targets), std::move(requester), clock_.now());
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (outcome) {
            after_claim(items[i], (*outcome)[i], payer, paid[i], caller);
        } else if (paid[i]) {
            key_budgets_.give_back(items[i].address, payer);
        }
    }
    if (!outcome) {
        co_return std::unexpected(noted(std::move(outcome).error(), std::nullopt, caller));
    }
    co_return outcome;
}

Result<void> Directory::admit_fetch(const Caller& caller) {
    return limit(buckets_->fetch_per_ip, caller.client_key, "fetch", caller);
}

Task<Result<Profile>> Directory::profile(Address address, std::optional<RequestProof> proof,
                                         Caller caller) {
    CO_TRY_VOID(co_await admit_reader(std::move(proof), caller));
    CO_TRY(auto profile, co_await store_.profile(address));
    if (!profile) {
        co_return errors::not_found("No identity is registered at this address.");
    }
    co_return std::move(*profile);
}

Task<Result<bool>> Directory::exists(Address address, std::optional<RequestProof> proof,
                                     Caller caller) {
    CO_TRY_VOID(co_await admit_reader(std::move(proof), caller));
    CO_TRY(const auto stored, co_await store_.identity(address));
    co_return stored.has_value();
}

Task<Result<void>> Directory::check(Address address, Bytes digest,
                                    std::optional<RequestProof> proof, Caller caller) {
    CO_TRY(const Profile stored, co_await profile(address, std::move(proof), caller));
    const auto expected = state_digest(stored);
    if (!equal(expected, digest)) {
        co_return errors::digest_mismatch();
    }
    co_return ok();
}

Task<Result<CountOutcome>> Directory::count(Address address, std::optional<RequestProof> proof,
                                            Caller caller) {
    if (!proof && config_.public_count) {
        CO_TRY_VOID(admit_fetch(caller));
        co_return co_await store_.count(address, std::nullopt, clock_.now());
    }
    CO_TRY(SignedIdentity signer, co_await authenticate(address, std::move(proof), caller));
    auto outcome = co_await store_.count(address, std::move(signer.proof), clock_.now());
    if (!outcome) {
        co_return std::unexpected(noted(std::move(outcome).error(), address, caller));
    }
    co_return outcome;
}

Task<Result<std::int64_t>> Directory::accept(Address address, std::optional<RequestProof> proof,
                                             Caller caller) {
    CO_TRY(SignedIdentity signer, co_await authenticate(address, std::move(proof), caller));
    auto outcome = co_await store_.consume_proof(address, std::move(signer.proof), clock_.now());
    if (!outcome) {
        co_return std::unexpected(noted(std::move(outcome).error(), address, caller));
    }
    co_return outcome;
}

}  // namespace nave::prekeys
