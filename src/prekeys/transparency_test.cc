// The log's keys and checkpoints: what is signed, what is kept, and when nothing is signed at all.
#include "prekeys/transparency.h"

#include "base/encoding.h"
#include "prekeys/errors.h"
#include "prekeys/kt/checkpoint.h"
#include "prekeys/test_directory.h"
#include "runtime/private_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <utility>

namespace nave::prekeys {
namespace {

class TransparencyTest : public StoreFixture {
  protected:
    void SetUp() override { use_store(storage::Store::memory); }

    Result<std::unique_ptr<Transparency>> make(const std::string& origin = "") {
        return Transparency::create({directory_ / "kt.key", directory_ / "kt.note", origin}, db(),
                                    workers_, clock_, entropy_, events_, logger_);
    }
    std::unique_ptr<Transparency> opened() {
        auto log = make();
        EXPECT_TRUE(log) << log.error().message;
        const auto done = run((*log)->open());
        EXPECT_TRUE(done) << done.error().message;
        return std::move(*log);
    }
    void grow(int identities) {
        for (int i = 0; i < identities; ++i) {
            TestDevice device(fmt::format("user:{}", made_), Suite::x3dh_ed25519,
                              static_cast<std::uint64_t>(made_));
            ++made_;
            ASSERT_TRUE(enrol(device));
        }
    }
    static kt::Checkpoint read(const Transparency& log, std::string_view note) {
        const auto key = kt::NoteKey::parse(log.vkey()).value();
        const auto checkpoint = kt::open_checkpoint(note, key);
        EXPECT_TRUE(checkpoint) << checkpoint.error().id;
        return checkpoint.value_or(kt::Checkpoint());
    }
    std::string kept() { return read_private_file(directory_ / "kt.note").value().value_or(""); }

