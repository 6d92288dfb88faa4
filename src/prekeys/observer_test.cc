#include "prekeys/observer.h"

#include "base/json.h"
#include "prekeys/test_keys.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <string>

namespace nave::prekeys {
namespace {

using namespace std::chrono_literals;

constexpr EventType kAllTypes[] = {
    EventType::registered,
    EventType::fetched,
    EventType::replenished,
    EventType::deleted,
    EventType::rate_limited,
    EventType::key_withheld,
    EventType::signed_prekey_rotated,
    EventType::identity_rotated,
    EventType::prekeys_low,
    EventType::prekeys_exhausted,
    EventType::last_resort_used,
    EventType::depletion_suspected,
    EventType::identity_conflict,
    EventType::identity_key_reused,
    EventType::replay_rejected,
    EventType::auth_failed,
    EventType::purged,
    EventType::kt_checkpoint,
    EventType::restore_epoch,
};

struct Wire final : net::ResponseStream {
    std::string text;
    bool write(std::string_view bytes) override {
        text.append(bytes);
        return true;
    }
    [[nodiscard]] std::size_t buffered() const override { return 0; }
    void close() override {}
    void abort() override {}
    void on_closed(std::move_only_function<void()>) override {}
};

class ObserverTest : public testing::Test {
  protected:
    static Event event(EventType type) {
        Event e;
        e.type = type;
        e.at = kTestNow;
        e.address = Address::parse("alice:1").value();
        e.suite = Suite::pqxdh_xeddsa;
        e.one_time = OneTimeStatus::issued;
        e.kem = KemStatus::last_resort;
        e.remaining = Stock{7, 3};
        e.client_key = "198.51.100.7";
        e.limit = "pair";
        e.count = 5;
        e.tree_size = 9;
        e.signed_prekey_age_ms = 1'000;
        return e;
    }
    static std::shared_ptr<Wire> watch(Observer& observer) {
        auto wire = std::make_shared<Wire>();
        observer.feed().subscribe("").stream(wire);
        wire->text.clear();
        return wire;
    }
    static json::Object state(Observer& observer) {
        return json::parse("{" + observer.state_members(20) + "}").value().get_object();
    }
    static std::int64_t integer(const json::Object& object, std::string_view name) {
        return object.at(name).get_int64();
    }

