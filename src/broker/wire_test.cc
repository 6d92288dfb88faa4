#include "broker/wire.h"

#include "base/json.h"

#include <gtest/gtest.h>

namespace nave::broker {
namespace {

// An answer that holds a list of `count` elements of `bytes` each.
json::Object answer_with(std::size_t count, std::size_t bytes) {
    AnswerList list;
    for (std::size_t i = 0; i < count; ++i) {
        list.add([&](json::ObjectWriter& writer) {
            writer.integer("n", static_cast<std::int64_t>(i));
            writer.text("text", std::string(bytes, 'x'));
        });
    }
    Answer answer("the_type", "the \"id\"");
    list.finish(answer, "list");
    return json::parse(answer.take()).value().as_object();
}

TEST(AnswerList, HoldsItsElementsInOrder) {
    const json::Object answer = answer_with(3, 10);
    EXPECT_EQ(answer.at("type").as_string(), "the_type");
    EXPECT_EQ(answer.at("_reqId").as_string(), "the \"id\"");
    const json::Array& list = answer.at("list").as_array();
    ASSERT_EQ(list.size(), 3U);
    EXPECT_EQ(list[2].at("n").as_int64(), 2);
    EXPECT_EQ(answer.if_contains("truncated"), nullptr);
    EXPECT_EQ(answer_with(0, 0).at("list").as_array().size(), 0U);
}

TEST(AnswerList, IsCutWhereItWouldFillASocketsOutput) {
    const json::Object answer = answer_with(100, 10'000);
    const std::size_t count = answer.at("list").as_array().size();
    EXPECT_GT(count, 45U);
    EXPECT_LT(count, 55U);
    EXPECT_EQ(answer.at("list").at(count - 1).at("n").as_int64(), static_cast<int>(count) - 1);
    EXPECT_TRUE(answer.at("truncated").as_bool());
}

TEST(AnswerList, HasItsFirstElementWhateverItsSize) {
    const json::Object answer = answer_with(2, 600'000);
    EXPECT_EQ(answer.at("list").as_array().size(), 1U);
    EXPECT_TRUE(answer.at("truncated").as_bool());
}

std::string pushed(const Envelope& envelope) {
    std::string text;
    append_push(text, envelope);
    return text;
}

TEST(Wire, APushSaysItsSubtypeOnlyWhenItHasOne) {
    Envelope envelope;
    envelope.id = "id";
    EXPECT_FALSE(pushed(envelope).contains("subtype"));
    envelope.subtype = "reminder";
    EXPECT_TRUE(pushed(envelope).contains(R"("subtype":"reminder")"));
}

// To the byte, for clients of the original read it.
TEST(Wire, APushIsWrittenAsThis) {
    Envelope envelope;
    envelope.id = "the-id";
    envelope.mesh_id = "the-mesh";
    envelope.sender_key.fill(0xa5);
    envelope.sender_member_key.fill(0x0f);
    envelope.sender_member_id = "the-member";
    envelope.sender_name = "a \"name\"\n";
    envelope.nonce = "nonce";
    envelope.ciphertext = "c\x01\xc3\xa4\\" + std::string(20, 'x') + "\"" + std::string(9, 'y');
    envelope.created_at = 1'763'683'205'007;
    std::string key;
    std::string member;
    for (int i = 0; i < 32; ++i) {
        key += "a5";
        member += "0f";
    }
    EXPECT_EQ(pushed(envelope),
              R"({"type":"push","messageId":"the-id","meshId":"the-mesh","senderPubkey":")" + key +
                  R"(","senderMemberPubkey":")" + member +
                  R"(","senderMemberId":"the-member","senderName":"a \"name\"\n",)"
                  R"("priority":"next","nonce":"nonce","ciphertext":"c\u0001)"
                  "\xc3\xa4"
                  R"(\\)" +
                  std::string(20, 'x') + R"(\")" + std::string(9, 'y') +
                  R"(","createdAt":"2025-11-21T00:00:05.007Z"})");
}

}  // namespace
}  // namespace nave::broker
