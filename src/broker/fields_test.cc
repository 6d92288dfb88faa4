#include "broker/fields.h"

#include <gtest/gtest.h>

namespace nave::broker {
namespace {

json::Object fields(std::string_view text) {
    return json::parse(text, {.floats_allowed = true}).value().as_object();
}

template <class T>
std::string message(const Result<T>& outcome) {
    return outcome ? "ok" : outcome.error().message;
}

TEST(Fields, TextIsBoundedAndHoldsNoNul) {
    const json::Object object = fields(R"({"a":"four","b":null,"c":7,"d":"x\u0000y","e":""})");
    EXPECT_EQ(text_field(object, "a", 4).value(), "four");
    EXPECT_EQ(message(text_field(object, "a", 3)), "a is longer than 3 bytes");
    EXPECT_EQ(text_field(object, "b", 4).value(), "");
    EXPECT_EQ(text_field(object, "missing", 4).value(), "");
    EXPECT_EQ(message(text_field(object, "c", 4)), "c must be a string");
    EXPECT_EQ(message(text_field(object, "d", 4)), "d must not hold NUL");
    EXPECT_EQ(message(required_text(object, "e", 4)), "e is missing");
    EXPECT_EQ(message(required_text(object, "missing", 4)), "missing is missing");
}

TEST(Fields, TextAsItIsIsNotCutAtNul) {
    const json::Object object = fields(R"({"a":"x\u0000y","b":[1],"c":null})");
    EXPECT_EQ(text_or_empty(object, "a"), std::string("x\0y", 3));
    EXPECT_EQ(text_or_empty(object, "b"), "");
    EXPECT_EQ(text_or_empty(object, "c"), "");
    EXPECT_EQ(find_field(object, "c"), nullptr);
    EXPECT_NE(find_field(object, "b"), nullptr);
}

TEST(Fields, IntegersMayBeWrittenAsFloats) {
    const json::Object object = fields(R"({"a":12,"b":-3.0,"c":1.5,"d":"1","e":1e300})");
    EXPECT_EQ(integer_field(object, "a").value(), 12);
    EXPECT_EQ(integer_field(object, "b").value(), -3);
    EXPECT_EQ(integer_field(object, "missing").value(), 0);
    for (const std::string_view name : {"c", "d", "e"}) {
        EXPECT_EQ(message(integer_field(object, name)), std::string(name) + " must be an integer");
    }
}

TEST(Fields, ListsAreBoundedInBothWays) {
    const json::Object object = fields(R"({"a":["x","yy"],"b":"x","c":["x",1],"d":null})");
    EXPECT_EQ(texts_field(object, "a", 2, 2).value(), (std::vector<std::string>{"x", "yy"}));
    EXPECT_EQ(message(texts_field(object, "a", 1, 2)), "a has more than 1 elements");
    EXPECT_EQ(message(texts_field(object, "a", 2, 1)), "a is longer than 1 bytes");
    EXPECT_EQ(message(texts_field(object, "b", 2, 2)), "b must be an array of strings");
    EXPECT_EQ(message(texts_field(object, "c", 2, 2)), "c must be a string");
    EXPECT_TRUE(texts_field(object, "d", 2, 2).value().empty());
    EXPECT_EQ(texts_json({}), "[]");
    EXPECT_EQ(texts_json({"a", "\"b\n"}), R"(["a","\"b\n"])");
    EXPECT_EQ(tags_field(fields(R"({"tags":["a","b"]})")).value(), R"(["a","b"])");
    EXPECT_EQ(tags_field(fields("{}")).value(), "[]");
}

}  // namespace
}  // namespace nave::broker
