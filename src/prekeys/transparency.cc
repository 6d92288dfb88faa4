#include "prekeys/transparency.h"

#include "base/encoding.h"
#include "base/json.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "prekeys/errors.h"
#include "prekeys/kt_identity.h"
#include "prekeys/kt_log.h"
#include "runtime/private_file.h"

#include <fmt/format.h>

#include <mutex>

namespace nave::prekeys {
namespace {

using storage::Transaction;

constexpr std::size_t kSeedSize = 32;
// A checkpoint that is not kept is shown to nobody.
constexpr const char* kCannotKeep = "prekeys.kt_checkpoint_file";

std::unexpected<Error> bad_key(const std::filesystem::path& path, std::string_view why) {
    return fail(Code::invalid, "prekeys.kt_key",
                fmt::format("SHADE_KT_KEY_FILE {}: {}", path.string(), why));
}

// The seed file holds one secret; the keys made from it must not be related.
ByteArray<32> derive(ByteView seed, std::string_view purpose) {
    return crypto::hmac_sha256(seed, as_bytes(purpose));
}

Result<Bytes> parse_seed(const std::filesystem::path& path, std::string_view text) {
    auto seed = hex_decode(trim(text));
    if (!seed || seed->size() != kSeedSize) {
        return bad_key(path, "must hold 64 hexadecimal digits");
    }
    return std::move(*seed);
}

Result<Bytes> read_or_make_seed(const std::filesystem::path& path, Entropy& entropy) {
    TRY(const auto existing, read_private_file(path));
    if (existing) {
        return parse_seed(path, *existing);
    }
    Bytes seed(kSeedSize);
    entropy.fill(seed);
    TRY_VOID(write_private_file(path, hex(seed) + "\n"));
    return seed;
}

kt::ProvedLeaf proved(const sql::StoredLeaf& stored, const Address& address,
                      std::vector<kt::Hash> inclusion) {
    kt::ProvedLeaf leaf;
    leaf.leaf_index = stored.leaf_index;
    leaf.leaf = stored.leaf;
    leaf.inclusion = std::move(inclusion);
    if (stored.salt) {
        leaf.opened = kt::OpenedIdentity{*stored.salt, committed_identity(address, stored.keys)};
    }
    return leaf;
}

}  // namespace

Result<Transparency::Keys> Transparency::make_keys(const std::filesystem::path& file,
                                                   ByteView seed) {
    auto log_key = crypto::Ed25519SigningKey::from_seed(derive(seed, "nave-kt-log"));
    auto vrf_key = crypto::VrfSecretKey::from_seed(derive(seed, "nave-kt-vrf"));
    if (!log_key || !vrf_key) {
        return bad_key(file, "does not yield keys");
    }
    return Keys{std::move(*log_key), std::move(*vrf_key)};
}

std::string Transparency::origin_of(const TransparencyFiles& files, const Keys& keys) {
    if (!files.origin.empty()) {
        return files.origin;
    }
    return fmt::format("nave-prekeys-{}",
                       hex(ByteView(crypto::sha256(keys.log.public_key())).first(6)));
}

Result<Transparency::TreeState> Transparency::tree_state(Transaction& tx) {
    TRY(sql::LogHead head, sql::log_head(tx));
    TRY(const kt::Frontier frontier,
        kt::Frontier::from_peaks(head.tree_size, std::move(head.peaks)));
    return TreeState{frontier.size(), frontier.root()};
}

Result<std::unique_ptr<Transparency>> Transparency::create(TransparencyFiles files,
                                                           storage::Database& database,
                                                           WorkerPool& workers, const Clock& clock,
                                                           Entropy& entropy, EventSink& events,
                                                           Logger& logger) {
    TRY(const Bytes seed, read_or_make_seed(files.key, entropy));
    TRY(Keys made, make_keys(files.key, seed));
    if (!files.origin.empty() && !kt::is_note_key_name(files.origin)) {
        return fail(Code::invalid, "prekeys.kt_origin",
                    "SHADE_KT_ORIGIN must be a name without spaces or plus signs");
    }
    auto keys = std::make_shared<const Keys>(std::move(made));
    return std::unique_ptr<Transparency>(new Transparency(
        std::move(files), std::move(keys), database, workers, clock, events, logger));
}

// Workers take turns in any order, but an older checkpoint must not replace a newer one.
class Transparency::CheckpointFile {
  public:
    explicit CheckpointFile(std::filesystem::path path) : path_(std::move(path)) {}