    int made_ = 0;
    ManualClock clock_{kTestNow};
    SeededEntropy entropy_{5};
    RecordedEvents events_;
    WorkerPool workers_{loop_, 4, 256};
};

TEST_F(TransparencyTest, KeysAreMadeOnceAndStay) {
    const auto first = make();
    ASSERT_TRUE(first);
    const auto again = make();
    ASSERT_TRUE(again);
    EXPECT_EQ((*first)->vkey(), (*again)->vkey());
    EXPECT_EQ((*first)->vrf_public_key(), (*again)->vrf_public_key());
    EXPECT_TRUE((*first)->origin().starts_with("nave-prekeys-"));
    EXPECT_TRUE((*first)->vkey().starts_with((*first)->origin() + "+"));
    const auto mode = std::filesystem::status(directory_ / "kt.key").permissions();
    EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    EXPECT_NE(hex((*first)->vrf_public_key()),
              hex(kt::NoteKey::parse((*first)->vkey())->public_key))
        << "two keys from one seed";
    EXPECT_EQ(make("log.example").value()->origin(), "log.example");
}

TEST_F(TransparencyTest, BadKeyFilesAndNamesAreRefused) {
    EXPECT_EQ(outcome_id(make("two words")), "prekeys.kt_origin");
    ASSERT_TRUE(write_private_file(directory_ / "kt.key", "not a seed"));
    EXPECT_EQ(outcome_id(make()), "prekeys.kt_key");
    ASSERT_TRUE(write_private_file(directory_ / "kt.key", hex(Bytes(31)) + "\n"));
    EXPECT_EQ(outcome_id(make()), "prekeys.kt_key");
}

TEST_F(TransparencyTest, ALogBelongsToOneKey) {
    static_cast<void>(opened());
    std::filesystem::remove(directory_ / "kt.key");
    const auto other = make();
    ASSERT_TRUE(other);
    EXPECT_EQ(outcome_id(run((*other)->open())), "prekeys.kt_other_key");
}

TEST_F(TransparencyTest, SignsEachTreeOnce) {
    const auto log = opened();
    const auto empty = run(log->latest());
    ASSERT_TRUE(empty) << empty.error().id;
    EXPECT_EQ(empty->size, 0U);
    EXPECT_EQ(read(*log, empty->note).root, kt::empty_root());
    grow(3);
    clock_.advance(std::chrono::seconds(5));
    const auto three = run(log->latest());
    ASSERT_TRUE(three);
    EXPECT_EQ(three->size, 3U);
    EXPECT_EQ(three->signed_at, kTestNow + 5'000);
    EXPECT_EQ(read(*log, three->note).size, 3U);
    EXPECT_EQ(kept(), three->note);
    EXPECT_EQ(log->last_signed()->size, 3U);
    EXPECT_EQ(events_.last(EventType::kt_checkpoint).tree_size, 3);
    clock_.advance(std::chrono::seconds(5));
    EXPECT_EQ(run(log->latest())->signed_at, kTestNow + 5'000) << "nothing has grown";
    EXPECT_EQ(events_.take(), "kt_checkpoint kt_checkpoint");
    EXPECT_EQ(rows("kt_checkpoints"), 2);
}

// Grows the log and asks for a signature, several times over.
Task<Result<SignedTree>> grow_and_sign(Store& store, std::vector<TestDevice> devices,
                                       Transparency& signer) {
    Result<SignedTree> tree;
    for (const TestDevice& device : devices) {
        auto upload = device.registration();
        auto proof = device.accepted();
        CO_TRY_VOID(
            co_await store.enrol(std::move(upload), std::move(proof), kTestIndex, kTestNow, 1));
        tree = co_await signer.latest();
    }
    co_return tree;
}

// A database whose next read comes back late: after all that `meanwhile` does.
class LateDatabase final : public storage::Database {
  public:
    explicit LateDatabase(storage::Database& inner) : inner_(inner) {}
    std::function<Task<void>()> meanwhile;

    [[nodiscard]] storage::Dialect dialect() const override { return inner_.dialect(); }
    [[nodiscard]] std::optional<std::string> trouble() const override { return inner_.trouble(); }
    [[nodiscard]] storage::DatabaseStats stats() const override { return inner_.stats(); }
    [[nodiscard]] std::string describe() const override { return inner_.describe(); }
    void close() override {}

  protected:
    Task<Result<void>> submit(Access access, std::shared_ptr<Job> job) override {
        auto run = [job](storage::Transaction& tx) -> Result<bool> {
            TRY_VOID(job->execute(tx));
            return true;
        };
        if (access == Access::write) {
            CO_TRY_VOID(co_await inner_.write(std::move(run)));
            co_return ok();
        }
        CO_TRY_VOID(co_await inner_.read(std::move(run)));
        if (const auto first = std::exchange(meanwhile, nullptr)) {
            co_await first();
        }
        co_return ok();
    }

  private:
    storage::Database& inner_;
};

TEST_F(TransparencyTest, AReadThatComesBackLateGetsTheNewerTree) {
    LateDatabase late(db());
    auto log = Transparency::create({directory_ / "kt.key", directory_ / "kt.note", ""}, late,
                                    workers_, clock_, entropy_, events_, logger_)
                   .value();
    ASSERT_TRUE(run(log->open()));
    grow(2);
    std::uint64_t newer = 0;
    const auto grow_meanwhile = [](Store& store, Transparency& signer,
                                   std::uint64_t& size) -> Task<void> {
        TestDevice device("late:1", Suite::x3dh_ed25519, 77);
        auto upload = device.registration();
        auto proof = device.accepted();
        const auto made =
            co_await store.enrol(std::move(upload), std::move(proof), kTestIndex, kTestNow, 1);
        EXPECT_TRUE(made);
        const auto tree = co_await signer.latest();
        size = tree ? tree->size : 0;
    };
    late.meanwhile = [&] { return grow_meanwhile(store(), *log, newer); };
    const auto tree = run(log->latest());
    EXPECT_EQ(newer, 3U);
    ASSERT_TRUE(tree) << tree.error().id;
    EXPECT_EQ(tree->size, 3U);
    EXPECT_FALSE(log->trouble());
}

// Trouble that comes while the server runs, and goes.
TEST_F(TransparencyTest, ALogThatFallsBehindOrCannotBeKeptIsInTrouble) {
    const auto log = opened();
    grow(3);
    ASSERT_TRUE(run(log->latest()));
    EXPECT_FALSE(log->trouble());
    script(
        "create temp table kept_head as select * from shade_server_kt_head;"
        "update shade_server_kt_head set tree_size = 0, peaks = x'';");
    EXPECT_EQ(outcome_id(run(log->latest())), "SHADE_STORAGE");
    ASSERT_TRUE(log->trouble());
    EXPECT_TRUE(log->trouble()->contains("holds 0 log entries, but 3 were signed"));
    EXPECT_FALSE(log->refuses()) << "it may catch up, as a replica does";
    script(
        "update shade_server_kt_head set tree_size = 3, "
        "peaks = (select peaks from kept_head);");
    EXPECT_TRUE(run(log->latest()));
    EXPECT_FALSE(log->trouble());

    grow(1);
    std::filesystem::remove(directory_ / "kt.note");
    std::filesystem::create_directory(directory_ / "kt.note");
    EXPECT_FALSE(run(log->latest()));
    ASSERT_TRUE(log->trouble());
    EXPECT_TRUE(log->trouble()->contains("cannot be kept"));
    EXPECT_EQ(log->last_signed()->size, 3U) << "shown to nobody";
    std::filesystem::remove(directory_ / "kt.note");
    EXPECT_EQ(run(log->latest())->size, 4U);
    EXPECT_FALSE(log->trouble());
}

TEST_F(TransparencyTest, ExaminingFindsWhatAStartWould) {
    const TransparencyFiles files{directory_ / "kt.key", directory_ / "kt.note", ""};
    const auto found = [&] {
        const auto trouble = run(Transparency::examine(files, db()));
        return trouble ? trouble->value_or("nothing") : trouble.error().message;
    };
    EXPECT_EQ(found(), "nothing") << "before the first start";
    EXPECT_FALSE(std::filesystem::exists(files.key)) << "looking changes nothing";
    grow(3);
    ASSERT_TRUE(run(opened()->latest()));
    EXPECT_EQ(found(), "nothing");
    script("update shade_server_kt_head set tree_size = 0, peaks = x''");
    EXPECT_TRUE(found().contains("holds 0 log entries, but 3 were signed"));
    ASSERT_TRUE(write_private_file(files.checkpoint, "something else\n"));
    EXPECT_TRUE(found().contains("is not a checkpoint of this log"));
    const auto damaged = opened();
    EXPECT_TRUE(damaged->trouble()->contains(files.checkpoint.string()));
    const auto refused = run(damaged->latest());
    ASSERT_FALSE(refused);
    EXPECT_EQ(error_object(refused.error(), "r"),
              R"({"code":"SHADE_STORAGE","message":"Key transparency is out of service.",)"
              R"("requestId":"r"})");
    EXPECT_TRUE(refused.error().detail.contains(files.checkpoint.string()));
    ASSERT_TRUE(write_private_file(files.key, hex(Bytes(32)) + "\n"));
    EXPECT_TRUE(found().contains("signed by another key"));
    ASSERT_TRUE(write_private_file(files.key, "no seed"));
    EXPECT_TRUE(found().contains("64 hexadecimal digits"));
    std::filesystem::remove(files.key);
    EXPECT_TRUE(found().contains("is missing"));
}

// The file must never fall behind what somebody was shown.
TEST_F(TransparencyTest, TheKeptCheckpointOnlyGrows) {
    use_store(storage::Store::file);
    const auto log = opened();
    for (int round = 0; round < 10; ++round) {
        std::vector<Task<Result<SignedTree>>> tasks;
        for (int i = 0; i < 6; ++i) {
            std::vector<TestDevice> devices;
            for (int j = 0; j < 3; ++j, ++made_) {
                devices.emplace_back(fmt::format("user:{}", made_), Suite::x3dh_ed25519,
                                     static_cast<std::uint64_t>(made_));
            }
            tasks.push_back(grow_and_sign(store(), std::move(devices), *log));
        }
        std::uint64_t largest = 0;
        for (const auto& tree : run_all(std::move(tasks))) {
            ASSERT_TRUE(tree) << tree.error().id << " " << tree.error().message;
            largest = std::max(largest, tree->size);
        }
        EXPECT_EQ(largest, static_cast<std::uint64_t>(made_));
        EXPECT_EQ(log->last_signed()->size, largest);
        ASSERT_EQ(read(*log, kept()).size, largest) << "round " << round;
    }
}

TEST_F(TransparencyTest, ADatabaseThatFellBackIsNoticed) {
    std::string newer;
    {
        const auto log = opened();
        grow(5);
        newer = run(log->latest())->note;
    }
    // As a restored backup: the database holds less than was signed.
    use_store(storage::Store::memory);
    made_ = 0;
    grow(3);
    const auto behind = opened();
    ASSERT_TRUE(behind->trouble());
    EXPECT_TRUE(behind->trouble()->contains("holds 3 log entries, but 5 were signed"));
    EXPECT_EQ(outcome_id(run(behind->latest())), "SHADE_STORAGE");
    EXPECT_EQ(outcome_id(run(behind->history(Address::parse("user:0").value(), std::nullopt))),
              "SHADE_STORAGE");
    EXPECT_TRUE(log_->contains("signs nothing"));
    // Growing past the signed size does not make it the same log.
    grow(4);
    const auto regrown = opened();
    ASSERT_TRUE(regrown->trouble());
    EXPECT_TRUE(regrown->trouble()->contains("differs"));
    EXPECT_EQ(kept(), newer) << "the evidence stays";
}

TEST_F(TransparencyTest, AForeignCheckpointFileIsNoticed) {
    ASSERT_TRUE(write_private_file(directory_ / "kt.note", "something else\n"));
    const auto log = opened();
    ASSERT_TRUE(log->trouble());
    EXPECT_EQ(outcome_id(run(log->latest())), "SHADE_STORAGE");
}

TEST_F(TransparencyTest, ARestartGoesOnWhereItWas) {
    grow(4);
    std::string note;
    {
        const auto log = opened();
        note = run(log->latest())->note;
    }
    const auto log = opened();
    EXPECT_FALSE(log->trouble());
    EXPECT_EQ(run(log->latest())->note, note);
    grow(1);
    EXPECT_EQ(run(log->latest())->size, 5U);
}

TEST_F(TransparencyTest, TilesHoldWhatTheTreeHolds) {
    const auto log = opened();
    grow(5);
    const auto hashes =
        run(log->tile(kt::TilePath{.entries = false, .level = 0, .index = 0, .width = 5}));
    ASSERT_TRUE(hashes) << hashes.error().id;
    EXPECT_EQ(hashes->size(), 5U * 32);
    const auto entries =
        run(log->tile(kt::TilePath{.entries = true, .level = 0, .index = 0, .width = 5}));
    ASSERT_TRUE(entries);
    const auto leaves = kt::parse_entries(*entries);
    ASSERT_TRUE(leaves);
    ASSERT_EQ(leaves->size(), 5U);
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_TRUE(equal(kt::leaf_hash((*leaves)[i]), ByteView(*hashes).subspan(i * 32, 32)));
    }
    EXPECT_EQ(outcome_id(run(
                  log->tile(kt::TilePath{.entries = false, .level = 0, .index = 0, .width = 6}))),
              "SHADE_NOT_FOUND");
}

TEST_F(TransparencyTest, HistoriesThatCannotBe) {
    const auto log = opened();
    grow(1);
    const Address user = Address::parse("user:0").value();
    EXPECT_EQ(outcome_id(run(log->history(user, 2))), "SHADE_VALIDATION");
    EXPECT_EQ(outcome_id(run(log->history(user, 1))), "ok");
    EXPECT_EQ(outcome_id(run(log->history(user, 0))), "ok");
    EXPECT_EQ(outcome_id(run(log->history(Address::parse("nobody").value(), std::nullopt))),
              "SHADE_NOT_FOUND");
    EXPECT_EQ(outcome_id(run(log->bundle_member(Address::parse("nobody").value()))),
              "SHADE_NOT_FOUND");
}

}  // namespace
}  // namespace nave::prekeys
