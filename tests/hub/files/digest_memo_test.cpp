// SPDX-License-Identifier: Apache-2.0
#include "hub/files/digest_memo.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>

#include "ferrule/text_file.hpp"
#include "temp_dir.hpp"

namespace ferrule::hub {
namespace {

TEST(HubDigests, AreGitsAndSha256) {
  const test::TempDir folder;
  const auto path = folder.path() / "f";
  ASSERT_TRUE(write_text_file(path, "hello\n"));
  DigestMemo memo(folder.path() / "home");
  std::array<DigestJob, 2> jobs = {DigestJob{path, Digest::kGitBlob},
                                   DigestJob{path, Digest::kSha256}};
  ASSERT_TRUE(digest_files(jobs, memo));
  EXPECT_EQ(jobs[0].sum, "ce013625030ba8dba906f756967f9e9ca394464a");  // git hash-object
  EXPECT_EQ(jobs[1].sum, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
}

TEST(HubDigests, AFileChangedJustNowIsNotRemembered) {
  DigestMemo memo({});
  const auto now = std::chrono::system_clock::from_time_t(2'000'000'000);
  const std::int64_t then = 2'000'000'000'000'000'000;
  const std::string sum(64, 'c');
  const io::FileIdentity fresh{1, 2, 3, then - 1'000'000 + 1, then - 1'000'000 + 1};
  const io::FileIdentity old{1, 2, 3, then - 900'000'001, then - 900'000'001};
  memo.note(fresh, Digest::kSha256, sum, now);
  memo.note(old, Digest::kSha256, sum, now);
  EXPECT_EQ(memo.find(fresh, Digest::kSha256), std::nullopt);
  EXPECT_EQ(memo.find(old, Digest::kSha256), sum);
  EXPECT_EQ(memo.find(old, Digest::kGitBlob), std::nullopt);
}

constexpr std::int64_t kThen = 1'900'000'000'123'456'789;
const auto kNow = std::chrono::system_clock::from_time_t(2'000'000'000);

TEST(HubDigests, AreRememberedByTheNextMemo) {
  const test::TempDir folder;
  const io::FileIdentity file{1, 2, 3, kThen, kThen};
  const std::string sum(64, 'c');
  DigestMemo(folder.path()).note(file, Digest::kSha256, sum, kNow);
  DigestMemo again(folder.path());
  EXPECT_EQ(again.find(file, Digest::kSha256), sum);
  auto other = file;
  other.size = 4;
  EXPECT_EQ(again.find(other, Digest::kSha256), std::nullopt);
  other = file;
  other.changed_ns += 1;
  EXPECT_EQ(again.find(other, Digest::kSha256), std::nullopt);
}

TEST(HubDigests, AMemoThatCannotBeReadCostsNothingElse) {
  const test::TempDir folder;
  const io::FileIdentity file{1, 2, 3, kThen, kThen};
  const std::string sum(64, 'c');
  DigestMemo(folder.path()).note(file, Digest::kSha256, sum, kNow);
  const auto line = test::read_file(folder / "ferrule/digests");
  ASSERT_FALSE(line.empty());
  // A line that another process is writing, one of nonsense, and a digest of the wrong length.
  test::write_file(folder / "ferrule/digests", line.substr(0, line.size() - 1));
  EXPECT_EQ(DigestMemo(folder.path()).find(file, Digest::kSha256), std::nullopt);
  test::write_file(folder / "ferrule/digests", "nonsense\n\n\xFF\n" + line);
  EXPECT_EQ(DigestMemo(folder.path()).find(file, Digest::kSha256), sum);
  test::write_file(folder / "ferrule/digests", line.substr(0, line.size() - 3) + "\n");
  EXPECT_EQ(DigestMemo(folder.path()).find(file, Digest::kSha256), std::nullopt);
  test::write_file(folder / "ferrule/digests", std::string(5U << 20U, 'x'));
  EXPECT_EQ(DigestMemo(folder.path()).find(file, Digest::kSha256), std::nullopt);
  EXPECT_EQ(test::read_file(folder / "ferrule/digests"), "");
}

TEST(HubDigests, WithoutAHomeNothingIsWritten) {
  DigestMemo memo({});
  const io::FileIdentity file{1, 2, 3, kThen, kThen};
  memo.note(file, Digest::kGitBlob, std::string(40, 'c'), kNow);
  EXPECT_EQ(memo.find(file, Digest::kGitBlob), std::string(40, 'c'));
}

TEST(HubDigests, AFileThatIsMissingIsAnErrorOfTheSystem) {
  const test::TempDir folder;
  DigestMemo memo({});
  std::array<DigestJob, 1> jobs = {DigestJob{folder / "missing"}};
  const auto failed = digest_files(jobs, memo);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().path, (folder / "missing").string());
}

}  // namespace
}  // namespace ferrule::hub
