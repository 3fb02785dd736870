// SPDX-License-Identifier: Apache-2.0
#include "hub/files/place_files.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

// git hash-object and sha256sum of "hello\n".
const std::string kBlob = "ce013625030ba8dba906f756967f9e9ca394464a";
const std::string kSha = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

TEST(HubPlaceFiles, CopiesThemWithTheirFoldersAndLeavesTheRest) {
  const test::TempDir folder;
  test::write_file(folder / "snapshot/a", "hello\n");
  test::write_file(folder / "snapshot/sub/w", "hello\n");
  test::write_file(folder / "snapshot/other", "not asked for");
  test::write_file(folder / "out/mine", "mine");
  const auto placed = place_files(folder / "snapshot",
                                  {{.path = "a", .size = 6, .blob = kBlob},
                                   {.path = "sub/w", .size = 6, .blob = kBlob, .sha256 = kSha}},
                                  folder / "out");
  ASSERT_TRUE(placed) << placed.error().to_string();
  EXPECT_EQ(test::read_file(folder / "out/a"), "hello\n");
  EXPECT_EQ(test::read_file(folder / "out/sub/w"), "hello\n");
  EXPECT_EQ(test::read_file(folder / "out/mine"), "mine");
  EXPECT_FALSE(std::filesystem::exists(folder / "out/other"));
}

TEST(HubPlaceFiles, AllOrNone) {
  const test::TempDir folder;
  test::write_file(folder / "snapshot/a", "hello\n");
  test::write_file(folder / "snapshot/b", "HELLO\n");
  const auto refused = place_files(
      folder / "snapshot",
      {{.path = "a", .size = 6, .blob = kBlob}, {.path = "b", .size = 6, .blob = kBlob}},
      folder / "out");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, "HB-13");
  EXPECT_EQ(refused.error().path, (folder / "snapshot/b").string());
  EXPECT_FALSE(std::filesystem::exists(folder / "out/a"));
}

}  // namespace
}  // namespace ferrule::hub
