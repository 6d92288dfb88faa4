#include "broker/node_messages.h"

#include <gtest/gtest.h>

#include <string>

namespace nave::broker {
namespace {

PresenceRow some_row() {
    PresenceRow row;
    row.id = "presence";
    row.node = "node";
    row.mesh_id = "mesh";
    row.member_id = "member";
    row.member_key[0] = 7;
    row.session_key = Key{};
    row.profile.display_name = "Ada \"A\"";
    row.profile.session_id = "s";
    row.profile.pid = -1;
    row.profile.cwd = "/home/\xc3\xa4";
    row.profile.summary = "";
    row.profile.groups = {{"front", "lead"}, {"all of us", ""}};
    row.profile.visible = false;
    row.profile.card.title = "Countess";
    row.profile.card.capabilities = {"a", "b"};
    row.profile.stats = R"({"cpu":5E-1,"deep":{"er":[1,2]}})";
    row.status = {Status::dnd, StatusSource::hook, 12};
    row.connected_at = 34;
    row.lease_ends_at = 56;
    row.version = 78;
    row.arrivals = 9;
    return row;
}

template <class T>
T sent(T body) {
    const std::string text = to_text({"node", std::move(body)});
    auto read = parse_node_message(text);
    EXPECT_TRUE(read.has_value()) << text;
    EXPECT_EQ(read->from, "node");
    EXPECT_TRUE(std::holds_alternative<T>(read->body));
    return std::get<T>(std::move(read->body));
}

TEST(NodeMessagesTest, APresenceArrivesWhole) {
    const PresenceRow row = some_row();
    const PresenceRow got = sent(PutMessage{row}).row;
    EXPECT_EQ(got.id, row.id);
    EXPECT_EQ(got.node, row.node);
    EXPECT_EQ(got.mesh_id, row.mesh_id);
    EXPECT_EQ(got.member_id, row.member_id);
    EXPECT_EQ(got.member_key, row.member_key);
    EXPECT_EQ(got.session_key, row.session_key);
    EXPECT_EQ(profile_to_text(got.profile), profile_to_text(row.profile));
    EXPECT_EQ(got.profile.summary, "");
    EXPECT_EQ(got.profile.groups, row.profile.groups);
    EXPECT_EQ(got.profile.card, row.profile.card);
    EXPECT_EQ(got.status, row.status);
    EXPECT_EQ(got.connected_at, row.connected_at);
    EXPECT_EQ(got.lease_ends_at, row.lease_ends_at);
    EXPECT_EQ(got.version, row.version);
    EXPECT_EQ(got.arrivals, row.arrivals);
    PresenceRow bare = row;
    bare.session_key.reset();
    bare.lease_ends_at.reset();
    bare.profile = Profile();
    const PresenceRow again = sent(PutMessage{bare}).row;
    EXPECT_FALSE(again.session_key || again.lease_ends_at || again.profile.summary);
}

TEST(NodeMessagesTest, TheOthersArriveToo) {
    EXPECT_EQ(sent(GoneMessage{"a"}).id, "a");
    EXPECT_EQ(sent(BuriedMessage{"b"}).node, "b");
    EXPECT_EQ(sent(WakeMessage{{"c", "d"}}).ids, (std::vector<std::string>{"c", "d"}));
    const auto tell = sent(TellMessage{"m", "{\"x\":\"\\u0000\n\"}"});
    EXPECT_EQ(tell.text, "{\"x\":\"\\u0000\n\"}");
    EXPECT_EQ(sent(StreamMessage{"p", "s", "t"}).stream, "s");
    const auto end = sent(EndMessage{"p", 4'001, "kicked", true});
    EXPECT_EQ(end.close_code, 4'001);
    EXPECT_TRUE(end.may_return);
    EXPECT_EQ(sent(AckMessage{"p", {"m"}}).message_ids, (std::vector<std::string>{"m"}));
}

TEST(NodeMessagesTest, AnythingElseIsNone) {
    const std::string put = to_text({"node", PutMessage{some_row()}});
    ASSERT_TRUE(parse_node_message(put).has_value());
    // Every beginning of a message, and every message with one byte changed into a quote.
    for (std::size_t i = 0; i < put.size(); ++i) {
        EXPECT_FALSE(parse_node_message(put.substr(0, i)).has_value()) << i;
        std::string damaged = put;
        damaged[i] = damaged[i] == '"' ? 'x' : '"';
        (void)parse_node_message(damaged);
    }
    for (const char* text :
         {"", "null", "[]", "{}", R"({"from":"n"})", R"({"from":"n","type":"other"})",
          R"({"type":"gone","id":"a"})", R"({"from":"n","type":"gone"})",
          R"({"from":"n","type":"gone","id":7})", R"({"from":"n","type":"wake","ids":"a"})",
          R"({"from":"n","type":"wake","ids":[1]})", R"({"from":"n","type":"put"})",
          R"({"from":"n","type":"end","id":"p","code":70000,"reason":""})",
          R"({"from":"n","type":"end","id":"p","code":-1,"reason":""})"}) {
        EXPECT_FALSE(parse_node_message(text).has_value()) << text;
    }
    std::string status = put;
    status.replace(status.find("\"status\":2"), 10, "\"status\":3");
    EXPECT_FALSE(parse_node_message(status).has_value());
}

}  // namespace
}  // namespace nave::broker