    // Blocks. What is kept afterwards covers a tree of `size`.
    [[nodiscard]] Result<void> keep(std::uint64_t size, std::string_view note) {
        const std::lock_guard lock(mutex_);
        if (kept_ && *kept_ >= size) {
            return ok();
        }
        if (const auto written = write_private_file(path_, note); !written) {
            return fail(Code::unavailable, kCannotKeep,
                        "the signed checkpoint cannot be kept: " + written.error().message);
        }
        kept_ = size;
        return ok();
    }

  private:
    const std::filesystem::path path_;
    std::mutex mutex_;
    std::optional<std::uint64_t> kept_;
};

Transparency::Transparency(TransparencyFiles files, std::shared_ptr<const Keys> keys,
                           storage::Database& database, WorkerPool& workers, const Clock& clock,
                           EventSink& events, Logger& logger)
    : files_(std::move(files)),
      checkpoint_file_(std::make_shared<CheckpointFile>(files_.checkpoint)),
      keys_(std::move(keys)),
      origin_(origin_of(files_, *keys_)),
      database_(database),
      workers_(workers),
      clock_(clock),
      events_(events),
      logger_(logger) {}

std::string Transparency::vkey() const {
    return own_key().vkey();
}

std::function<kt::AddressIndex(const Address&)> Transparency::indexer() const {
    return [keys = keys_](const Address& address) {
        return kt::address_index(keys->vrf.output(as_bytes(address.text())));
    };
}

kt::NoteKey Transparency::own_key() const {
    return {origin_, kt::NoteKeyType::ed25519, keys_->log.public_key()};
}

Task<Result<std::optional<std::string>>> Transparency::compare(std::filesystem::path file,
                                                               kt::NoteKey own, TreeState tree,
                                                               storage::Database& database) {
    CO_TRY(const auto kept, read_private_file(file));
    if (!kept) {
        co_return std::nullopt;
    }
    const auto checkpoint = kt::open_checkpoint(*kept, own);
    if (!checkpoint) {
        co_return fmt::format("{} is not a checkpoint of this log", file.string());
    }
    if (checkpoint->size > tree.size) {
        co_return fmt::format(
            "the database holds {} log entries, but {} were signed; an older "
            "state was restored",
            tree.size, checkpoint->size);
    }
    // A restored log that grew again differs below the size that was signed.
    auto read_root = [size = checkpoint->size](Transaction& tx) -> Result<kt::Hash> {
        TRY(const kt::Frontier frontier, kt::Frontier::load(size, sql::node_reader(tx)));
        return frontier.root();
    };
    CO_TRY(const kt::Hash root, co_await database.read(std::move(read_root)));
    if (root != checkpoint->root) {
        co_return "the database's log differs from the one that was signed";
    }
    co_return std::nullopt;
}

Task<Result<std::optional<std::string>>> Transparency::examine(TransparencyFiles files,
                                                               storage::Database& database) {
    struct Stored {
        std::optional<Bytes> log_key;
        TreeState tree;
    };
    auto read = [](Transaction& tx) -> Result<Stored> {
        TRY(const sql::LogHead head, sql::log_head(tx));
        TRY(const TreeState tree, tree_state(tx));
        return Stored{head.log_key, tree};
    };
    CO_TRY(const Stored stored, co_await database.read(std::move(read)));
    CO_TRY(const auto text, read_private_file(files.key));
    if (!text && stored.log_key) {
        co_return fmt::format("the log was signed, but its key {} is missing", files.key.string());
    }
    if (!text) {
        co_return std::nullopt;
    }
    CO_TRY(const Bytes seed, parse_seed(files.key, *text));
    CO_TRY(const Keys keys, make_keys(files.key, seed));
    if (stored.log_key && !equal(*stored.log_key, keys.log.public_key())) {
        co_return fmt::format("the log was signed by another key than {}", files.key.string());
    }
    kt::NoteKey own{origin_of(files, keys), kt::NoteKeyType::ed25519, keys.log.public_key()};
    co_return co_await compare(files.checkpoint, std::move(own), stored.tree, database);
}

Task<Result<void>> Transparency::open() {
    auto claim_log = [key =
                          to_bytes(keys_->log.public_key())](Transaction& tx) -> Result<TreeState> {
        TRY_VOID(tx.execute(
            "update shade_server_kt_head set log_key = $1 where id = 1 and log_key is null",
            {key}));
        TRY(const sql::LogHead head, sql::log_head(tx));
        if (head.log_key != key) {
            return fail(Code::conflict, "prekeys.kt_other_key",
                        "the database's key-transparency log was signed by another key; give every "
                        "node the same SHADE_KT_KEY_FILE");
        }
        return tree_state(tx);
    };
    CO_TRY(const TreeState tree, co_await database_.write(std::move(claim_log)));
    CO_TRY(refusal_, co_await compare(files_.checkpoint, own_key(), tree, database_));
    if (refusal_) {
        logger_.warn("key transparency signs nothing",
                     {{"why", *refusal_}, {"see", "docs/operations.md, Restoring"}});
    }
    co_return ok();
}

Task<Result<SignedTree>> Transparency::latest() {
    if (refusal_) {
        // Anybody may ask; the reason, which names files, is for the log and the observer.
        co_return errors::storage("Key transparency is out of service.", *refusal_);
    }
    const std::uint64_t signed_before = last_ ? last_->size : 0;
    auto read = [](Transaction& tx) { return tree_state(tx); };
    CO_TRY(const TreeState tree, co_await database_.read(std::move(read)));
    if (tree.size < signed_before) {
        failure_ = fmt::format("the database holds {} log entries, but {} were signed", tree.size,
                               signed_before);
        co_return errors::storage("The stored log is behind what was signed.");
    }
    if (last_ && last_->size >= tree.size) {
        // Larger: another call signed a newer tree while this one was reading.
        failure_.reset();
        co_return *last_;
    }
    auto made = co_await sign(tree);
    if (made) {
        failure_.reset();
    } else if (made.error().id == kCannotKeep) {
        failure_ = made.error().message;
    }
    co_return made;
}

Task<Result<SignedTree>> Transparency::sign(TreeState tree) {
    SignedTree made;
    made.size = tree.size;
    made.signed_at = clock_.now();
    made.note = kt::sign_checkpoint(kt::Checkpoint{origin_, tree.size, tree.root, {}}, keys_->log);
    // Kept before anyone sees it; the file write is small and blocking, so it goes to a worker.
    auto keep = [file = checkpoint_file_, size = made.size, note = made.note]() -> Result<bool> {
        TRY_VOID(file->keep(size, note));
        return true;
    };
    CO_TRY_VOID(co_await workers_.run(std::move(keep)));
    auto store = [made](Transaction& tx) -> Result<bool> {
        TRY_VOID(
            tx.execute("insert into shade_server_kt_checkpoints (tree_size, note, signed_at) "
                       "values ($1, $2, $3) on conflict (tree_size) do nothing",
                       {static_cast<std::int64_t>(made.size), made.note, made.signed_at}));
        return true;
    };
    CO_TRY_VOID(co_await database_.write(std::move(store)));
    if (!last_ || last_->size < made.size) {
        last_ = made;
        Event event;
        event.type = EventType::kt_checkpoint;
        event.at = made.signed_at;
        event.tree_size = static_cast<std::int64_t>(made.size);
        events_.on_event(event);
    }
    co_return made;
}

Task<Result<std::string>> Transparency::history(Address address,
                                                std::optional<std::uint64_t> since) {
    CO_TRY(const SignedTree tree, co_await latest());
    if (since && *since > tree.size) {
        co_return errors::invalid_field("since", "is larger than the log");
    }
    auto read = [address, since, size = tree.size](Transaction& tx) -> Result<kt::HistoryProof> {
        TRY(const auto leaves, sql::leaves_of(tx, address, size));
        if (leaves.empty()) {
            return errors::not_found("The log has no entry for this address.");
        }
        kt::HistoryProof proof;
        proof.address = address.text();
        for (const sql::StoredLeaf& leaf : leaves) {
            TRY(auto inclusion, kt::inclusion_proof(leaf.leaf_index, size, sql::node_reader(tx)));
            proof.leaves.push_back(proved(leaf, address, std::move(inclusion)));
        }
        if (since) {
            TRY(auto consistency, kt::consistency_proof(*since, size, sql::node_reader(tx)));
            proof.consistency = kt::ConsistencyFrom{*since, std::move(consistency)};
        }
        return proof;
    };
    CO_TRY(kt::HistoryProof proof, co_await database_.read(std::move(read)));
    proof.checkpoint = tree.note;
    auto prove = [keys = keys_, proof = std::move(proof)]() mutable -> Result<std::string> {
        proof.vrf_proof = keys->vrf.prove(as_bytes(proof.address)).proof;
        return json::text(kt::to_json(proof));
    };
    co_return co_await workers_.run(std::move(prove));
}

Task<Result<std::string>> Transparency::bundle_member(Address address,
                                                      std::optional<SignedTree> otherwise) {
    auto newest = co_await latest();
    if (!newest && !otherwise) {
        co_return std::unexpected(std::move(newest).error());
    }
    const SignedTree tree = newest ? std::move(*newest) : std::move(*otherwise);
    auto read = [address, size = tree.size](Transaction& tx) -> Result<kt::BundleProof> {
        TRY(const auto leaves, sql::leaves_of(tx, address, size));
        if (leaves.empty() || !leaves.back().salt) {
            return errors::not_found("The log has no entry for this address.");
        }
        kt::BundleProof proof;
        proof.tree_size = size;
        TRY(auto inclusion,
            kt::inclusion_proof(leaves.back().leaf_index, size, sql::node_reader(tx)));
        proof.leaf = proved(leaves.back(), address, std::move(inclusion));
        return proof;
    };
    CO_TRY(kt::BundleProof proof, co_await database_.read(std::move(read)));
    proof.checkpoint = tree.note;
    auto prove = [keys = keys_, address,
                  proof = std::move(proof)]() mutable -> Result<std::string> {
        proof.vrf_proof = keys->vrf.prove(as_bytes(address.text())).proof;
        return json::text(kt::to_json(proof));
    };
    co_return co_await workers_.run(std::move(prove));
}

Task<Result<Bytes>> Transparency::tile(kt::TilePath path) {
    CO_TRY(const SignedTree tree, co_await latest());
    if (!kt::tile_exists(path, tree.size)) {
        co_return errors::not_found("The log has no such tile yet.");
    }
    auto read = [path](Transaction& tx) -> Result<Bytes> {
        if (path.entries) {
            TRY(const auto leaves, sql::leaf_range(tx, path.first(), path.width));
            Bytes bundle;
            for (const Bytes& leaf : leaves) {
                kt::append_entry(bundle, leaf);
            }
            return bundle;
        }
        const auto nodes = kt::tile_nodes(path);
        TRY(const auto hashes, sql::node_reader(tx)(nodes));
        return kt::tile_bytes(hashes);
    };
    co_return co_await database_.read(std::move(read));
}

}  // namespace nave::prekeys
