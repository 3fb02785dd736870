// SPDX-License-Identifier: Apache-2.0
#include "hub/files/push_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

TEST(HubPushFiles, AreAllButLocksCachesAndLinkedFolders) {
  const test::TempDir folder;
  test::write_file(folder / "b.txt", std::string(600, 'x'));
  test::write_file(folder / "sub/a.txt", "a");
  test::write_file(folder / "a.lock", "");
  test::write_file(folder / ".git/config", "");
  const test::TempDir elsewhere;
  test::write_file(elsewhere / "linked.txt", "linked");
  std::filesystem::create_symlink(elsewhere / "linked.txt", folder / "c.txt");
  std::filesystem::create_directory_symlink(elsewhere.path(), folder / "linked");
  const auto listing = list_push_files(folder.path(), {.all = true});
  ASSERT_TRUE(listing) << listing.error().to_string();
  const auto* files = &listing->files;
  std::vector<std::string> paths;
  for (const auto& file : *files) paths.push_back(file.path);
  EXPECT_EQ(paths, (std::vector<std::string>{"b.txt", "c.txt", "sub/a.txt"}));
  EXPECT_EQ((*files)[0].size, 600U);
  EXPECT_EQ((*files)[0].sample, std::string(512, 'x'));
  EXPECT_EQ((*files)[1].sample, "linked");
}

TEST(HubPushFiles, ANameThatNoRepositoryTakesIsRefused) {
  const test::TempDir folder;
  test::write_file(folder / "a\\b", "");
  const auto refused = list_push_files(folder.path(), {.all = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().rule, "HB-14");
  EXPECT_EQ(refused.error().path, (folder / "a\\b").string());
}

TEST(HubPushFiles, DigestsOfAWriterAreTakenIfTheFileIsStillItsOwn) {
  const test::TempDir folder;
  test::write_file(folder / "a", "hello");
  test::write_file(folder / "b", "hello");
  auto listing = list_push_files(folder.path(), {.all = true});
  ASSERT_TRUE(listing);
  auto* files = &listing->files;
  const auto written_of = [](const PushFile& file) {
    WrittenFile out;
    out.device = file.identity.device;
    out.inode = file.identity.inode;
    out.size = file.identity.size;
    out.modified_ns = file.identity.modified_ns;
    out.sha256 = std::string(64, 'a');
    return out;
  };
  std::vector<WrittenFile> written = {written_of((*files)[0]), written_of((*files)[1])};
  written[1].size += 1;
  take_digests(written, *files);
  EXPECT_TRUE((*files)[0].given);
  EXPECT_EQ((*files)[0].sha256, std::string(64, 'a'));
  EXPECT_FALSE((*files)[1].given);
  EXPECT_EQ((*files)[1].sha256, "");
}

TEST(HubPushFiles, AChangeAfterTheListIsSeen) {
  const test::TempDir folder;
  test::write_file(folder / "a", "hello");
  const auto listing = list_push_files(folder.path(), {.all = true});
  ASSERT_TRUE(listing);
  const auto* files = &listing->files;
  EXPECT_TRUE(check_unchanged((*files)[0]));
  test::write_file(folder / "a", "hello, world");
  const auto changed = check_unchanged((*files)[0]);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().rule, "HB-19");
  std::filesystem::remove(folder / "a");
  EXPECT_FALSE(check_unchanged((*files)[0]));
}

}  // namespace
}  // namespace ferrule::hub
