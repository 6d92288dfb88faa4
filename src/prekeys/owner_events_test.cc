#include "prekeys/owner_events.h"

#include "prekeys/test_keys.h"

#include <gtest/gtest.h>

#include <string>

namespace nave::prekeys {
namespace {

struct Wire final : net::ResponseStream {
    std::string text;
    bool open = true;
    std::move_only_function<void()> gone;

    bool write(std::string_view bytes) override {
        text.append(bytes);
        return open;
    }
    [[nodiscard]] std::size_t buffered() const override { return 0; }
    void close() override { open = false; }
    void abort() override { open = false; }
    void on_closed(std::move_only_function<void()> fn) override { gone = std::move(fn); }
};

const Address& alice() {
    static const Address address = Address::parse("alice:1").value();
    return address;
}

std::shared_ptr<Wire> listen(OwnerEvents& events, const Address& address) {
    auto wire = std::make_shared<Wire>();
    auto response = events.subscribe(address, "", 0, kTestNow);
    EXPECT_TRUE(response);
    response->stream(wire);
    wire->text.clear();
    return wire;
}

Event event(EventType type, const Address& address) {
    Event e;
    e.type = type;
    e.at = kTestNow;
    e.address = address;
    return e;
}

TEST(OwnerEvents, GoToTheOwnerOnly) {
    OwnerEvents events;
    const auto wire = listen(events, alice());
    const auto other = listen(events, Address::parse("bob:1").value());
    Event low = event(EventType::prekeys_low, alice());
    low.remaining = Stock{4, 2};
    low.client_key = "198.51.100.7";
    events.on_event(low);
    EXPECT_TRUE(
        wire->text.contains("event: prekeys.low\ndata: {\"ts\":1700000000000,"
                            "\"oneTimePreKeyCount\":4,\"kemOneTimePreKeyCount\":2}\n\n"));
    EXPECT_FALSE(wire->text.contains("198.51")) << "who fetched is nobody's business";
    events.on_event(event(EventType::identity_conflict, alice()));
    EXPECT_TRUE(wire->text.contains("event: identity.conflict\ndata: {\"ts\":1700000000000}\n"));
    EXPECT_EQ(other->text, "");
    EXPECT_EQ(events.listeners(), 2U);
}

TEST(OwnerEvents, OnlyWhatOwnersAreTold) {
    OwnerEvents events;
    const auto wire = listen(events, alice());
    for (const EventType type :
         {EventType::fetched, EventType::registered, EventType::rate_limited,
          EventType::auth_failed, EventType::replay_rejected, EventType::depletion_suspected,
          EventType::key_withheld, EventType::purged, EventType::signed_prekey_rotated}) {
        events.on_event(event(type, alice()));
    }
    EXPECT_EQ(wire->text, "");
    for (const auto& [type, name] :
         {std::pair(EventType::prekeys_low, "prekeys.low"),
          std::pair(EventType::prekeys_exhausted, "prekeys.exhausted"),
          std::pair(EventType::last_resort_used, "last_resort.used"),
          std::pair(EventType::identity_conflict, "identity.conflict")}) {
        wire->text.clear();
        events.on_event(event(type, alice()));
        EXPECT_TRUE(wire->text.contains(std::string("event: ") + name + "\n")) << name;
    }
    Event nobody = event(EventType::prekeys_low, alice());
    nobody.address.reset();
    wire->text.clear();
    events.on_event(nobody);
    EXPECT_EQ(wire->text, "");
}

TEST(OwnerEvents, AStreamOfARestoredStoreBeginsWithTheEpoch) {
    OwnerEvents events;
    const auto first = listen(events, alice());
    events.on_event(event(EventType::prekeys_low, alice()));
    const auto id = [](int after) { return std::to_string(kTestNow * 1000 + after); };
    for (const std::string& last_event_id : {std::string(), id(0), id(1), id(99)}) {
        auto response = events.subscribe(alice(), last_event_id, 1'700, kTestNow);
        ASSERT_TRUE(response);
        auto wire = std::make_shared<Wire>();
        response->stream(wire);
        EXPECT_TRUE(wire->text.starts_with(
            "event: restore.epoch\ndata: {\"ts\":1700000000000,\"restoreEpoch\":1700}\n\n"))
            << wire->text;
        EXPECT_EQ(wire->text.contains("event: prekeys.low"),
                  last_event_id == id(0) || last_event_id == id(99));
        wire->gone();
    }
    EXPECT_EQ(events.listeners(), 1U);
}

TEST(OwnerEvents, AStreamEndsWithTheKeyThatSignedForIt) {
    for (const EventType type :
         {EventType::identity_rotated, EventType::deleted, EventType::identity_purged}) {
        OwnerEvents events;
        const auto former = listen(events, alice());
        const auto other = listen(events, Address::parse("bob:1").value());
        events.on_event(event(EventType::prekeys_low, alice()));
        former->text.clear();
        events.on_event(event(type, alice()));
        EXPECT_FALSE(former->open) << event_name(type);
        EXPECT_TRUE(other->open);
        EXPECT_EQ(events.listeners(), 1U);
        // Nor does the next owner hear what was meant for the one before.
        auto response = events.subscribe(alice(), "0", 0, kTestNow + 1);
        auto wire = std::make_shared<Wire>();
        response->stream(wire);
        events.on_event(event(EventType::prekeys_low, alice()));
        EXPECT_EQ(former->text, "");
        EXPECT_TRUE(wire->text.contains("event: reset\n"));
        const auto first = wire->text.find("prekeys.low");
        EXPECT_NE(first, std::string::npos);
        EXPECT_EQ(wire->text.find("prekeys.low", first + 1), std::string::npos);
    }
}

// As across a restart, where nothing is left of the channel but the client's id.
TEST(OwnerEvents, AnIdOfAnEarlierChannelIsNotTakenForOneOfThis) {
    std::string seen;
    {
        OwnerEvents before;
        const auto wire = listen(before, alice());
        before.on_event(event(EventType::prekeys_low, alice()));
        seen = wire->text.substr(4, wire->text.find('\n') - 4);
        EXPECT_EQ(seen, std::to_string(kTestNow * 1000 + 1));
    }
    OwnerEvents events;
    const auto live = std::make_shared<Wire>();
    events.subscribe(alice(), "", 0, kTestNow + 1)->stream(live);
    events.on_event(event(EventType::identity_conflict, alice()));
    events.on_event(event(EventType::prekeys_exhausted, alice()));
    const auto back = std::make_shared<Wire>();
    events.subscribe(alice(), seen, 0, kTestNow + 1)->stream(back);
    EXPECT_TRUE(back->text.contains("event: reset\n"));
    EXPECT_TRUE(back->text.contains("identity.conflict"));
    EXPECT_TRUE(back->text.contains("prekeys.exhausted"));
}

TEST(OwnerEvents, FewListenersPerOwner) {
    OwnerEvents events;
    std::vector<std::shared_ptr<Wire>> wires;
    for (int i = 0; i < 4; ++i) {
        wires.push_back(listen(events, alice()));
    }
    const auto refused = events.subscribe(alice(), "", 0, kTestNow);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().id, "SHADE_RATE_LIMITED");
    EXPECT_TRUE(refused.error().retry_after);
    wires[0]->gone();
    EXPECT_TRUE(events.subscribe(alice(), "", 0, kTestNow));
}

TEST(OwnerEvents, HeartbeatForgetsOwnersWhoLeft) {
    OwnerEvents events;
    const auto stays = listen(events, alice());
    const auto leaves = listen(events, Address::parse("bob:1").value());
    events.heartbeat();
    EXPECT_EQ(stays->text, ":\n\n");
    leaves->gone();
    events.heartbeat();
    EXPECT_EQ(events.listeners(), 1U);
    events.close();
    EXPECT_FALSE(stays->open);
    EXPECT_EQ(events.listeners(), 0U);
}

}  // namespace
}  // namespace nave::prekeys
