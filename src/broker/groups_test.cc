#include "broker/groups.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace nave::broker {
namespace {

TEST(Names, AnyVisibleTextIsAName) {
    for (const std::string& name :
         {std::string("a"), std::string("frontend"), std::string("eng/frontend"),
          std::string("Code Review"), std::string("a:b,c;d"), std::string("@lead"),
          std::string("*"), std::string("'; drop table mesh_message; --"),
          std::string("x' or '1'='1"), std::string("{\"$ne\":null}"), std::string("%_\\"),
          std::string("\xc3\xa9quipe"), std::string("e\xcc\x81"),
          std::string("\xe5\xbc\x80\xe5\x8f\x91"), std::string("\xf0\x9f\x9a\x80"),
          std::string(64, 'x')}) {
        EXPECT_TRUE(is_name(name)) << name;
    }
    std::string widest;
    for (int i = 0; i < 64; ++i) {
        widest += "\xf0\x9f\x9a\x80";
    }
    EXPECT_EQ(widest.size(), kNameBytesMax);
    EXPECT_TRUE(is_name(widest));
    EXPECT_FALSE(is_name(widest + "\xf0\x9f\x9a\x80"));
}

TEST(Names, WhatCannotBeSeenOrReadIsNot) {
    const std::string_view nul("a\0b", 3);
    for (const std::string_view name :
         {std::string_view(""),
          std::string_view(" "),
          std::string_view(" a"),
          std::string_view("a "),
          std::string_view("a\tb"),
          std::string_view("a\nb"),
          std::string_view("a\rb"),
          nul,
          std::string_view("a\x1b[2Jb"),
          std::string_view("\x7f"),
          std::string_view("\xc2\x85"),  // U+0085, a C1 control
          std::string_view("a\xc2\xa0"
                           "b"),  // U+00A0 no-break space
          std::string_view("a\xe2\x80\x8b"
                           "b"),  // U+200B zero-width space
          std::string_view("a\xe2\x80\xae"
                           "b"),  // U+202E right-to-left override
          std::string_view("a\xe2\x80\xa8"
                           "b"),             // U+2028 line separator
          std::string_view("\xe2\x80\xa9"),  // U+2029 paragraph separator
          std::string_view("\xef\xbb\xbf"
                           "a"),             // U+FEFF
          std::string_view("\xee\x80\x80"),  // U+E000, private
          std::string_view("\xef\xbf\xbe"),  // U+FFFE, no character
          std::string_view("\xc3"),
          std::string_view("\xff"),
          std::string_view("\xc0\xaf"),
          std::string_view("\xed\xa0\x80")}) {  // a surrogate
        EXPECT_FALSE(is_name(name)) << name;
    }
    EXPECT_FALSE(is_name(std::string(65, 'x')));
}

TEST(Groups, JoiningAgainReplacesTheRoleInPlace) {
    Groups groups;
    ASSERT_TRUE(join_group(groups, {"frontend", "lead"}));
    ASSERT_TRUE(join_group(groups, {"review", ""}));
    ASSERT_TRUE(join_group(groups, {"frontend", "member"}));
    EXPECT_EQ(groups, (Groups{{"frontend", "member"}, {"review", ""}}));
    ASSERT_TRUE(join_group(groups, {"frontend", ""}));
    EXPECT_EQ(groups, (Groups{{"frontend", ""}, {"review", ""}}));
}

TEST(Groups, NamesMatchByTheirBytesOnly) {
    Groups groups;
    for (const std::string name :
         {"Frontend", "frontend", "front", "front/end", "\xc3\xa9", "e\xcc\x81"}) {
        ASSERT_TRUE(join_group(groups, {name, ""}));
    }
    EXPECT_EQ(groups.size(), 6U);
    EXPECT_TRUE(has_group(groups, "frontend"));
    EXPECT_FALSE(has_group(groups, "FRONTEND"));
    EXPECT_FALSE(has_group(groups, "front/"));
    EXPECT_FALSE(has_group(groups, "' or '1'='1"));
    EXPECT_FALSE(has_group(groups, ""));
}

TEST(Groups, LeavingRemovesThatOneOnly) {
    Groups groups{{"a", ""}, {"b", "lead"}, {"c", ""}};
    EXPECT_TRUE(leave_group(groups, "b"));
    EXPECT_FALSE(leave_group(groups, "b"));
    EXPECT_FALSE(leave_group(groups, "A"));
    EXPECT_EQ(groups, (Groups{{"a", ""}, {"c", ""}}));
}

TEST(Groups, AreBounded) {
    Groups groups;
    for (std::size_t i = 0; i < kGroupsMax; ++i) {
        ASSERT_TRUE(join_group(groups, {fmt::format("g{}", i), ""}));
    }
    const auto refused = join_group(groups, {"one more", ""});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().id, "invalid_argument");
    EXPECT_EQ(refused.error().message, "A peer is in at most 64 groups.");
    EXPECT_EQ(groups.size(), kGroupsMax);
    EXPECT_TRUE(join_group(groups, {"g7", "lead"})) << "a known name needs no room";
}

