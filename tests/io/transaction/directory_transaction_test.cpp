// SPDX-License-Identifier: Apache-2.0
#include "io/transaction/directory_transaction.hpp"

#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <algorithm>

#include "io/faults.hpp"
#include "io/transaction/directory_reader.hpp"
#include "io/transaction/scene.hpp"

namespace ferrule::test {
namespace {

using io::DirectoryReader;
using io::DirectoryTransaction;

// ------------------------------------------------------------------------------- TX-10: places

struct Place {
  std::string name;
  std::string path;
  ErrorCode code;
};

void PrintTo(const Place& place, std::ostream* out) { *out << place.name; }

class RefusedPlace : public testing::TestWithParam<Place> {};

TEST_P(RefusedPlace, FailsBeforeAnythingChanges) {
  TempDir dir;
  write_file(dir / "file", "x");
  ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("nowhere/x", dir / "dangling");
  std::filesystem::create_symlink("loop", dir / "loop");
  const Tree before = tree_of(dir.path());
  const std::string path = GetParam().path;
  auto begun = DirectoryTransaction::begin(path.empty() ? "" : dir / path, Durability::kSafe);
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code, GetParam().code) << begun.error().to_string();
  if (GetParam().code != ErrorCode::kIo) {
    EXPECT_EQ(begun.error().rule, "TX-10");
  }
  EXPECT_EQ(tree_of(dir.path()), before);
}

INSTANTIATE_TEST_SUITE_P(
    Places, RefusedPlace,
    testing::Values(Place{"Empty", "", ErrorCode::kInvalidArgument},
                    Place{"File", "file", ErrorCode::kInvalidArgument},
                    Place{"BelowAFile", "file/out", ErrorCode::kInvalidArgument},
                    Place{"Fifo", "fifo", ErrorCode::kUnsupported},
                    Place{"DanglingLink", "dangling", ErrorCode::kInvalidArgument},
                    Place{"BelowADanglingLink", "dangling/out", ErrorCode::kInvalidArgument},
                    Place{"LoopOfLinks", "loop", ErrorCode::kIo},
                    Place{"UpFromNowhere", "none/../out", ErrorCode::kNotFound},
                    Place{"Nul", std::string("a\0b", 3), ErrorCode::kInvalidArgument}),
    [](const auto& place) { return place.param.name; });

TEST(DirectoryTransaction, ReachesTheDirectoryByAnyPath) {
  for (const std::string path :
       {"out", "out/", "out//", "./out/.", "out/../out", "link", "link/"}) {
    TempDir dir;
    std::filesystem::create_directory(dir / "out");
    std::filesystem::create_symlink("out", dir / "link");
    ASSERT_TRUE(put(dir / path, "a", "x")) << path;
    EXPECT_EQ(read_file(dir / "out/a"), "x") << path;
    EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
    EXPECT_EQ(names(dir.path()), (Names{"link", "out"})) << path;
  }
}

TEST(DirectoryTransaction, KeepsTheWorkingDirectoryOfWhoSavesIntoIt) {
  TempDir dir;
  write_file(dir / "out/sub/mine", "x");
  const auto standing = std::filesystem::current_path();
  for (const auto& [from, path] : {std::pair{"out", "."}, std::pair{"out/sub", ".."}}) {
    std::filesystem::current_path(dir / from);
    const auto done = put(path, "a/b", "new");
    EXPECT_EQ(std::filesystem::current_path(), std::filesystem::canonical(dir / from));
    EXPECT_EQ(read_file(std::filesystem::path(path) / "a/b"), "new");
    std::filesystem::current_path(standing);
    EXPECT_TRUE(done);
  }
  EXPECT_EQ(names(dir.path()), (Names{"out"}));
}

TEST(DirectoryTransaction, RefusesNamesThatLeaveTheDirectory) {
  TempDir dir;
  auto begun = DirectoryTransaction::begin(dir / "out", Durability::kSafe);
  ASSERT_TRUE(begun);
  for (const std::string name : {"", "/a", "a/", "a//b", "..", "../a", "a/../b", ".", "a/.",
                                 ".ferrule-stage", ".ferrule-pending/redo"}) {
    const auto created = begun->create(name, "x");
    ASSERT_FALSE(created) << name;
    EXPECT_EQ(created.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(created.error().rule, "TX-10");
    EXPECT_FALSE(begun->remove(name)) << name;
  }
  ASSERT_TRUE(begun->create("a", "x"));
  EXPECT_FALSE(begun->create("a", "x"));
  EXPECT_FALSE(begun->remove("a"));
}

TEST(DirectoryTransaction, RefusesWhatIsInTheWay) {
  TempDir dir;
  std::filesystem::create_directories(dir / "out/folder");
  std::filesystem::create_directories(dir / "elsewhere");
  write_file(dir / "out/file", "x");
  std::filesystem::create_symlink("../elsewhere", dir / "out/link");
  const Tree before = tree_of(dir.path());
  {
    auto begun = DirectoryTransaction::begin(dir / "out", Durability::kSafe);
    ASSERT_TRUE(begun);
    for (const std::string name : {"folder", "file/a", "link/a"}) {
      EXPECT_EQ(begun->create(name, "x").error().code, ErrorCode::kInvalidArgument) << name;
    }
  }
  EXPECT_EQ(tree_of(dir.path()), before);
}

// ------------------------------------------------------------------------- content and the rest

TEST(DirectoryTransaction, AbandonedItLeavesNothing) {
  TempDir dir;
  write_file(dir / "out/a", "old");
  const Tree before = tree_of(dir.path());
  for (const std::string name : {"out", "new", "x/y/z"}) {
    auto begun = DirectoryTransaction::begin(dir / name, Durability::kSafe);
    ASSERT_TRUE(begun);
    ASSERT_TRUE(begun->create("a", "new"));
    ASSERT_TRUE(begun->create("b/c", "new"));
    ASSERT_TRUE(begun->remove("d"));
  }
  EXPECT_EQ(tree_of(dir.path()), before);
}

TEST(DirectoryTransaction, ShowsWhatTheDirectoryHolds) {
  TempDir dir;
  write_file(dir / "out/card", "hello");
  write_file(dir / "out/sub/card", "below");
  write_file(dir / "blob", "linked");
  std::filesystem::create_symlink("../blob", dir / "out/link");
  std::filesystem::create_symlink("nowhere", dir / "out/dangling");
  ASSERT_EQ(::mkfifo((dir / "out/fifo").c_str(), 0600), 0);
  auto begun = DirectoryTransaction::begin(dir / "out", Durability::kSafe);
  ASSERT_TRUE(begun);
  EXPECT_EQ(begun->existing("card", 5).value(), "hello");
  EXPECT_EQ(begun->existing("sub/card", 5).value(), "below");
  EXPECT_EQ(begun->existing("link", 10).value(), "linked");
  for (const std::string name : {"none", "dangling", "fifo", "sub", "card/x"}) {
    auto found = begun->existing(name, 10);
    ASSERT_TRUE(found) << name;
    EXPECT_FALSE(found->has_value()) << name;
  }
  EXPECT_EQ(begun->existing("card", 4).error().code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(begun->existing("../blob", 9).error().code, ErrorCode::kInvalidArgument);
}

TEST(DirectoryTransaction, ReplacesALinkAndLeavesWhatItLedTo) {
  TempDir dir;
  write_file(dir / "blob", "blob");
  ::chmod((dir / "blob").c_str(), 0444);
  std::filesystem::create_directory(dir / "out");
  std::filesystem::create_symlink("../blob", dir / "out/a");
  ASSERT_EQ(::mkfifo((dir / "out/b").c_str(), 0600), 0);
  ASSERT_TRUE(put(dir / "out", "a", "new"));
  ASSERT_TRUE(put(dir / "out", "b", "new"));
  EXPECT_EQ(read_file(dir / "blob"), "blob");
  EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(dir / "out/a")));
  EXPECT_EQ(read_file(dir / "out/a"), "new");
  EXPECT_EQ(read_file(dir / "out/b"), "new");
}

TEST(DirectoryTransaction, KeepsTimesAttributesAndInodesOfTheUsersFiles) {
  TempDir dir;
  write_file(dir / "out/sub/mine", "x");
  const struct timespec times[2] = {{1000, 0}, {2000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, (dir / "out/sub").c_str(), times, 0), 0);
  const bool attributes = ::setxattr((dir / "out").c_str(), "user.origin", "me", 2, 0) == 0 &&
                          ::setxattr((dir / "out/sub").c_str(), "user.origin", "me", 2, 0) == 0;
  struct stat before {};
  ASSERT_EQ(::stat((dir / "out/sub/mine").c_str(), &before), 0);
  ASSERT_TRUE(put(dir / "out", "a", "new"));
  struct stat after {};
  ASSERT_EQ(::stat((dir / "out/sub/mine").c_str(), &after), 0);
  EXPECT_EQ(after.st_ino, before.st_ino);
  EXPECT_EQ(after.st_nlink, 1U);
  ASSERT_EQ(::stat((dir / "out/sub").c_str(), &after), 0);
  EXPECT_EQ(after.st_mtim.tv_sec, 2000);
  for (const std::string name : {"out", "out/sub"}) {
    char value[8];
    EXPECT_EQ(::getxattr((dir / name).c_str(), "user.origin", value, sizeof(value)),
              attributes ? 2 : -1);
  }
}

TEST(DirectoryTransaction, KeepsOwnersWhereItMay) {
  if (::geteuid() != 0) {
    // Without the right to give files away there is but one owner: ours stays ours.
    TempDir dir;
    write_file(dir / "out/a", "old");
    ASSERT_TRUE(put(dir / "out", "a", "new"));
    struct stat info {};
    ASSERT_EQ(::stat((dir / "out/a").c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, ::geteuid());
    return;
  }
  TempDir dir;
  write_file(dir / "out/a", "old");
  for (const std::string name : {"out", "out/a"}) {
    ASSERT_EQ(::chown((dir / name).c_str(), 65534, 65534), 0);
  }
  ASSERT_TRUE(put(dir / "out", "a", "new"));
  for (const std::string name : {"out", "out/a"}) {
    struct stat info {};
    ASSERT_EQ(::stat((dir / name).c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 65534U) << name;
    EXPECT_EQ(info.st_gid, 65534U) << name;
  }
}

TEST(DirectoryTransaction, CommitsOnce) {
  TempDir dir;
  auto begun = DirectoryTransaction::begin(dir / "out", Durability::kFast);
  ASSERT_TRUE(begun);
  ASSERT_TRUE(begun->create("a", "x"));
  DirectoryTransaction moved = std::move(*begun);
  ASSERT_TRUE(moved.commit());
  EXPECT_EQ(moved.commit().error().code, ErrorCode::kInvalidArgument);
}

// ------------------------------------------------------------------------------- TX-9: writing

TEST(Writing, CarriesOnAfterShortWrites) {
  TempDir dir;
  const io::Syscalls real = io::sys();
  io::sys().writev = [](int fd, const struct iovec* pieces, int) {
    return ::write(fd, pieces[0].iov_base, (pieces[0].iov_len + 2) / 3);
  };
  io::sys().pwrite = [](int fd, const void* bytes, std::size_t size, off_t at) {
    return ::pwrite(fd, bytes, (size + 2) / 3, at);
  };
  auto begun = DirectoryTransaction::begin(dir / "out", Durability::kSafe);
  auto* file = begun->create("a").value();
  const std::string texts[] = {"", "0123456789", "", "abcdefghij", ""};
  std::vector<std::span<const std::byte>> pieces;
  for (const auto& text : texts) pieces.push_back(std::as_bytes(std::span(text)));
  const auto wrote = file->write(pieces);
  const auto patched = file->write_at(2, std::as_bytes(std::span(texts[3])));
  io::sys() = real;
  ASSERT_TRUE(wrote);
  ASSERT_TRUE(patched);
  ASSERT_TRUE(begun->commit());
  EXPECT_EQ(read_file(dir / "out/a"), "01abcdefghijcdefghij");
}

TEST(Writing, TakesMorePiecesThanOneCallDoesAndMoreBytesThanOneBatch) {
  TempDir dir;
  auto begun = DirectoryTransaction::begin(dir / "out", Durability::kSafe);
  auto* file = begun->create("a").value();
  const std::string large((std::size_t{9} << 20) + 3, 'x');
  std::string expected;
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back(std::to_string(i));
  std::vector<std::span<const std::byte>> pieces;
  for (const auto& text : texts) {
    pieces.push_back(std::as_bytes(std::span(text)));
    expected += text;
  }
  pieces.push_back(std::as_bytes(std::span(large)));
  ASSERT_TRUE(file->reserve(expected.size() + large.size()));
  ASSERT_TRUE(file->write(pieces));
  ASSERT_TRUE(begun->commit());
  EXPECT_TRUE(read_file(dir / "out/a") == expected + large);
}

TEST(Writing, AWriteOfNothingIsAnErrorAndNoLoop) {
  TempDir dir;
  const io::Syscalls real = io::sys();
  io::sys().writev = [](int, const struct iovec*, int) -> ssize_t { return 0; };
  const auto done = put(dir / "out", "a", "x");
  io::sys() = real;
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::kIo);
  EXPECT_EQ(names(dir.path()), Names{});
}

TEST(Writing, TheLimitOfTheProcessIsAnErrorAndNoSignal) {
  TempDir dir;
  struct rlimit limit {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const struct rlimit small { 1000, limit.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto done = put(dir / "out", "a", std::string(1001, 'x'));
  ::setrlimit(RLIMIT_FSIZE, &limit);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().system_errno, EFBIG);
  EXPECT_EQ(names(dir.path()), Names{});
}

}  // namespace
}  // namespace ferrule::test
