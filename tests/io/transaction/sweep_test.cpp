// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/sweep.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include <filesystem>
#include <string>

#include "io/unique_fd.hpp"
#include "temp_dir.hpp"

namespace ferrule::io {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStage = ".ferrule-0123456789abcdef";

TEST(Sweep, WhatIsNotThereIsGone) {
  const test::TempDir dir;
  const auto swept = sweep(dir.path(), kStage);
  ASSERT_TRUE(swept);
  EXPECT_EQ(*swept, Swept::kGone);
}

TEST(Sweep, AnAbandonedStageGoesWithAllThatIsInIt) {
  const test::TempDir dir;
  test::write_file(dir / kStage / "new" / "adapter_model.safetensors", "half");
  const auto swept = sweep(dir.path(), kStage);
  ASSERT_TRUE(swept);
  EXPECT_EQ(*swept, Swept::kRemoved);
  EXPECT_FALSE(fs::exists(dir / kStage));
}

TEST(Sweep, AStageThatASaverHoldsStays) {
  const test::TempDir dir;
  test::write_file(dir / kStage / "new" / "x", "half");
  const UniqueFd saver(::open((dir / kStage).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::flock(saver.get(), LOCK_EX | LOCK_NB), 0);
  const auto swept = sweep(dir.path(), kStage);
  ASSERT_TRUE(swept);
  EXPECT_EQ(*swept, Swept::kInUse);
  EXPECT_TRUE(fs::exists(dir / kStage / "new" / "x"));
}

TEST(Sweep, ALinkOfThatNameIsNotFollowed) {
  const test::TempDir dir;
  test::write_file(dir / "mine" / "x", "kept");
  fs::create_directory_symlink(dir / "mine", dir / kStage);
  const auto swept = sweep(dir.path(), kStage);
  ASSERT_TRUE(swept);
  EXPECT_EQ(*swept, Swept::kKept);
  EXPECT_TRUE(fs::exists(dir / "mine" / "x"));
}

TEST(Sweep, AFolderThatDoesNotExistIsAnError) {
  const test::TempDir dir;
  EXPECT_FALSE(sweep(dir / "nowhere", kStage));
}

}  // namespace
}  // namespace ferrule::io
