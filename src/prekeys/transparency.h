// Transparency: the key-transparency log as a service keeps it. It holds the two log keys, signs
// checkpoints as the tree grows, and assembles proofs. Leaves are appended by the store itself, in
// the transactions that change identities (kt_log.h).
//
// The last checkpoint is also kept in a file beside the key. A database that holds fewer entries
// than were once signed (a restored backup, a lost disk) is noticed, and nothing is signed for it:
// two checkpoints of one size with different trees would be proof of a lying server.
#pragma once

#include "base/clock.h"
#include "base/entropy.h"
#include "crypto/ecvrf.h"
#include "crypto/ed25519.h"
#include "prekeys/events.h"
#include "prekeys/kt/checkpoint.h"
#include "prekeys/kt/leaf.h"
#include "prekeys/kt/note.h"
#include "prekeys/kt/proof.h"
#include "prekeys/kt/tiles.h"
#include "prekeys/types.h"
#include "runtime/log.h"
#include "runtime/worker_pool.h"
#include "storage/database.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace nave::prekeys {

struct TransparencyFiles {
    std::filesystem::path key;         // 32-byte seed in hex, 0600, made when absent
    std::filesystem::path checkpoint;  // the last signed note
    std::string origin;                // "" for one derived from the key
};

struct SignedTree {
    std::uint64_t size = 0;
    std::string note;
    UnixMillis signed_at = 0;
};

class Transparency {
  public:
    // Reads or makes the key file. Blocking, for start-up. Errors "prekeys.kt_key".
    [[nodiscard]] static Result<std::unique_ptr<Transparency>> create(
        TransparencyFiles files, storage::Database& database, WorkerPool& workers,
        const Clock& clock, Entropy& entropy, EventSink& events, Logger& logger);

    // What open() would find wrong with files and database; changes neither. For `nave doctor`.
    static Task<Result<std::optional<std::string>>> examine(TransparencyFiles files,
                                                            storage::Database& database);

    // Computes an address's index; slow, so for the worker pool, where it may outlive this object.
    [[nodiscard]] std::function<kt::AddressIndex(const Address&)> indexer() const;

    // Checks the database against key and checkpoint file; signing stays off when they disagree.
    Task<Result<void>> open();
    // Why nothing is signed, or nothing; for operators. What open() found lasts until a restart,
    // what latest() met until it succeeds.
    [[nodiscard]] const std::optional<std::string>& trouble() const {
        return refusal_ ? refusal_ : failure_;
    }
    // Trying again is of no use.
    [[nodiscard]] bool refuses() const { return refusal_.has_value(); }

    // A signed tree that covers every leaf committed before the call. Errors SHADE_STORAGE while it
    // refuses, or the database holds less than was signed.
    Task<Result<SignedTree>> latest();
    [[nodiscard]] const std::optional<SignedTree>& last_signed() const { return last_; }

    // JSON texts. Errors SHADE_NOT_FOUND for an address the log does not know, SHADE_VALIDATION for
    // `since` above the tree.
    Task<Result<std::string>> history(Address address, std::optional<std::uint64_t> since);
    // The "kt" member of a bundle. `otherwise` is a tree signed before: used when no newer one can
    // be had, so that a failing disk costs nobody a one-time key that was handed out meanwhile.
    Task<Result<std::string>> bundle_member(Address address, std::optional<SignedTree> otherwise);
    Task<Result<std::string>> bundle_member(Address address) {
        return bundle_member(std::move(address), std::nullopt);
    }
    Task<Result<Bytes>> tile(kt::TilePath path);

    [[nodiscard]] const std::string& origin() const { return origin_; }
    [[nodiscard]] std::string vkey() const;
    [[nodiscard]] const ByteArray<32>& vrf_public_key() const { return keys_->vrf.public_key(); }

  private:
    // Shared with work on the pool, which may end after this object.
    struct Keys {
        crypto::Ed25519SigningKey log;
        crypto::VrfSecretKey vrf;
    };
    struct TreeState {
        std::uint64_t size = 0;
        kt::Hash root{};
    };
    class CheckpointFile;
    [[nodiscard]] static Result<Keys> make_keys(const std::filesystem::path& file, ByteView seed);
    [[nodiscard]] static std::string origin_of(const TransparencyFiles& files, const Keys& keys);
    [[nodiscard]] kt::NoteKey own_key() const;
    // How the database contradicts the checkpoint that was kept, if it does.
    static Task<Result<std::optional<std::string>>> compare(std::filesystem::path file,
                                                            kt::NoteKey own, TreeState tree,
                                                            storage::Database& database);
    [[nodiscard]] static Result<TreeState> tree_state(storage::Transaction& tx);
    Transparency(TransparencyFiles files, std::shared_ptr<const Keys> keys,
                 storage::Database& database, WorkerPool& workers, const Clock& clock,
                 EventSink& events, Logger& logger);

    TransparencyFiles files_;
    std::shared_ptr<CheckpointFile> checkpoint_file_;
    std::shared_ptr<const Keys> keys_;
    std::string origin_;
    storage::Database& database_;
    WorkerPool& workers_;
    const Clock& clock_;
    EventSink& events_;
    Logger& logger_;
    std::optional<SignedTree> last_;
    Task<Result<SignedTree>> sign(TreeState tree);
    std::optional<std::string> refusal_;
    std::optional<std::string> failure_;
};

}  // namespace nave::prekeys
