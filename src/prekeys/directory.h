// Directory: the rules of the service, without HTTP and SQL. Each operation runs the contract's
// order of checks: client-address limit, timestamp, identity limit, signature, replay, state.
// (Size, parsing and the address itself come before, in api/.)
//
// Loop thread only. Operations are coroutines that may outlive the request but not the Directory.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "net/rate_limit.h"
#include "prekeys/attempts.h"
#include "prekeys/config.h"
#include "prekeys/events.h"
#include "prekeys/key_budgets.h"
#include "prekeys/request_auth.h"
#include "prekeys/store.h"
#include "prekeys/upload.h"
#include "runtime/worker_pool.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace nave::prekeys {

// Who a request came from, as limits count: the client address's limit key.
struct Caller {
    std::string client_key;
};

struct ClaimItem {
    Address address;
    std::optional<Bytes> claim_id;  // 16 bytes
};

struct SignedIdentity {
    StoredIdentity identity;
    AcceptedProof proof;
};

class Directory {
  public:
    // `index_of` names an address in the transparency log; it runs on the worker pool.
    using Indexer = std::function<kt::AddressIndex(const Address&)>;
    Directory(const Config& config, Store& store, WorkerPool& workers, const Clock& clock,
              Entropy& entropy, EventSink& events, Indexer index_of);
    ~Directory();

    // ---- writes of an owner ----
    Task<Result<EnrolOutcome>> enrol(Registration upload, std::optional<RequestProof> proof,
                                     Caller caller);
    Task<Result<UploadOutcome>> replenish(Replenishment upload, SignedIdentity signer,
                                          Caller caller);
    Task<Result<RotationOutcome>> rotate_signed_prekey(SignedPreKeyRotation upload,
                                                       SignedIdentity signer, Caller caller);
    Task<Result<EnrolOutcome>> rotate_identity(IdentityRotation rotation, SignedIdentity signer,
                                               Caller caller);
    Task<Result<void>> remove(Address address, SignedIdentity signer, Caller caller);

    // ---- fetches ----
    // Results in order; nullopt for an unknown address. With a proof the caller is identified.
    Task<Result<ClaimOutcome>> claim(std::vector<ClaimItem> items,
                                     std::optional<RequestProof> proof, Caller caller);
    // Takes one fetch from the caller's budget, for reads that have no other entry here.
    [[nodiscard]] Result<void> admit_fetch(const Caller& caller);
    Task<Result<Profile>> profile(Address address, std::optional<RequestProof> proof,
                                  Caller caller);
    Task<Result<bool>> exists(Address address, std::optional<RequestProof> proof, Caller caller);
    // Error SHADE_DIGEST_MISMATCH when the stored keys are not those the client hashed.
    Task<Result<void>> check(Address address, Bytes digest, std::optional<RequestProof> proof,
                             Caller caller);

    // ---- reads of an owner ----
    Task<Result<CountOutcome>> count(Address address, std::optional<RequestProof> proof,
                                     Caller caller);
    // Accepts a signed request that changes nothing (the owner's event stream): the restore epoch.
    Task<Result<std::int64_t>> accept(Address address, std::optional<RequestProof> proof,
                                      Caller caller);

    // Checks skew and signature of a request about `subject`, whose identity must exist. The
    // uploads above take its outcome, because their parsing depends on the suite.
    Task<Result<SignedIdentity>> authenticate(Address subject, std::optional<RequestProof> proof,
                                              Caller caller);

    // Pays for work that comes before authentication, such as parsing a large body.
    [[nodiscard]] Result<Attempt> attempt(const Caller& caller) {
        return attempts_.begin(caller.client_key);
    }

    [[nodiscard]] WorkerPool& workers() const { return workers_; }
    [[nodiscard]] const Config& config() const { return config_; }
    [[nodiscard]] const Clock& clock() const { return clock_; }

  private:
    struct Buckets;

    [[nodiscard]] Result<void> limit(net::RateLimiter& limiter, std::string_view key,
                                     std::string_view name, const Caller& caller,
                                     double tokens = 1);
    // Who the caller of a fetch says to be, verified; nullopt without a proof.
    Task<Result<std::optional<Store::Requester>>> identify(std::optional<RequestProof> proof,
                                                           Caller caller);
    // For fetches that consume nothing: checks and uses up the proof, when there is one.
    Task<Result<void>> admit_reader(std::optional<RequestProof> proof, Caller caller);
    void withheld(std::string_view limit_name, const Address& target, const Caller& caller);
    [[nodiscard]] bool may_consume(const Address& target, const KeyPayer& payer,
                                   const Caller& caller);
    void after_claim(const ClaimItem& item, const std::optional<ClaimedBundle>& bundle,
                     const KeyPayer& payer, bool paid, const Caller& caller);
    // Counts and publishes failures that an operator watches; returns the error unchanged.
    [[nodiscard]] Error noted(Error error, const std::optional<Address>& address,
                              const Caller& caller);
    void emit(EventType type, const Address& address, const Caller& caller);

    const Config& config_;
    Store& store_;
    WorkerPool& workers_;
    const Clock& clock_;
    Entropy& entropy_;
    EventSink& events_;
    Indexer index_of_;
    std::unique_ptr<Buckets> buckets_;
    Attempts attempts_;
    KeyBudgets key_budgets_;
};

}  // namespace nave::prekeys