    ManualClock clock_{kTestNow};
    SeededEntropy entropy_{3};
    Pseudonyms pseudonyms_{entropy_};
    Observer observer_{clock_, pseudonyms_, false};
};

TEST_F(ObserverTest, AnEventOnTheFeed) {
    const auto wire = watch(observer_);
    observer_.on_event(event(EventType::fetched));
    EXPECT_EQ(wire->text,
              fmt::format("id: {}\nevent: fetched\ndata: "
                          R"({{"ts":1700000000000,"type":"fetched","addressHash":"{}",)"
                          R"("suite":"pqxdh-xeddsa","oneTime":"issued","kem":"last_resort",)"
                          R"("remaining":7,"kemRemaining":3,"ipPrefixHash":"{}","limit":"pair",)"
                          R"("count":5,"treeSize":9}})"
                          "\n\n",
                          observer_.feed().last_id(), pseudonyms_.label("alice:1"),
                          pseudonyms_.label("198.51.100.7")));
    Event bare;
    bare.type = EventType::purged;
    bare.at = 5;
    wire->text.clear();
    observer_.on_event(bare);
    EXPECT_TRUE(wire->text.contains("data: {\"ts\":5,\"type\":\"purged\"}\n"));
}

// What the feed must never hold, whatever happened.
TEST_F(ObserverTest, NoEventHoldsKeysNamesOrClients) {
    const auto wire = watch(observer_);
    for (const EventType type : kAllTypes) {
        observer_.on_event(event(type));
    }
    EXPECT_FALSE(std::regex_search(wire->text, std::regex("[A-Za-z0-9+/_=-]{43}")));
    EXPECT_FALSE(wire->text.contains("alice"));
    EXPECT_FALSE(wire->text.contains("198.51"));
    const std::string shown = observer_.state_members(20);
    EXPECT_FALSE(shown.contains("alice"));
    EXPECT_FALSE(std::regex_search(shown, std::regex("[A-Za-z0-9+/_=-]{43}")));
}

TEST_F(ObserverTest, TheFeedLeavesOutWhatOnlyCountersKeep) {
    const auto wire = watch(observer_);
    std::set<std::string> names;
    for (const EventType type : kAllTypes) {
        EXPECT_FALSE(event_name(type).empty());
        EXPECT_TRUE(names.insert(std::string(event_name(type))).second);
        wire->text.clear();
        observer_.on_event(event(type));
        const bool internal =
            type == EventType::auth_failed || type == EventType::identity_key_reused ||
            type == EventType::last_resort_used || type == EventType::key_withheld;
        EXPECT_EQ(wire->text.empty(), internal) << event_name(type);
    }
}

TEST_F(ObserverTest, AddressesOnlyWhenTheOperatorAsked) {
    Observer open(clock_, pseudonyms_, true);
    const auto wire = watch(open);
    open.on_event(event(EventType::registered));
    EXPECT_TRUE(wire->text.contains(R"("address":"alice:1")"));
    open.set_snapshot({StoreTotals{},
                       {{Address::parse("bob:1").value(), Suite::x3dh_ed25519, Stock{1, 0},
                         std::nullopt, kTestNow}}});
    EXPECT_TRUE(open.state_members(20).contains(R"("address":"bob:1")"));
}

TEST_F(ObserverTest, IdsDoNotRepeatAfterARestart) {
    observer_.on_event(event(EventType::registered));
    clock_.advance(1ms);
    const Observer later(clock_, pseudonyms_, false);
    EXPECT_GT(later.feed().last_id(), observer_.feed().last_id());
}

TEST_F(ObserverTest, PseudonymsFollowTheirKey) {
    SeededEntropy other_entropy(4);
    const Pseudonyms other(other_entropy);
    EXPECT_EQ(pseudonyms_.label("alice:1"), pseudonyms_.label("alice:1"));
    EXPECT_NE(pseudonyms_.label("alice:1"), pseudonyms_.label("alice:2"));
    EXPECT_NE(pseudonyms_.label("alice:1"), other.label("alice:1")) << "another boot";
    EXPECT_EQ(pseudonyms_.label("alice:1").size(), 16U);
}

TEST_F(ObserverTest, StateHasTheAgreedMembers) {
    const json::Object shown = state(observer_);
    const auto names = [](const json::Object& object) {
        std::set<std::string> all;
        for (const auto& member : object) {
            all.emplace(member.key());
        }
        return all;
    };
    EXPECT_EQ(names(shown), (std::set<std::string>{"totals", "counters", "lowStock", "history"}));
    EXPECT_EQ(names(shown.at("totals").get_object()),
              (std::set<std::string>{"identities", "identitiesBySuite", "oneTimePreKeys",
                                     "kemOneTimePreKeys", "belowLowThreshold", "exhausted",
                                     "lowThreshold"}));
    EXPECT_EQ(names(shown.at("counters").get_object()),
              (std::set<std::string>{"registered", "fetched", "issued", "exhausted", "withheld",
                                     "replenished", "rotated", "deleted", "rateLimited",
                                     "replaysRejected", "authFailures", "identityConflicts",
                                     "depletionSuspected", "purged"}));
    EXPECT_EQ(names(shown.at("counters").get_object().at("rateLimited").get_object()),
              (std::set<std::string>{"register", "fetch", "target", "pair", "replenish"}));
    EXPECT_EQ(names(shown.at("history").get_object()),
              (std::set<std::string>{"stepMs", "end", "fetches", "issued", "exhausted", "withheld",
                                     "registrations", "rateLimited", "oneTimePreKeys",
                                     "kemOneTimePreKeys"}));
    EXPECT_TRUE(shown.at("lowStock").get_array().empty());
}

TEST_F(ObserverTest, CountersCount) {
    for (const EventType type : kAllTypes) {
        observer_.on_event(event(type));
    }
    Event withheld = event(EventType::fetched);
    withheld.one_time = OneTimeStatus::withheld;
    observer_.on_event(withheld);
    Event purged = event(EventType::purged);
    purged.count.reset();
    observer_.on_event(purged);
    const json::Object counters = state(observer_).at("counters").get_object();
    const std::map<std::string, std::int64_t> expected{
        {"registered", 1},   {"fetched", 2},           {"issued", 1},
        {"exhausted", 0},    {"withheld", 1},          {"replenished", 1},
        {"rotated", 2},      {"deleted", 1},           {"replaysRejected", 1},
        {"authFailures", 1}, {"identityConflicts", 1}, {"depletionSuspected", 1},
        {"purged", 6}};
    for (const auto& [name, value] : expected) {
        EXPECT_EQ(integer(counters, name), value) << name;
    }
    const json::Object limited = counters.at("rateLimited").get_object();
    EXPECT_EQ(integer(limited, "pair"), 2) << "one refused, one withheld";
    EXPECT_EQ(integer(limited, "register"), 0);
}

TEST_F(ObserverTest, HistoryHoldsHalfAnHourInStepsOfFiveSeconds) {
    const auto series = [&](std::string_view name) {
        std::vector<std::int64_t> values;
        const json::Object history = state(observer_).at("history").get_object();
        for (const json::Value& value : history.at(name).get_array()) {
            values.push_back(value.get_int64());
        }
        return values;
    };
    observer_.on_event(event(EventType::fetched));
    observer_.set_snapshot({StoreTotals{.one_time = 40, .kem_one_time = 4}, {}});
    clock_.advance(5s);
    observer_.on_event(event(EventType::fetched));
    observer_.on_event(event(EventType::registered));
    observer_.on_event(event(EventType::rate_limited));
    ASSERT_EQ(series("fetches").size(), 360U);
    EXPECT_EQ(series("fetches")[358], 1);
    EXPECT_EQ(series("fetches")[359], 1);
    EXPECT_EQ(series("fetches")[357], 0);
    EXPECT_EQ(series("issued")[359], 1);
    EXPECT_EQ(series("registrations")[359], 1);
    EXPECT_EQ(series("rateLimited")[359], 1);
    EXPECT_EQ(series("oneTimePreKeys")[358], 40);
    EXPECT_EQ(series("kemOneTimePreKeys")[358], 4);
    EXPECT_EQ(series("oneTimePreKeys")[359], -1) << "not measured in this step";
    EXPECT_EQ(integer(state(observer_).at("history").get_object(), "end"), kTestNow + 10'000);
    clock_.advance(358 * 5s);
    EXPECT_EQ(series("fetches")[0], 1);
    clock_.advance(5s);
    EXPECT_EQ(series("fetches")[0], 1) << "the second of them";
    clock_.advance(5s);
    EXPECT_EQ(series("fetches"), std::vector<std::int64_t>(360, 0));
    EXPECT_EQ(series("oneTimePreKeys"), std::vector<std::int64_t>(360, -1));
}

TEST_F(ObserverTest, TotalsAndLowStockComeFromTheSnapshot) {
    StoreTotals totals;
    totals.identities_by_suite = {0, 1, 2, 3, 4};
    totals.one_time = 50;
    totals.kem_one_time = 5;
    totals.below_low_threshold = 6;
    totals.exhausted = 2;
    observer_.set_snapshot({totals,
                            {{Address::parse("alice:1").value(), Suite::x3dh_xeddsa, Stock{1, 2},
                              kTestNow - 5, kTestNow - 9},
                             {Address::parse("bob:1").value(), Suite::x3dh_ed25519, Stock{},
                              std::nullopt, kTestNow}}});
    const json::Object shown = state(observer_);
    const json::Object& seen = shown.at("totals").get_object();
    EXPECT_EQ(integer(seen, "identities"), 10);
    EXPECT_EQ(integer(seen.at("identitiesBySuite").get_object(), "x3dh-xeddsa"), 4);
    EXPECT_EQ(integer(seen, "oneTimePreKeys"), 50);
    EXPECT_EQ(integer(seen, "belowLowThreshold"), 6);
    EXPECT_EQ(integer(seen, "exhausted"), 2);
    EXPECT_EQ(integer(seen, "lowThreshold"), 20);
    EXPECT_EQ(json::text(shown.at("lowStock").get_array().at(0)),
              fmt::format(R"({{"addressHash":"{}","suite":"x3dh-xeddsa","oneTimePreKeys":1,)"
                          R"("kemOneTimePreKeys":2,"lastFetchAt":1699999999995,)"
                          R"("lastOwnerActivityAt":1699999999991}})",
                          pseudonyms_.label("alice:1")));
    EXPECT_TRUE(shown.at("lowStock").get_array().at(1).get_object().at("lastFetchAt").is_null());
}

}  // namespace
}  // namespace nave::prekeys
