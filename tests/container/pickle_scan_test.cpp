// SPDX-License-Identifier: Apache-2.0
#include "ferrule/pickle_scan.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "temp_dir.hpp"

namespace ferrule {
namespace {

namespace fs = std::filesystem;

const std::string kCall =
    "\x80\x02"
    "cnowhere\nnothing\n)R.";
const std::string kHarmless = "\x80\x02}.";

TEST(PickleScans, TellWhatAFileWouldRun) {
  const test::TempDir dir;
  test::write_file(dir / "f", kCall);
  const auto found = scan_file(dir / "f");
  EXPECT_EQ(found.path, dir / "f");
  EXPECT_EQ(found.kind, FileKind::kPickle);
  EXPECT_EQ(found.pickles, 1U);
  EXPECT_FALSE(found.harmless());
  ASSERT_FALSE(found.hits.empty());
  EXPECT_EQ(found.hits[0].global, "nowhere.nothing");
  EXPECT_EQ(found.hits[0].opcode, "GLOBAL");
  EXPECT_EQ(found.hits[0].offset, 2U);
}

TEST(PickleScans, OfFilesThatTorchWroteAreHarmless) {
  for (const std::string name : {"dtypes", "dtypes_legacy", "module"}) {
    const auto found = scan_file(FERRULE_TEST_DATA "/golden/torch/torch-2.13/" + name + ".pt");
    EXPECT_TRUE(found.harmless()) << name;
    EXPECT_GT(found.pickles, 0U) << name;
  }
}

TEST(PickleScans, WhatTheSystemRefusesIsNotHarmless) {
  const test::TempDir dir;
  const auto missing = scan_file(dir / "none");
  ASSERT_TRUE(missing.system_error);
  EXPECT_EQ(missing.system_error->code, ErrorCode::kNotFound);
  EXPECT_FALSE(missing.harmless());
}

TEST(PickleScans, ReadEveryFileBelowAFolderInOrder) {
  const test::TempDir dir;
  test::write_file(dir / "b.txt", kCall);
  test::write_file(dir / "a/deep/c.safetensors", kHarmless);
  test::write_file(dir / ".hidden", kHarmless);
  const auto found = scan(dir.path());
  ASSERT_TRUE(found) << found.error().to_string();
  ASSERT_EQ(found->size(), 3U);
  EXPECT_EQ((*found)[0].path, dir / ".hidden");
  EXPECT_EQ((*found)[1].path, dir / "a/deep/c.safetensors");
  EXPECT_EQ((*found)[2].path, dir / "b.txt");
  EXPECT_TRUE((*found)[0].harmless());
  EXPECT_FALSE((*found)[2].harmless());
}

TEST(PickleScans, OfAFileIsThatFile) {
  const test::TempDir dir;
  test::write_file(dir / "f", kHarmless);
  EXPECT_EQ(scan(dir / "f").value().size(), 1U);
}

TEST(PickleScans, FollowLinksToFoldersAsLoadersDo) {
  const test::TempDir dir;
  test::write_file(dir / "out/side", kCall);
  fs::create_directory(dir / "in");
  fs::create_directory_symlink(dir / "out", dir / "in/link");
  fs::create_directory_symlink(dir / "in", dir / "in/loop");
  const auto found = scan(dir / "in");
  ASSERT_TRUE(found) << found.error().to_string();
  ASSERT_EQ(found->size(), 1U);
  EXPECT_EQ((*found)[0].path, dir / "in/link/side");
}

}  // namespace
}  // namespace ferrule
