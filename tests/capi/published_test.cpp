// SPDX-License-Identifier: Apache-2.0
// Following a published root (docs/rescue.md). It is made by hand here: what is on the disk is
// documented.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>

#include "capi/c_api.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;
using test::golden;
using test::OpenedAdapter;
using test::sized;

class CPublished : public testing::Test {
 protected:
  void SetUp() override { publish(1); }
  void TearDown() override { ferrule_published_close(reader_); }

  static std::string name_of(std::uint64_t generation) {
    const auto digits = std::to_string(generation);
    return std::string(8 - digits.size(), '0') + digits;
  }

  /// A whole folder, the link in one step, then the number.
  void publish(std::uint64_t generation) {
    const auto name = name_of(generation);
    fs::create_directories(root_);
    fs::copy(golden("lora") / "expected", root_ / ("." + name), fs::copy_options::recursive);
    fs::rename(root_ / ("." + name), root_ / name);
    fs::create_symlink(name, root_ / ".link");
    fs::rename(root_ / ".link", root_ / "current");
    // In place: readers have it mapped.
    std::fstream number(root_ / ".generation", std::ios::in | std::ios::out | std::ios::binary);
    if (!number) {
      number.open(root_ / ".generation", std::ios::out | std::ios::binary);
    }
    char bytes[8];
    for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(generation >> (8 * i));
    number.write(bytes, sizeof bytes);
  }

  std::string current(std::uint64_t* generation) {
    char path[4096];
    std::size_t size = 0;
    const auto status =
        ferrule_published_current(reader_, generation, path, sizeof path, &size, &error_);
    EXPECT_EQ(status, FERRULE_OK) << error_.message;
    return status == FERRULE_OK ? std::string(path, size) : std::string();
  }

  test::TempDir dir_;
  fs::path root_ = dir_ / "root";
  ferrule_published reader_ = {};
  ferrule_error error_ = sized<ferrule_error>();
};

TEST_F(CPublished, NoticesANewGeneration) {
  ASSERT_EQ(ferrule_published_open(root_.c_str(), &reader_, &error_), FERRULE_OK) << error_.message;
  EXPECT_EQ(ferrule_published_changed(reader_), 0U);
  publish(2);
  EXPECT_EQ(ferrule_published_changed(reader_), 1U);
  std::uint64_t generation = 0;
  const auto path = current(&generation);
  EXPECT_EQ(generation, 2U);
  EXPECT_EQ(path, (root_ / "00000002").string());
  EXPECT_EQ(ferrule_published_changed(reader_), 0U);
  EXPECT_EQ(OpenedAdapter(path).status, FERRULE_OK);
}

TEST_F(CPublished, ABufferThatIsTooSmallIsToldTheSize) {
  ASSERT_EQ(ferrule_published_open(root_.c_str(), &reader_, &error_), FERRULE_OK);
  std::uint64_t generation = 0;
  std::size_t size = 0;
  EXPECT_EQ(ferrule_published_current(reader_, &generation, nullptr, 0, &size, &error_),
            FERRULE_LIMIT_EXCEEDED);
  std::string path(size + 1, 'x');
  EXPECT_EQ(ferrule_published_current(reader_, &generation, path.data(), size, &size, &error_),
            FERRULE_LIMIT_EXCEEDED);
  EXPECT_EQ(ferrule_published_current(reader_, &generation, path.data(), size + 1, &size, &error_),
            FERRULE_OK);
  EXPECT_EQ(path.c_str(), (root_ / "00000001").string());
}

TEST_F(CPublished, WrongUseIsRefused) {
  EXPECT_EQ(ferrule_published_open(nullptr, &reader_, &error_), FERRULE_INVALID_ARGUMENT);
  EXPECT_EQ(ferrule_published_open((dir_ / "none").c_str(), &reader_, &error_), FERRULE_NOT_FOUND);
  EXPECT_EQ(ferrule_published_changed({}), 0U);
  EXPECT_EQ(ferrule_published_close({}), FERRULE_INVALID_ARGUMENT);
  fs::remove(root_ / "current");
  fs::create_symlink("/elsewhere", root_ / "current");
  ASSERT_EQ(ferrule_published_open(root_.c_str(), &reader_, &error_), FERRULE_OK);
  std::uint64_t generation = 0;
  std::size_t size = 0;
  EXPECT_EQ(ferrule_published_current(reader_, &generation, nullptr, 0, &size, &error_),
            FERRULE_CORRUPT);
  EXPECT_STREQ(error_.rule, "PB-2");
}

TEST_F(CPublished, ReadersNeverSeeHalf) {
  ASSERT_EQ(ferrule_published_open(root_.c_str(), &reader_, &error_), FERRULE_OK);
  std::atomic<bool> done{false};
  std::atomic<int> bad{0};
  std::thread reading([&] {
    ferrule_published reader = {};
    bad += ferrule_published_open(root_.c_str(), &reader, nullptr) != FERRULE_OK;
    while (!done) {
      std::uint64_t generation = 0;
      char path[4096];
      std::size_t size = 0;
      const auto status =
          ferrule_published_current(reader, &generation, path, sizeof path, &size, nullptr);
      if (status != FERRULE_OK || OpenedAdapter(path).status != FERRULE_OK) ++bad;
    }
    ferrule_published_close(reader);
  });
  for (std::uint64_t generation = 2; generation < 20; ++generation) publish(generation);
  done = true;
  reading.join();
  EXPECT_EQ(bad, 0);
}

TEST(CPublishedMemory, ARootInSharedMemoryWorks) {
  const fs::path shared = "/dev/shm";
  ASSERT_TRUE(fs::is_directory(shared));
  const auto root = shared / ("ferrule-capi-" + std::to_string(::getpid()));
  fs::create_directories(root / "00000001");
  fs::create_symlink("00000001", root / "current");
  std::ofstream(root / ".generation", std::ios::binary).write("\1\0\0\0\0\0\0\0", 8);
  ferrule_published reader = {};
  EXPECT_EQ(ferrule_published_open(root.c_str(), &reader, nullptr), FERRULE_OK);
  EXPECT_EQ(ferrule_published_changed(reader), 0U);
  EXPECT_EQ(ferrule_published_close(reader), FERRULE_OK);
  fs::remove_all(root);
}

}  // namespace
}  // namespace ferrule