TEST(Groups, BadNamesAndRolesChangeNothing) {
    Groups groups{{"a", "lead"}};
    for (const Group& group : {Group{"", ""}, Group{"a\n", ""}, Group{std::string(65, 'x'), ""},
                               Group{"a", "b\x1b"}, Group{"a", std::string(65, 'x')}}) {
        const auto refused = join_group(groups, group);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::invalid);
        EXPECT_EQ(groups, (Groups{{"a", "lead"}}));
    }
}

TEST(GroupsJson, ReadsWhatClientsSend) {
    const auto groups = groups_from_text(
        R"([{"name":"frontend","role":"lead"},{"name":"x' or '1'='1","role":null,"since":3},)"
        R"({"name":"ops","role":""}])");
    ASSERT_TRUE(groups) << groups.error().message;
    EXPECT_EQ(*groups, (Groups{{"frontend", "lead"}, {"x' or '1'='1", ""}, {"ops", ""}}));
    EXPECT_EQ(groups_to_text(*groups),
              R"([{"name":"frontend","role":"lead"},{"name":"x' or '1'='1"},{"name":"ops"}])");
    EXPECT_EQ(groups_from_text("[]"), Groups());
    EXPECT_EQ(groups_to_text({}), "[]");
}

TEST(GroupsJson, OfEqualNamesTheLastCounts) {
    EXPECT_EQ(groups_from_text(R"([{"name":"a","role":"x"},{"name":"b"},{"name":"a","role":"y"}])"),
              (Groups{{"a", "y"}, {"b", ""}}));
}

TEST(GroupsJson, RefusesWithTheFieldsName) {
    struct Case {
        std::string text;
        std::string_view message;
    };
    std::string many = R"([{"name":"a"})";
    for (std::size_t i = 0; i < kGroupsMax; ++i) {
        many += R"(,{"name":"a"})";
    }
    many += "]";
    for (const Case& test :
         {Case{R"({"name":"a"})", "groups must be a list."}, Case{"null", "groups must be a list."},
          Case{R"(["a"])", "groups[0] must be an object."},
          Case{R"([{"name":"a"},{}])", "groups[1].name is missing."},
          Case{R"([{"name":7}])", "groups[0].name must be a string."},
          Case{R"([{"name":"a","role":{}}])", "groups[0].role must be a string."},
          Case{R"([{"name":""}])", "A group's name must be 1 to 64 visible characters."},
          Case{R"([{"name":"a","role":"\u0007"}])",
               "A group's role must be 1 to 64 visible characters."},
          Case{many, "A peer is in at most 64 groups."}}) {
        const auto groups = groups_from_text(test.text);
        ASSERT_FALSE(groups) << test.text;
        EXPECT_EQ(groups.error().message, test.message);
        EXPECT_EQ(groups.error().code, Code::invalid);
    }
    EXPECT_FALSE(groups_from_text("[{"));
}

}  // namespace
}  // namespace nave::broker
