// SPDX-License-Identifier: Apache-2.0
// What huggingface_hub itself makes of the cache is in test_cache.py.
#include "hub/files/cache.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "hub/files/cached_tree.hpp"
#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

namespace fs = std::filesystem;

const std::string kCommit(40, '1');
const std::string kBlob = "ce013625030ba8dba906f756967f9e9ca394464a";  // Of "hello\n".

class Cache : public testing::Test {
 protected:
  Cache() : repo(folder.path() / "models--ann--a"), memo({}) {
    auto made = RepoCache::make(folder.path(), "ann/a");
    EXPECT_TRUE(made);
    cache.emplace(std::move(*made));
  }

  const test::TempDir folder;
  const fs::path repo;
  std::optional<RepoCache> cache;
  DigestMemo memo;
  const RemoteFile file{.path = "sub/a.txt", .size = 6, .blob = kBlob};
};

TEST_F(Cache, IsMarkedAndLaidOutAsPythonHasIt) {
  EXPECT_EQ(test::read_file(folder / "CACHEDIR.TAG").rfind("Signature: 8a477f597d28d172", 0), 0U);
  EXPECT_TRUE(fs::is_directory(folder / ".locks/models--ann--a"));
  EXPECT_TRUE(fs::is_directory(repo));
  EXPECT_EQ(cache->snapshot_path(kCommit), repo / "snapshots" / kCommit);
  EXPECT_EQ(cache->lock_path(kBlob), folder.path() / ".locks/models--ann--a" / (kBlob + ".lock"));
}

TEST_F(Cache, OfAnUnknownRepositoryIsNone) {
  const auto unknown = RepoCache::open(folder.path(), "ann/b");
  ASSERT_TRUE(unknown);
  EXPECT_FALSE(*unknown);
  const auto nowhere = RepoCache::open(folder.path() / "nowhere", "ann/a");
  ASSERT_TRUE(nowhere);
  EXPECT_FALSE(*nowhere);
}

TEST_F(Cache, RefsAreCommitsAndNothingElse) {
  EXPECT_EQ(cache->commit_of("main"), std::nullopt);
  ASSERT_TRUE(cache->write_ref("refs/pr/1", kCommit));
  EXPECT_EQ(test::read_file(repo / "refs/refs/pr/1"), kCommit);
  EXPECT_EQ(cache->commit_of("refs/pr/1"), kCommit);
  EXPECT_EQ(cache->commit_of(kCommit), kCommit);
  test::write_file(repo / "refs/main", kCommit + "\n");
  EXPECT_EQ(cache->commit_of("main"), kCommit);
  test::write_file(repo / "refs/main", "../../elsewhere");
  EXPECT_EQ(cache->commit_of("main"), std::nullopt);
}

TEST_F(Cache, TreesAreKeptAndBrokenOnesIgnored) {
  EXPECT_EQ(cache->tree(kCommit), std::nullopt);
  ASSERT_TRUE(cache->write_tree(kCommit, {file}));
  const auto tree = cache->tree(kCommit);
  ASSERT_TRUE(tree);
  ASSERT_EQ(tree->size(), 1U);
  EXPECT_EQ(tree->front().path, file.path);
  test::write_file(repo / "trees" / (kCommit + ".json"), "{");
  EXPECT_FALSE(cache->tree(kCommit));
}

TEST_F(Cache, ABlobIsBelievedOnlyIfItsContentHasItsName) {
  EXPECT_FALSE(*cache->has_blob(file, memo));
  test::write_file(repo / "blobs" / kBlob, "HELLO\n");
  EXPECT_FALSE(*cache->has_blob(file, memo));
  test::write_file(repo / "blobs" / kBlob, "hello");
  EXPECT_FALSE(*cache->has_blob(file, memo));
  test::write_file(repo / "blobs" / kBlob, "hello\n");
  EXPECT_TRUE(*cache->has_blob(file, memo));
}

TEST_F(Cache, AFileIsPlacedAsARelativeLinkOrASecondName) {
  test::write_file(repo / "blobs" / kBlob, "hello\n");
  EXPECT_FALSE(*cache->has_file(kCommit, file, memo));
  ASSERT_TRUE(cache->place(kCommit, file, true));
  const auto placed = cache->snapshot_path(kCommit) / file.path;
  EXPECT_EQ(fs::read_symlink(placed), "../../../blobs/" + kBlob);
  EXPECT_TRUE(*cache->has_file(kCommit, file, memo));
  ASSERT_TRUE(cache->place(kCommit, file, true));  // Again, without a change.
  const std::string other(40, '2');
  ASSERT_TRUE(cache->place(other, file, false));
  EXPECT_FALSE(fs::is_symlink(cache->snapshot_path(other) / file.path));
  EXPECT_EQ(test::read_file(cache->snapshot_path(other) / file.path), "hello\n");
}

TEST_F(Cache, ASnapshotWithoutATreeIsReadByItsLinks) {
  test::write_file(repo / "blobs" / kBlob, "hello\n");
  ASSERT_TRUE(cache->place(kCommit, file, true));
  test::write_file(cache->snapshot_path(kCommit) / "plain", "abc");
  const auto files = cache->linked_files(kCommit);
  ASSERT_TRUE(files) << files.error().to_string();
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ((*files)[0].path, "plain");
  EXPECT_EQ((*files)[0].etag(), "");
  EXPECT_EQ((*files)[0].size, 3U);
  EXPECT_EQ((*files)[1].path, "sub/a.txt");
  EXPECT_EQ((*files)[1].blob, kBlob);
  EXPECT_EQ((*files)[1].size, 6U);
}

TEST_F(Cache, NothingIsWrittenThroughALinkInPlaceOfAFolder) {
  test::write_file(repo / "blobs" / kBlob, "hello\n");
  const test::TempDir elsewhere;
  fs::create_directories(cache->snapshot_path(kCommit));
  fs::create_directory_symlink(elsewhere.path(), cache->snapshot_path(kCommit) / "sub");
  EXPECT_FALSE(cache->place(kCommit, file, true));
  EXPECT_TRUE(fs::is_empty(elsewhere.path()));
}

}  // namespace
}  // namespace ferrule::hub
