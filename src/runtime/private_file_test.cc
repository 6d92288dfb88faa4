#include "runtime/private_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sys/stat.h>

namespace nave {
namespace {

class PrivateFileTest : public testing::Test {
  protected:
    void SetUp() override {
        dir_ = std::filesystem::path(testing::TempDir()) / "private_file_test";
        std::filesystem::remove_all(dir_);
    }
    void TearDown() override { std::filesystem::remove_all(dir_); }
    std::filesystem::path dir_;
};

TEST_F(PrivateFileTest, WritesReplacesAndKeepsItPrivate) {
    const auto path = dir_ / "key";
    EXPECT_FALSE(read_private_file(path)->has_value());
    ASSERT_TRUE(write_private_file(path, "one").has_value());
    ASSERT_TRUE(write_private_file(path, "two").has_value());
    EXPECT_EQ(**read_private_file(path), "two");
    struct stat info{};
    ASSERT_EQ(::stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600U);
    ASSERT_EQ(::stat(dir_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700U);
    // No temporary file stays behind.
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir_), {}), 1);
}

TEST_F(PrivateFileTest, SaysWhatIsWrong) {
    std::filesystem::create_directories(dir_ / "is_a_directory");
    EXPECT_EQ(read_private_file(dir_ / "is_a_directory").error().id, "file.unreadable");
    EXPECT_EQ(write_private_file(dir_ / "is_a_directory", "x").error().id, "file.unwritable");
    std::ofstream(dir_ / "file") << "x";
    EXPECT_EQ(write_private_file(dir_ / "file" / "below", "x").error().id, "file.unwritable");
    std::ofstream(dir_ / "large") << std::string(1024 * 1024 + 1, 'x');
    EXPECT_EQ(read_private_file(dir_ / "large").error().id, "file.too_large");
}

}  // namespace
}  // namespace nave
