// SPDX-License-Identifier: Apache-2.0
#include "ferrule/clean.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "io/transaction/staging.hpp"
#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

/// A stage that a killed save to `directory` left: next to it.
fs::path leave_stage(const fs::path& directory) {
  const auto stage = directory.parent_path() / io::stages_of(directory).front();
  fs::create_directories(stage);
  return stage;
}

TEST(Clean, RemovesTheStageOfTheFolderHoweverItIsSpelled) {
  const test::TempDir dir;
  fs::create_directory(dir / "a");
  for (const auto* spelled : {"a", "a/", "./a/.", "a/../a"}) {
    const auto stage = leave_stage(dir / "a");
    const auto report = clean(dir / spelled);
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->removed.size(), 1U) << spelled;
    EXPECT_FALSE(fs::exists(stage)) << spelled;
  }
}

TEST(Clean, FindsStagesInFoldersBelowAndNothingElse) {
  const test::TempDir dir;
  test::write_file(dir / "a/b/.hidden", "mine");
  test::write_file(dir / "a/b/adapter_config.json", "{}");
  const auto stage = leave_stage(dir / "a/b");
  const auto report = clean(dir.path());
  ASSERT_TRUE(report) << report.error().to_string();
  ASSERT_EQ(report->removed.size(), 1U);
  EXPECT_EQ(report->removed[0], stage);
  EXPECT_TRUE(report->errors.empty());
  EXPECT_EQ(test::read_file(dir / "a/b/.hidden"), "mine");
  EXPECT_TRUE(fs::exists(dir / "a/b/adapter_config.json"));
}

TEST(Clean, OfAFolderThatNoSaveEverMadeTakesTheStage) {
  const test::TempDir dir;
  EXPECT_FALSE(clean(dir / "a"));
  const auto stage = leave_stage(dir / "a");
  const auto report = clean(dir / "a");
  ASSERT_TRUE(report) << report.error().to_string();
  EXPECT_EQ(report->removed.size(), 1U);
  EXPECT_FALSE(fs::exists(stage));
}

}  // namespace
}  // namespace ferrule
