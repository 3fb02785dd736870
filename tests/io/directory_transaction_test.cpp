// SPDX-License-Identifier: Apache-2.0
#include "io/directory_transaction.hpp"

#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <algorithm>

#include "faults.hpp"
#include "io/input_file.hpp"
#include "scene.hpp"

namespace ferrule::test {
namespace {

using io::DirectoryReader;
using io::DirectoryTransaction;

Result<void> put(const std::filesystem::path& directory, std::string_view name,
                 std::string_view content) {
  auto begun = DirectoryTransaction::begin(directory, Durability::kSafe);
  if (!begun) return std::move(begun).error();
  auto done = begun->create(name, content);
  if (done) done = begun->commit();
  return done;
}

std::vector<std::string> names(const std::filesystem::path& directory) {
  auto reader = DirectoryReader::open(directory);
  return reader ? reader->names().value() : std::vector<std::string>{"no directory"};
}

using Names = std::vector<std::string>;

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

// ----------------------------------------------------------- TX-4: what others do at the same time

/// Saves while `meanwhile` happens right before the directory is exchanged.
Result<void> save_while(const std::filesystem::path& directory, std::function<void()> meanwhile) {
  bool done = false;
  Faults faults([&](const Call& call) {
    if (call.name == "renameat2" && call.to == directory.filename() && !done) {
      done = true;
      meanwhile();
    }
    return 0;
  });
  return put(directory, "a", "new");
}

void change_things(const std::filesystem::path& out) {
  write_file(out / "appeared", "1");
  write_file(out / "folder/appeared", "2");
  write_file(out / "known/appeared", "3");
  write_file(out / "temporary", "newer");
  std::filesystem::rename(out / "temporary", out / "replaced");
  std::filesystem::remove(out / "removed");
  std::filesystem::remove(out / "known/removed");
}

void prepare_things(const std::filesystem::path& out) {
  for (const std::string name : {"a", "stays", "replaced", "removed", "known/removed"}) {
    write_file(out / name, "old");
  }
}

Tree changed_things() {
  TempDir dir;
  prepare_things(dir / "out");
  write_file(dir / "out/a", "new");
  change_things(dir / "out");
  return tree_of(dir.path());
}

TEST(Meanwhile, WhatOthersDidToTheirFilesCounts) {
  TempDir dir;
  prepare_things(dir / "out");
  ASSERT_TRUE(save_while(dir / "out", [&] { change_things(dir / "out"); }));
  EXPECT_EQ(tree_of(dir.path()), changed_things());
}

TEST(Meanwhile, TheNextSaveBringsItWhereThisOneDied) {
  TempDir dir;
  prepare_things(dir / "out");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    bool swapped = false;
    Faults faults([&](const Call& call) {
      if (swapped) ::_exit(9);
      if (call.name == "renameat2" && call.to == "out") {
        change_things(dir / "out");
        swapped = true;
      }
      return 0;
    });
    (void)put(dir / "out", "a", "new").has_value();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(WEXITSTATUS(status), 9);
  EXPECT_EQ(read_file(dir / "out/a"), "new");
  ASSERT_TRUE(put(dir / "out", "a", "new"));
  EXPECT_EQ(tree_of(dir.path()), changed_things());
}

TEST(Meanwhile, ANewDirectoryThatAppearsIsTakenOver) {
  for (const std::string below : {"out", "x/out", "x/y/out"}) {
    for (const std::string made : {"x", "x/y", "out", "x/out", "x/y/out"}) {
      if (below.rfind(made, 0) != 0) continue;
      TempDir dir;
      bool done = false;
      {
        Faults faults([&](const Call& call) {
          if (call.name == "renameat2" && !done) {
            done = true;
            write_file(dir / made / "mine", "x");
          }
          return 0;
        });
        ASSERT_TRUE(put(dir / below, "sub/a", "new")) << below << " " << made;
      }
      EXPECT_EQ(read_file(dir / below / "sub/a"), "new");
      EXPECT_EQ(read_file(dir / made / "mine"), "x");
      for (const auto& [name, what] : tree_of(dir.path())) {
        EXPECT_EQ(name.find(".ferrule-"), name.npos) << name;
      }
    }
  }
}

// ------------------------------------------------------------------------------ TX-7: savers at
// once

void run_at_once(int count, const std::function<bool(int)>& work) {
  std::vector<pid_t> children;
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(work(i) ? 0 : 1);
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
}

void expect_one_of(const std::filesystem::path& out, int count) {
  const std::string weights = read_file(out / "weights");
  const std::string tag = weights.substr(0, weights.find(' '));
  EXPECT_EQ(read_file(out / "config"), tag + " config");
  EXPECT_EQ(read_file(out / "second/config"), tag + " second");
  EXPECT_LT(std::stoi(tag), count);
}

TEST(SaversAtOnce, WaitForEachOther) {
  constexpr int kCount = 8;
  for (const bool exists : {true, false}) {
    TempDir dir;
    if (exists) set_up({"Over"}, dir.path());
    for (int round = 0; round < 5; ++round) {
      run_at_once(kCount, [&](int i) {
        return save(dir / "out", Durability::kFast, std::to_string(i)).has_value();
      });
      expect_one_of(dir / "out", kCount);
      EXPECT_EQ(names(dir.path()), (Names{"out"}));
      if (exists) {
        EXPECT_EQ(read_file(dir / "out/notes.txt"), "mine");
      }
    }
  }
}

TEST(SaversAtOnce, OfAFolderAndOfWhatIsInItWaitToo) {
  constexpr int kCount = 6;
  TempDir dir;
  for (int round = 0; round < 5; ++round) {
    run_at_once(kCount, [&](int i) {
      const auto target = i % 2 == 0 ? dir / "out" : dir / "out" / ("inner" + std::to_string(i));
      const auto saved = save(target, Durability::kFast, std::to_string(i));
      if (!saved) std::fprintf(stderr, "%s\n", saved.error().to_string().c_str());
      return saved.has_value();
    });
    expect_one_of(dir / "out", kCount);
    for (const std::string inner : {"inner1", "inner3", "inner5"}) {
      expect_one_of(dir / "out" / inner, kCount);
    }
  }
  for (const auto& [name, what] : tree_of(dir.path())) {
    EXPECT_EQ(name.find(".ferrule-"), name.npos) << name;
  }
}

// TX-11
TEST(SaversAtOnce, AReaderOfTheDirectorySeesOneOfThem) {
  constexpr int kCount = 4;
  TempDir dir;
  ASSERT_TRUE(save(dir / "out", Durability::kFast, "0"));
  run_at_once(kCount, [&](int i) {
    if (i > 0) {
      for (int n = 0; n < 50; ++n) {
        if (!save(dir / "out", Durability::kFast, std::to_string(i))) return false;
      }
      return true;
    }
    for (int n = 0; n < 300; ++n) {
      auto reader = DirectoryReader::open(dir / "out");
      if (!reader) continue;  // In the instant of a swap the open may find the name gone.
      auto weights = reader->open_file("weights");
      auto config = reader->open_file("config");
      if (!weights || !config) return false;
      if (!*weights || !*config) {
        if (!reader->was_replaced()) return false;
        continue;
      }
      const std::string a = (*weights)->read_text(100).value();
      const std::string b = (*config)->read_text(100).value();
      if (a.substr(0, a.find(' ')) != b.substr(0, b.find(' '))) return false;
    }
    return true;
  });
}

// ------------------------------------------------------------------------------- TX-6: the record

TEST(Pending, ARecordFromADownloadTouchesNothingOutside) {
  for (const std::string name : {"../victim", "/etc/victim", "link/victim", "a/../../victim"}) {
    TempDir dir;
    write_file(dir / "victim", "mine");
    std::filesystem::create_directory(dir / "out");
    std::filesystem::create_symlink("..", dir / "out/link");
    const std::string nul(1, '\0');
    write_file(dir / "out/.ferrule-pending/redo",
               "ferrule changes 1" + nul + "ro-" + name + nul + "end" + nul);
    (void)DirectoryReader::open(dir / "out").has_value();
    EXPECT_EQ(read_file(dir / "victim"), "mine") << name;
  }
}

TEST(Pending, ATornRecordIsNoRecord) {
  TempDir dir;
  write_file(dir / "out/a", "old");
  const std::string nul(1, '\0');
  write_file(dir / "out/.ferrule-pending/redo", "ferrule changes 1" + nul + "ro-a" + nul + "en");
  ASSERT_TRUE(DirectoryReader::open(dir / "out"));
  EXPECT_EQ(names(dir / "out"), (Names{"a"}));
}

TEST(Pending, ADirectoryThatCannotBeFinishedIsNotRead) {
  TempDir dir;
  const std::string nul(1, '\0');
  write_file(dir / "out/.ferrule-pending/redo",
             "ferrule changes 1" + nul + "cn-a" + nul + "end" + nul);
  write_file(dir / "out/.ferrule-pending/new0", "new");
  {
    Faults faults([](const Call& call) { return call.name == "renameat2" ? EROFS : 0; });
    const auto opened = DirectoryReader::open(dir / "out");
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().rule, "TX-6");
  }
  ASSERT_TRUE(DirectoryReader::open(dir / "out"));
  EXPECT_EQ(read_file(dir / "out/a"), "new");
  EXPECT_EQ(names(dir / "out"), (Names{"a"}));
}

}  // namespace
}  // namespace ferrule::test
