#include "base/json_reader.h"

#include <gtest/gtest.h>

namespace nave::json {
namespace {

class ReaderTest : public testing::Test {
  protected:
    Value value = *parse(R"({"t":"text","n":5,"b":"AAEC","flag":true,"nil":null,
                             "list":[{"k":1},{"k":"x"}],"mixed":[1],"o":{"inner":2}})");
    Reader reader{value.get_object()};
};

template <class T>
std::string field_of(const Result<T>& result) {
    return result ? "none" : result.error().details_json;
}

TEST_F(ReaderTest, TakesTypedMembers) {
    EXPECT_EQ(*reader.text("t", 10), "text");
    EXPECT_EQ(*reader.integer("n", 1, 5), 5);
    EXPECT_EQ(*reader.bytes("b", 3), (Bytes{0, 1, 2}));
    EXPECT_TRUE(*reader.boolean("flag", false));
    EXPECT_TRUE(*reader.boolean("absent", true));
    EXPECT_FALSE(reader.has("nil"));
    EXPECT_EQ(*reader.object("o")->integer("inner", 0, 9), 2);
}

TEST_F(ReaderTest, NamesTheFieldThatIsWrong) {
    EXPECT_EQ(field_of(reader.text("t", 3)), R"({"field":"t"})");
    EXPECT_EQ(field_of(reader.text("n", 3)), R"({"field":"n"})");
    EXPECT_EQ(field_of(reader.integer("n", 6, 9)), R"({"field":"n"})");
    EXPECT_EQ(field_of(reader.integer("t", 6, 9)), R"({"field":"t"})");
    EXPECT_EQ(field_of(reader.bytes("b", 4)), R"({"field":"b"})");
    EXPECT_EQ(field_of(reader.bytes("t", 3)), "none");
    EXPECT_EQ(field_of(reader.boolean("n", false)), R"({"field":"n"})");
    EXPECT_EQ(field_of(reader.object("o")->integer("absent", 0, 9)), R"({"field":"o.absent"})");
    const auto walk = [](const Reader& each) -> Result<void> {
        TRY_VOID(each.integer("k", 0, 9));
        return ok();
    };
    EXPECT_EQ(field_of(reader.objects("list", 2, walk)), R"({"field":"list[1].k"})");
    EXPECT_EQ(field_of(reader.objects("list", 1, walk)), R"({"field":"list"})");
    EXPECT_EQ(field_of(reader.objects("mixed", 2, walk)), R"({"field":"mixed[0]"})");
    EXPECT_EQ(field_of(reader.objects("absent", 2, walk)), "none");
}

}  // namespace
}  // namespace nave::json
