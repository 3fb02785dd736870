// SPDX-License-Identifier: Apache-2.0
#include "ferrule/step_folders.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

class StepFolders : public testing::Test {
 protected:
  fs::path make(std::uint64_t step, std::uint64_t keep = 0) {
    auto writer = StepFolderWriter::begin(root(), step);
    EXPECT_TRUE(writer) << (writer ? "" : writer.error().to_string());
    test::write_file(writer->path() / "state", "x");
    EXPECT_FALSE(fs::exists(root() / ("checkpoint-" + std::to_string(step))));
    const auto made = writer->commit("state", keep);
    EXPECT_TRUE(made) << (made ? "" : made.error().to_string());
    return *made;
  }
  std::vector<std::uint64_t> steps() {
    std::vector<std::uint64_t> found;
    for (const auto& folder : step_folders(root(), "state").value()) found.push_back(folder.step);
    return found;
  }
  fs::path root() const { return folder_.path() / "run"; }

 private:
  test::TempDir folder_;
};

using Steps = std::vector<std::uint64_t>;

TEST_F(StepFolders, AppearWholeAndAreListedByStep) {
  EXPECT_TRUE(step_folders(root(), "state").value().empty());
  EXPECT_EQ(make(10), root() / "checkpoint-10");
  make(9);
  EXPECT_EQ(steps(), (Steps{9, 10}));
  EXPECT_TRUE(fs::exists(root() / "checkpoint-9" / "state"));
}

TEST_F(StepFolders, WithoutCommitNothingIsLeft) {
  {
    auto writer = StepFolderWriter::begin(root(), 1);
    ASSERT_TRUE(writer);
    test::write_file(writer->path() / "sub" / "state", "x");
  }
  EXPECT_TRUE(fs::is_empty(root()));
}

TEST_F(StepFolders, WhatACrashLeftIsNotListedAndIsRemovedByTheNext) {
  test::write_file(root() / ".checkpoint-3.partial" / "old", "x");
  test::write_file(root() / "checkpoint-4" / "other", "x");
  test::write_file(root() / "checkpoint-5", "a file");
  test::write_file(root() / "checkpoint-06" / "state", "x");
  test::write_file(root() / "checkpoint-x" / "state", "x");
  EXPECT_TRUE(steps().empty());
  make(3);
  EXPECT_EQ(steps(), Steps{3});
  EXPECT_FALSE(fs::exists(root() / "checkpoint-3" / "old"));
}

TEST_F(StepFolders, RefuseAStepThatIsThere) {
  make(2);
  const auto again = StepFolderWriter::begin(root(), 2);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().rule, "PB-4");
  EXPECT_EQ(again.error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(steps(), Steps{2});
}

TEST_F(StepFolders, KeepRemovesTheOldestButNeverTheNewOne) {
  for (const std::uint64_t step : Steps{5, 6, 7}) make(step);
  make(8, 2);
  EXPECT_EQ(steps(), (Steps{7, 8}));
  make(1, 1);
  EXPECT_EQ(steps(), Steps{1});
}

TEST_F(StepFolders, FailIfTheDirectoryCannotBeMade) {
  test::write_file(root(), "a file");
  EXPECT_FALSE(StepFolderWriter::begin(root(), 1));
}

}  // namespace
}  // namespace ferrule
