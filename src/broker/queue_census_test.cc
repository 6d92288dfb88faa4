#include "broker/queue_census.h"

#include "broker/queue_store.h"
#include "broker/test_store.h"

#include <fmt/format.h>

namespace nave::broker {
namespace {

constexpr Key kAda{1};
constexpr Key kBob{2};
constexpr Key kCyd{3};

class QueueCensusTest : public StoreTest {
  protected:
    static Append envelope(std::string_view mesh, UnixMillis created_at) {
        static int number = 0;
        Append append;
        append.envelope.id = fmt::format("envelope {}", ++number);
        append.envelope.mesh_id = mesh;
        append.envelope.sender_member_id = "ada";
        append.envelope.sender_key = kAda;
        append.envelope.created_at = created_at;
        append.envelope.expires_at = created_at + 1'000;
        return append;
    }
    static Append direct(std::string_view mesh, UnixMillis created_at) {
        Append append = envelope(mesh, created_at);
        append.recipient = kBob;
        return append;
    }
    Sequence store(Append append) {
        QueueStore queue(db(), QueuePolicy());
        return run(queue.append({std::move(append)})).value().at(0).sequence;
    }
    // "mesh: envelopes since age", in order of the meshes.
    std::string census(UnixMillis now) {
        std::string text;
        const auto meshes = run(count_waiting(db(), now)).value();
        for (const auto& [mesh, queue] : meshes) {
            text +=
                fmt::format("{}: {} since {}; ", mesh, queue.envelopes, queue.oldest_at - kTestNow);
        }
        return text;
    }
};

TEST_P(QueueCensusTest, CountsWhatWaitsInEachMesh) {
    EXPECT_EQ(census(kTestNow), "");
    store(direct("red", kTestNow + 20));
    store(direct("red", kTestNow + 10));
    store(direct("blue", kTestNow + 30));
    EXPECT_EQ(census(kTestNow + 40), "blue: 1 since 30; red: 2 since 10; ");
}

TEST_P(QueueCensusTest, WhatIsOnItsWayWaitsUntilItHasArrived) {
    Append claimed = direct("red", kTestNow);
    claimed.claimed_by = "a presence";
    claimed.claimed_until = kTestNow + 500;
    const Sequence sequence = store(std::move(claimed));
    EXPECT_EQ(census(kTestNow + 1), "red: 1 since 0; ");
    QueueStore queue(db(), QueuePolicy());
    ASSERT_TRUE(run(queue.settle({{sequence, Part::Kind::direct, kBob}}, {}, kTestNow + 1)));
    EXPECT_EQ(census(kTestNow + 1), "");
}

TEST_P(QueueCensusTest, AnEnvelopeToManyCountsForEachWhoWasNotThere) {
    Append many = envelope("red", kTestNow);
    many.live = {kAda};
    many.absent = {kBob, kCyd};
    store(std::move(many));
    EXPECT_EQ(census(kTestNow + 1), "red: 2 since 0; ");
}

TEST_P(QueueCensusTest, WhatHasExpiredDoesNotWait) {
    store(direct("red", kTestNow));
    store(direct("red", kTestNow + 600));
    EXPECT_EQ(census(kTestNow + 1'000), "red: 1 since 600; ");
    EXPECT_EQ(census(kTestNow + 1'600), "");
}

BROKER_ON_EVERY_STORE(QueueCensusTest);

}  // namespace
}  // namespace nave::broker
