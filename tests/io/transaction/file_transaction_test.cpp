// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/file_transaction.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "io/faults.hpp"
#include "io/transaction/scene.hpp"

namespace ferrule::test {
namespace {

using io::FileTransaction;

Result<void> put_file(const std::filesystem::path& path, std::string_view content,
                      Durability durability = Durability::kFull) {
  auto begun = FileTransaction::begin(path, durability);
  if (!begun) return std::move(begun).error();
  auto done = begun->file().write(std::as_bytes(std::span(content)));
  if (done) done = begun->commit();
  return done;
}

// TX-5
TEST(FileTransaction, MakesAFileWithTheModeOfTheMask) {
  TempDir dir;
  const mode_t mask = ::umask(027);
  const auto done = put_file(dir / "a", "x");
  ::umask(mask);
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(tree_of(dir.path()), (Tree{{"a", "416 file x"}}));
}

TEST(FileTransaction, AReplacedFileKeepsItsMode) {
  TempDir dir;
  write_file(dir / "a", "old");
  ::chmod((dir / "a").c_str(), 0604);
  ASSERT_TRUE(put_file(dir / "a", "x"));
  EXPECT_EQ(tree_of(dir.path()), (Tree{{"a", "388 file x"}}));
}

// TX-12
TEST(FileTransaction, ALinkStaysAndWhatItNamesIsReplacedNotWritten) {
  TempDir dir;
  write_file(dir / "d/blob", "old");
  std::filesystem::create_hard_link(dir / "d/blob", dir / "other");
  std::filesystem::create_symlink("d/blob", dir / "a");
  std::filesystem::create_symlink("d/none", dir / "b");
  ASSERT_TRUE(put_file(dir / "a", "new"));
  ASSERT_TRUE(put_file(dir / "b", "new"));
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "a"));
  EXPECT_EQ(read_file(dir / "d/blob"), "new");
  EXPECT_EQ(read_file(dir / "d/none"), "new");
  EXPECT_EQ(read_file(dir / "other"), "old");
}

TEST(FileTransaction, RefusesWhatIsNoFile) {
  TempDir dir;
  std::filesystem::create_directory(dir / "folder");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("loop", dir / "loop");
  EXPECT_EQ(put_file(dir / "folder", "x").error().rule, "TX-10");
  EXPECT_EQ(put_file(dir / "folder/", "x").error().rule, "TX-10");
  EXPECT_EQ(put_file(dir / "fifo", "x").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(put_file(dir / "loop", "x").error().system_errno, ELOOP);
  EXPECT_EQ(put_file(dir / "none/a", "x").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(put_file("", "x").error().code, ErrorCode::kInvalidArgument);
}

TEST(FileTransaction, AbandonedItLeavesNothing) {
  TempDir dir;
  { ASSERT_TRUE(FileTransaction::begin(dir / "a", Durability::kSafe)); }
  EXPECT_EQ(tree_of(dir.path()), Tree{});
}

TEST(FileTransaction, KilledOrFailingAtAnyCallLeavesOldOrNew) {
  for (const int number : {0, EIO, ENOSPC, EACCES}) {
    bool reached = true;
    for (int when = 1; reached; ++when) {
      TempDir dir;
      write_file(dir / "a", "old");
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        int count = 0;
        bool hit = false;
        Faults faults([&](const Call&) {
          if (++count != when) return 0;
          hit = true;
          if (number == 0) ::_exit(3);
          return number;
        });
        const bool saved = put_file(dir / "a", "new").has_value();
        ::_exit((saved ? 1 : 0) + (hit ? 2 : 0));
      }
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      reached = (WEXITSTATUS(status) & 2) != 0;
      const std::string now = read_file(dir / "a");
      if (number != 0 && (WEXITSTATUS(status) & 1) != 0) {
        EXPECT_EQ(now, "new") << when;
      }
      EXPECT_TRUE(now == "old" || now == "new") << when;
      ASSERT_TRUE(put_file(dir / "a", "next")) << when;
      EXPECT_EQ(read_file(dir / "a"), "next");
      EXPECT_EQ(tree_of(dir.path()).size(), 1U) << when;
    }
  }
}

TEST(FileTransaction, SaversAtOnceWaitForEachOther) {
  TempDir dir;
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      bool good = true;
      for (int n = 0; n < 30; ++n) {
        good = good && put_file(dir / "a", std::string(5000, static_cast<char>('a' + i)),
                                Durability::kFast);
      }
      ::_exit(good ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  const std::string content = read_file(dir / "a");
  EXPECT_EQ(content, std::string(5000, content.at(0)));
  EXPECT_EQ(tree_of(dir.path()).size(), 1U);
}

}  // namespace
}  // namespace ferrule::test
